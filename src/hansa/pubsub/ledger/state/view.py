"""What is committed, as the rules read it, and what a block changes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from hansa.core.errors import Refused
from hansa.core.events import LifecycleEvent
from hansa.core.members import Member
from hansa.core.merkle import Frontier
from hansa.pubsub.ledger.commitments.state_trees import (
    Records,
    StateTrees,
    TreesUpdate,
)
from hansa.pubsub.ledger.commitments.stored import (
    IssuerState,
    ValidatorRecord,
)
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_records import Claim, Misbehavior


class Head(msgspec.Struct, frozen=True):
    """The ledger after a block, in short."""

    height: int
    """Of the block; 0 before the first."""
    time_ms: int
    """Block time, milliseconds since 1970."""
    tree: Frontier
    """The Merkle tree over all events' bytes."""
    app_hash: bytes
    """What the validators sign: commits to everything (`hansa.pubsub.ledger.commitments`)."""

    @property
    def position(self) -> int:
        """Position of the newest event; 0 before the first."""
        return self.tree.size


class Load(msgspec.Struct, frozen=True):
    """What counts against quotas."""

    events: int = 0
    size_bytes: int = 0

    def plus(self, other: Load) -> Load:
        """Both together."""
        return Load(self.events + other.events, self.size_bytes + other.size_bytes)


NOTHING: Final = Load()


class NewBatch(msgspec.Struct, frozen=True):
    """A batch with the positions that its events take."""

    jws: str
    issuer: str
    seq: int
    first_position: int
    count: int
    height: int
    """Of its block."""
    time_ms: int
    """Of its block, milliseconds since 1970."""


class NewEvent(msgspec.Struct, frozen=True):
    """An event with the position that it takes."""

    position: int
    content: bytes
    event: LifecycleEvent


class BlockEffects(msgspec.Struct, frozen=True):
    """Everything that a block changes."""

    head: Head
    batches: tuple[NewBatch, ...]
    events: tuple[NewEvent, ...]
    claims: tuple[Claim, ...]
    """Claims that are new or changed, each once."""
    members: tuple[Member, ...]
    """Members that are new or changed, in the order of their first change."""
    issuers: tuple[IssuerState, ...]
    """Issuers that published, in the order of their first batch."""
    validators: tuple[ValidatorRecord, ...]
    """Those that are new, or whose power changed, in the order of their first change."""
    misbehavior: tuple[Misbehavior, ...]
    """Evidence that was not recorded before."""
    records: Records
    """Changes of the sections without a type of their own."""
    params: LedgerParams
    """The ledger's limits after the block."""
    refusals: tuple[Refused | None, ...]
    """One for each transaction; None when it took effect."""
    trees: TreesUpdate
    """What changes below `app_hash`."""


class StateView(Protocol):
    """The state as the rules see it."""

    @property
    def head(self) -> Head:
        """The ledger in short."""

    @property
    def position(self) -> int:
        """Position of the newest event, with those on top; 0 before the first."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The registry, ordered by DID."""

    def member(self, did: str) -> Member | None:
        """The member with that DID."""

    @property
    def params(self) -> LedgerParams:
        """The ledger's limits."""

    @property
    def ruleset(self) -> str:
        """Name of the rule set that judges."""

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section without a type of its own here, as it is stored."""

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of such a section, in the order of their keys."""

    @property
    def time_ms(self) -> int:
        """The time by which rules judge: that of the block which is judged."""

    @property
    def validators(self) -> Mapping[str, ValidatorRecord]:
        """Every validator since the genesis, by its address."""

    @property
    def trees(self) -> StateTrees:
        """What `app_hash` commits to: that of the last whole block."""

    def has_misbehavior(self, evidence_id: str) -> bool:
        """Whether that evidence is recorded (`Misbehavior.evidence_id`)."""

    def issuer(self, did: str) -> IssuerState:
        """What is remembered of an issuer's batches."""

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""

    def claims(self, issuer: str, keys: Sequence[str]) -> Mapping[str, Claim]:
        """The issuer's claims on those of the entity keys that it has some on."""
