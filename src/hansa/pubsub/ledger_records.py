"""What the ledger of a league holds and reports, as values: events, claims, evidence, its status."""

from __future__ import annotations

from array import array
from typing import Literal, NamedTuple

import msgspec

from hansa.core.batches import EventProof
from hansa.core.events import LifecycleEvent, Metadata


class CommittedEvent(msgspec.Struct, frozen=True):
    """An event on the ledger."""

    position: int
    """1 for the first event of the league."""
    height: int
    """The block that committed it."""
    time: str
    """That block's time; RFC 3339. The event has a time of its own."""
    event: LifecycleEvent
    content: bytes
    """What was signed, with the rest of its batch."""
    proof: EventProof | None = None
    """Shows that the issuer signed it; None unless it was asked for."""


class EventFilter(msgspec.Struct, frozen=True):
    """Which events; an empty field lets everything pass."""

    types: tuple[str, ...] = ()
    """Event names, as `productOfferingCreateEvent`."""
    issuers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Entity keys."""
    entity_types: tuple[str, ...] = ()
    """TM Forum type names, as `ProductOffering`."""
    lifecycle_statuses: tuple[str, ...] = ()
    """What the event's metadata says of the entity; of this and of each that follows, one has to match."""
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    compliance: tuple[str, ...] = ()
    """Labels of compliance."""
    from_time: str | None = None
    """The event's own time at or after; RFC 3339."""
    to_time: str | None = None
    """The event's own time before; RFC 3339."""

    def accepts(self, event: LifecycleEvent) -> bool:
        """Whether an event matches; times are those of the ledger's form, `to_time` and `from_time` too."""
        return (
            (not self.types or event.type in self.types)
            and (not self.issuers or event.issuer in self.issuers)
            and (not self.keys or event.entity.key in self.keys)
            and (self.from_time is None or event.time >= self.from_time)
            and (self.to_time is None or event.time < self.to_time)
            and self.accepts_entity(event.entity.type, event.metadata)
        )

    def accepts_entity(self, entity_type: str, metadata: Metadata) -> bool:
        """Whether an event matches by what it says of its entity alone."""
        status = () if metadata.lifecycleStatus is None else (metadata.lifecycleStatus,)
        return all(
            not accepted or not set(accepted).isdisjoint(values)
            for accepted, values in (
                (self.entity_types, (entity_type,)),
                (self.lifecycle_statuses, status),
                (self.categories, metadata.categories),
                (self.regions, metadata.region),
                (self.compliance, metadata.compliance),
            )
        )


class EventPage(msgspec.Struct, frozen=True):
    """Some events in ledger order."""

    events: tuple[CommittedEvent, ...]
    scanned_to: int
    """Everything up to this position has been scanned: the cursor to continue from."""
    last_position: int
    """Position of the newest event on the ledger when the page was made."""


class NewestPositions(NamedTuple):
    """Where the newest event of each entity key is."""

    positions: array[int]
    """After the position that was named, in order; of a key that changed meanwhile, of its first event."""
    end: int
    """Position of the newest event on the ledger at that moment."""


class Claim(msgspec.Struct, frozen=True):
    """An issuer's claim on an entity key: the versions that it has published."""

    key: str
    issuer: str
    first_position: int
    last_position: int
    version: int
    hashlink: str
    """Of the last version."""
    is_deleted: bool


class ClaimPage(NamedTuple):
    """Some claims, in the order of their keys."""

    claims: tuple[Claim, ...]
    next_bucket: int | None
    """Where they continue; None at the end."""


class Misbehavior(msgspec.Struct, frozen=True):
    """Evidence against a validator, as the engine has verified it."""

    address: str
    """Of the validator."""
    height: int
    """Where it misbehaved."""
    kind: str
    """`duplicate_vote` or `light_client_attack`."""
    recorded_height: int = 0
    """Of the block that brought the evidence; 0 before it is recorded."""

    @property
    def evidence_id(self) -> str:
        """Tells evidence apart: further evidence that is equal in this has no effect."""
        return f"{self.address}/{self.height:016d}/{self.kind}"


class PlannedUpgrade(msgspec.Struct, frozen=True):
    """From which block on the members have decided to judge by other rules."""

    height: int
    """Of the first block that is judged by them."""
    ruleset: str
    engine: str = ""
    """The oldest version of the engine that may run from then on; empty: any."""
    ready: tuple[str, ...] = ()
    """DIDs of the members that have stated to be ready for it."""


class RecordPage(msgspec.Struct, frozen=True):
    """Some records of a section of the ledger's state."""

    records: tuple[tuple[str, bytes], ...]
    """Key and bytes, in the order of the keys."""
    total: int
    """How many the section has."""


class LedgerStatus(msgspec.Struct, frozen=True):
    """The state of the ledger, as this member sees it."""

    height: int
    position: int
    app_hash: str
    """Hex."""
    time: str | None
    """Time of the last block; None before the first."""
    catching_up: bool
    peers: int
    """Engines that this member's is connected to."""
    peer_ids: tuple[str, ...] = ()
    """Their node ids."""
    ruleset: str = ""
    """Name of the rules by which the league judges."""
    rules_digest: str = ""
    """SHA-256 of their declarations; hex."""
    powers: dict[str, int] = {}
    """Voting power by the address of a validator, for each since the genesis."""
    misbehavior: tuple[Misbehavior, ...] = ()
    """Evidence against validators, in the order of their addresses."""
    upgrade: PlannedUpgrade | None = None
    """A change of rules that is to come."""


GovernanceKind = Literal["member", "propose", "vote"]


class Governed(msgspec.Struct, frozen=True):
    """A transaction of governance that is committed."""

    jws: str
    """What was signed."""
    seq: int
    height: int
    """Of the block with it."""
