"""Which way to the ledger a marketplace takes, as its settings say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.core.members import Member
from hansa.node.children import Children
from hansa.node.folder import LEDGER, LEDGER_STATE
from hansa.node.ledger_access.following import LightMember
from hansa.node.ledger_access.kinds import LedgerAccess
from hansa.node.settings.loading import Settings
from hansa.node.validator.guard import ValidatorGuard
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET, StateSync
from hansa.pubsub.ledger.reading import RegistryState
from hansa.replication.registry import MemberRegistry

log = structlog.get_logger("hansa.node")


def open_access(
    settings: Settings,
    genesis: bytes,
    registered: RegistryState,
    key: KeySigner,
    environment: Mapping[str, str],
    clock: Clock,
    entropy: Entropy,
    state_sync: StateSync | None,
) -> tuple[MemberRegistry, LedgerAccess]:
    """The registry of the league, and what the marketplace in the working folder reaches the ledger by.

    Args:
        settings: `bus` says which way.
        genesis: Of the league; the document.
        registered: The members and limits, as far as they are known.
        key: Signs requests to other members.
        environment: Of the child processes.
        clock: For pauses and times.
        entropy: For what is drawn.
        state_sync: With what snapshots an engine begins.

    Raises:
        Fatal: of the engine's folder or keys, or of the file of light blocks.
    """
    if settings.bus == "light":
        light = LightMember(settings, genesis, registered, key, clock, entropy)
        return MemberRegistry(light.bus, clock, registered.members), light
    return _with_engine(settings, genesis, registered, environment, clock, entropy, state_sync)


def _with_engine(
    settings: Settings,
    genesis: bytes,
    registered: RegistryState,
    environment: Mapping[str, str],
    clock: Clock,
    entropy: Entropy,
    state_sync: StateSync | None,
) -> tuple[MemberRegistry, Children]:
    """The registry, and the processes of a marketplace with an engine of its own.

    Raises:
        Fatal: of the engine's folder or keys.
    """
    bus = CometBftBus(LEDGER / RPC_SOCKET, LEDGER_STATE, clock, settings.limits, registered.params)
    registry = MemberRegistry(bus, clock, registered.members)

    def others() -> list[Member]:
        return list(registry.others(settings.did))

    def me() -> Member | None:
        return registry.known_member(settings.did)

    guard = ValidatorGuard(Path(), others, settings.name, clock, entropy, settings.limits, log)
    children = Children(settings, genesis, others, bus, guard, me, environment, clock, state_sync)
    return registry, children
