"""What this installation has, and that its marketplace states it where its league plans other rules."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock
from hansa.core.keys import KeySigner
from hansa.node.ledger_access.kinds import LedgerAccess
from hansa.node.tasks import BackgroundTasks
from hansa.pubsub.engine import engine_build
from hansa.pubsub.league.readiness import UpgradeReadiness
from hansa.pubsub.ledger.rules.rulesets import RULESETS
from hansa.pubsub.ledger.rules.upgrades import Release


def own_release() -> Release:
    """The rules by which this installation can judge, and its engine."""
    return Release(tuple(RULESETS), engine_build().cometbft)


def add_readiness(
    tasks: BackgroundTasks,
    access: LedgerAccess,
    key: KeySigner,
    did: str,
    clock: Clock,
    logger: FilteringBoundLogger,
) -> None:
    """Have a marketplace with an engine state that it is ready for planned rules."""
    if access.following is None:
        readiness = UpgradeReadiness(access.bus, key, did, own_release(), clock, logger)
        tasks.add("readiness", readiness.run)
