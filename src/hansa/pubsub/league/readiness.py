"""A member states that it is ready for the rules that its league has decided on.

A change of rules takes effect at a block, and stops every member whose release lacks them; while a third of
the power is stopped, so is the league. So the others should know beforehand who is ready. A member whose
release has what the plan names says so by itself, with one statement for each plan (`upgrade.ready`), which
stands on the ledger.

States: nothing is planned, or this release lacks something, or the ledger has the statement: wait and look
again. Otherwise state it. What does not reach the ledger is tried again at the next look; what the ledger
refuses, as of a member that is suspended, is logged once for each plan, and tried again as well.
"""

from __future__ import annotations

from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa import __version__
from hansa.core.clock import Clock
from hansa.core.errors import Refused, Unavailable
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import UpgradeReady
from hansa.core.keys import KeySigner
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger.commitments.governance import LEAGUE
from hansa.pubsub.ledger.rules.upgrades import Release
from hansa.pubsub.ledger_records import PlannedUpgrade

LOOK_INTERVAL_S: Final = 10.0


class UpgradeReadiness:
    """States it for one member.

    Args:
        bus: The ledger.
        key: Of the member.
        did: Of the member.
        release: What this installation has.
        clock: For the time between two looks, and that of signing.
        logger: Gets what was stated, and what was refused.
    """

    def __init__(
        self,
        bus: Bus,
        key: KeySigner,
        did: str,
        release: Release,
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._bus = bus
        self._key = key
        self._did = did
        self._release = release
        self._clock = clock
        self._logger = logger
        self._refused: PlannedUpgrade | None = None

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            try:
                await self.state_if_ready()
            except Unavailable as error:
                self._logger.debug("readiness_not_stated", reason=error.message)
            await self._clock.sleep(LOOK_INTERVAL_S)

    async def state_if_ready(self) -> None:
        """State it once, if the plan is new and this release has what it names.

        Raises:
            Unavailable: `Code.OVERLOADED` or `Code.UNAVAILABLE`.
        """
        plan = (await self._bus.ledger()).upgrade
        if plan is None or self._did in plan.ready:
            return
        if self._release.lacks(plan) is not None:
            return
        record = await self._bus.record("league", "league")
        assert record is not None, "a league that decides by vote has an identifier"
        signer = GovernanceSigner(self._key, self._did, LEAGUE.read(record).id, self._clock)
        action = UpgradeReady(plan.ruleset, __version__)
        try:
            await self._bus.govern("member", self._did, lambda seq: signer.state(action, seq=seq))
        except Refused as error:
            refused = msgspec.structs.replace(plan, ready=())
            if self._refused != refused:
                self._refused = refused
                self._logger.warning("readiness_refused", ruleset=plan.ruleset, code=str(error.code))
        else:
            self._logger.info("readiness_stated", ruleset=plan.ruleset, height=plan.height)
