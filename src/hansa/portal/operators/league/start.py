"""`/operator`: the state of the marketplace: what is wrong, what to do about it, and figures."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hansa.portal.operators.places import OperatorPage


class Wrong(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    code: str
    message: str
    """What it is, with names and figures."""
    meaning: str
    remedy: str
    """What to do; empty: the message says it."""
    is_serving: bool
    """Whether the marketplace takes traffic all the same."""


class RunningPart(msgspec.Struct, frozen=True):
    """A background task, or a child process."""

    name: str
    is_running: bool
    starts: int
    """Beyond the first."""
    problem: str
    """What ended it last; empty: nothing."""


class RefusedOwn(msgspec.Struct, frozen=True):
    """An entity of this marketplace that the league does not take."""

    id: str
    type: str
    code: str
    message: str
    """Why, and what to do."""


class ValidatorEvidence(msgspec.Struct, frozen=True):
    """Evidence on the ledger against a validator."""

    name: str
    """Of the member; its address, when no member has it."""
    kind: str
    height: int


class WrongAnswers(msgspec.Struct, frozen=True):
    """What a member sent that failed verification."""

    name: str
    code: str
    reason: str
    count: int


class FollowedEndpoint(msgspec.Struct, frozen=True):
    """A member that a light member follows."""

    endpoint: str
    behavior: str
    height: int | None
    reason: str


class TypeCount(msgspec.Struct, frozen=True):
    """How many entities of a type are in the store."""

    type: str
    own_public: int
    own_private: int
    replicas: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The key figures. What the ledger says is None while it does not answer."""

    height: int | None
    position: int | None
    """Of the newest event."""
    since_block_s: float
    lag: int | None
    """Events that are not applied here yet."""
    members: int
    """Those that are members now, with this one."""
    engine_peers: int | None
    own: int
    replicas: int
    unpublished: int
    """Own changes that wait for the ledger."""
    refused: int
    pending: int
    """Retrievals that wait."""
    failed: int
    """Those of them whose last attempt failed."""
    evidence: int
    conflicts: int
    """Own entities whose identifier another member has claimed."""
    lost: int
    disk_free_bytes: int
    uptime_s: float


class MarketplaceState(msgspec.Struct, frozen=True, kw_only=True):
    """What `hansa status`, `hansa doctor` and `/readyz` say of a marketplace that runs."""

    status: str
    """`ready`, `degraded` or `not ready`."""
    wrong: tuple[Wrong, ...]
    figures: Figures
    did: str
    endpoint: str
    chain_id: str
    version: str
    ruleset: str
    """Empty while the ledger does not answer."""
    app_hash: str
    upgrade: str
    """A change of rules that is decided: name and height; empty: none."""
    validator: str
    """What it does, in words."""
    tasks: tuple[RunningPart, ...]
    processes: tuple[RunningPart, ...]
    refusals: tuple[RefusedOwn, ...]
    misbehavior: tuple[ValidatorEvidence, ...]
    wrong_answers: tuple[WrongAnswers, ...]
    followed: tuple[FollowedEndpoint, ...]
    types: tuple[TypeCount, ...]


class StateReads(Protocol):
    """Knows the state."""

    async def state(self) -> MarketplaceState:
        """As it is now."""


class OperationPage(OperatorPage, frozen=True, kw_only=True):
    """For the template `league/start.html`."""

    state: MarketplaceState
