"""The rules of the ledger: a pure function of the blocks.

`execute` takes the state before a block (a `StateView`), the block, and gives the state's changes
(`BlockEffects`); it reads no clock, no file and no setting. The same code decides in four places:

- CheckTx: one transaction against the committed state, before it may wait in the mempool;
- PrepareProposal: the waiting transactions one after another, invalid ones left out;
- ProcessProposal: a proposed block, refused when any of its transactions is invalid;
- FinalizeBlock: the decided block; an invalid transaction gets its code and has no effect.

What is checked of an event, in this order: size and form (`transactions`, `hansa.core.events`), its issuer is an
active member, the named key is one of the issuer's, the signature verifies with that key's one algorithm, the
issuer has not used the event's id before, the location lies where the issuer serves that entity, and the version
continues the chain.

Ids and entity keys are bound to their issuer. A ledger cannot check that an entity key is the hash of the
issuer's DID and an identifier it does not know; were a key (or an id) taken by whoever commits it first, seeing
an event on its way would be enough to take it from its rightful owner (docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Refused
from hansa.core.events import ENTITIES_PATH, LifecycleEvent, entity_location
from hansa.core.members import Member
from hansa.core.merkle import Frontier, leaf_hash, root
from hansa.pubsub.bus import Claim
from hansa.pubsub.ledger.verification import SignedEvent, TransactionReader


class Head(msgspec.Struct, frozen=True):
    """Where the ledger stands after a block."""

    height: int
    time_ms: int
    """Block time, milliseconds since 1970."""
    tree: Frontier
    """The Merkle tree over all events' bytes."""
    members_root: bytes

    @property
    def position(self) -> int:
        """Position of the newest event."""
        return self.tree.size

    @property
    def app_hash(self) -> bytes:
        """What the validators sign: commits to all events and to the member registry."""
        return root([leaf_hash(b"events" + self.tree.root()), leaf_hash(b"members" + self.members_root)])


class NewEvent(msgspec.Struct, frozen=True):
    """An event that takes its position."""

    position: int
    jws: str
    event: LifecycleEvent


class Block(msgspec.Struct, frozen=True):
    """What the state machine is told of a block."""

    height: int
    time_ms: int
    transactions: tuple[bytes, ...]


class BlockEffects(msgspec.Struct, frozen=True):
    """Everything that a block changes."""

    head: Head
    events: tuple[NewEvent, ...]
    claims: tuple[Claim, ...]
    """Claims that are new or changed, in the order of their first change."""
    refusals: tuple[Refused | None, ...]
    """One for each transaction; None when it took effect."""


class StateView(Protocol):
    """The state as the rules see it."""

    @property
    def head(self) -> Head:
        """Where the ledger stands."""

    def member(self, did: str) -> Member | None:
        """The member with that DID."""

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""


class Overlay:
    """A state with events on top that are not (yet) part of it. The state below stays as it is."""

    def __init__(self, below: StateView) -> None:
        self._below = below
        self._tree = below.head.tree
        self._ids: set[tuple[str, str]] = set()
        self._claims: dict[tuple[str, str], Claim] = {}
        self._events: list[NewEvent] = []
        self._found: dict[tuple[str, str], Claim | None] = {}

    @property
    def head(self) -> Head:
        """Where the ledger would stand."""
        return msgspec.structs.replace(self._below.head, tree=self._tree)

    @property
    def events(self) -> tuple[NewEvent, ...]:
        """What was put on top."""
        return tuple(self._events)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that this changed."""
        return tuple(self._claims.values())

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return self._below.member(did)

    def has_event(self, issuer: str, event_id: str) -> bool:
        """Whether the issuer has used that event id."""
        return (issuer, event_id) in self._ids or self._below.has_event(issuer, event_id)

    def claim(self, issuer: str, key: str) -> Claim | None:
        """The issuer's claim on an entity key."""
        changed = self._claims.get((issuer, key))
        if changed is not None:
            return changed
        if (issuer, key) not in self._found:
            self._found[issuer, key] = self._below.claim(issuer, key)
        return self._found[issuer, key]

    def append(self, signed: SignedEvent) -> None:
        """Put a checked event on top."""
        event = signed.event
        self._tree = self._tree.append(leaf_hash(signed.jws.encode()))
        position = self._tree.size
        before = self.claim(event.issuer, event.entity.key)
        self._claims[event.issuer, event.entity.key] = Claim(
            key=event.entity.key,
            issuer=event.issuer,
            first_position=before.first_position if before else position,
            last_position=position,
            version=event.entity.version,
            hashlink=event.hashlink,
            is_deleted=event.is_delete,
        )
        self._ids.add((event.issuer, event.id))
        self._events.append(NewEvent(position, signed.jws, event))

    def absorb(self, upper: Overlay) -> None:
        """Take over everything from an overlay that lies on this one."""
        assert upper._below is self, "only what was checked on top of this state can become part of it"
        self._tree = upper._tree
        self._ids |= upper._ids
        self._claims |= upper._claims
        self._events += upper._events


def members_root(members: Sequence[Member]) -> bytes:
    """Merkle root over the member registry: canonical JSON of each, ordered by DID."""
    ordered = sorted(members, key=lambda member: member.did)
    return root([leaf_hash(canonical_json(msgspec.to_builtins(member))) for member in ordered])


def genesis_head(members: Sequence[Member], time_ms: int) -> Head:
    """Where a ledger stands before its first block."""
    return Head(height=0, time_ms=time_ms, tree=Frontier(), members_root=members_root(members))


def apply_transaction(
    state: Overlay, raw: bytes, reader: TransactionReader, *, may_be_ahead: bool = False
) -> None:
    """Apply a transaction to an overlay: all of it or nothing.

    Args:
        state: Changed when the transaction is valid, else not.
        raw: The transaction.
        reader: Reads and verifies.
        may_be_ahead: Lets a version pass whose predecessor alone is missing. Only for deciding what may wait: a
            publisher whose member is one block ahead sends the next version before we have seen the one before.

    Raises:
        Refused: the code of the first rule that the transaction breaks.
    """
    upper = Overlay(state)
    for signed in reader.read(raw):
        check_event(upper, signed, reader, may_be_ahead=may_be_ahead)
        upper.append(signed)
    state.absorb(upper)


def check_event(
    state: StateView, signed: SignedEvent, reader: TransactionReader, *, may_be_ahead: bool = False
) -> None:
    """Check one well-formed event against the state.

    Raises:
        Refused: the code of the first rule that the event breaks.
    """
    event = signed.event
    member = state.member(event.issuer)
    if member is None or member.status != "active":
        raise Refused(Code.EVENT_ISSUER_UNKNOWN, f"{event.issuer} is not an active member of this league.")
    jwk = member.key(signed.kid)
    if jwk is None:
        raise Refused(Code.EVENT_SIGNATURE_INVALID, f"{event.issuer} has no key {signed.kid!r}.")
    reader.verify(signed, jwk)
    if state.has_event(event.issuer, event.id):
        raise Refused(Code.EVENT_DUPLICATE, f"Event {event.id} is on the ledger already.")
    if event.location != entity_location(member.endpoint, event.entity.key, event.hashlink):
        raise Refused(
            Code.EVENT_LOCATION_FOREIGN,
            f"The location is not where {event.issuer} serves the entity: under {member.endpoint}{ENTITIES_PATH}/.",
        )
    _check_chain(state.claim(event.issuer, event.entity.key), event, may_be_ahead=may_be_ahead)


def _check_chain(last: Claim | None, event: LifecycleEvent, *, may_be_ahead: bool) -> None:
    """The version follows the last one, and `previous` is that one's hashlink.

    The recorded hashlink of a deletion is that of the version it deleted, so a re-creation continues the chain.
    """
    expected, version = (last.version + 1 if last else 1), event.entity.version
    if may_be_ahead and version == expected + 1:
        return
    if version != expected:
        raise Refused(Code.EVENT_VERSION_BROKEN, f"Version {version} does not follow; {expected} would.")
    if event.previous != (last.hashlink if last else None):
        raise Refused(Code.EVENT_VERSION_BROKEN, "`previous` is not the hashlink of the version before.")
    if event.is_delete and event.hashlink != event.previous:
        raise Refused(Code.EVENT_VERSION_BROKEN, "A deletion's location names the version that is deleted.")


def select_transactions(
    view: StateView, candidates: Sequence[bytes], size_max_bytes: int, reader: TransactionReader
) -> list[bytes]:
    """The candidates that can stand in one block, in their order (PrepareProposal)."""
    state = Overlay(view)
    selected: list[bytes] = []
    size_bytes = 0
    for raw in candidates:
        framed_bytes = len(raw) + _framing_bytes(len(raw))
        if size_bytes + framed_bytes > size_max_bytes:
            continue
        try:
            apply_transaction(state, raw, reader)
        except Refused:
            continue  # it stays with its submitter, who was or will be told when it is checked again
        selected.append(raw)
        size_bytes += framed_bytes
    return selected


def _framing_bytes(size: int) -> int:
    """What protobuf adds to a transaction in a block: a tag and a varint length."""
    return 1 + max(1, (size.bit_length() + 6) // 7)


def find_invalid(view: StateView, transactions: Sequence[bytes], reader: TransactionReader) -> Refused | None:
    """The reason to reject a proposed block with these transactions; None when there is none (ProcessProposal)."""
    state = Overlay(view)
    for raw in transactions:
        try:
            apply_transaction(state, raw, reader)
        except Refused as refusal:
            return refusal
    return None


def execute(view: StateView, block: Block, reader: TransactionReader) -> BlockEffects:
    """The effects of a decided block on the state before it (FinalizeBlock)."""
    assert block.height > view.head.height, "blocks are executed in order"
    state = Overlay(view)
    refusals: list[Refused | None] = []
    for raw in block.transactions:
        try:
            apply_transaction(state, raw, reader)
            refusals.append(None)
        except Refused as refusal:
            refusals.append(refusal)
    head = msgspec.structs.replace(state.head, height=block.height, time_ms=block.time_ms)
    return BlockEffects(head, state.events, state.claims, tuple(refusals))
