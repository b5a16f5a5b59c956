"""Answers from the ledger's state, from one connection that only reads.

Every answer is of one block: it is read in one transaction, which is short, because SQLite begins its log
anew only when nobody reads what is in it; whatever can be computed afterwards is. The work for an answer is
bounded: in events, in bytes, in positions visited, in events hashed for proofs, and in time (`check` of the
constructor).

A state that contradicts itself raises `StateDamaged`. Not everything is looked for: that is what the writer
does at its start, and what an event's proof is for.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from hansa.core.closed_structs import StructForm, StructT
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import MEMBER, Member
from hansa.core.trust.certificates import CERTIFICATES, read_key_certificate
from hansa.pubsub.league.state import NOT_OF_LEAGUE, TYPED, LeagueState, RegistryState
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS, Sections, record_sections
from hansa.pubsub.ledger.commitments.claims import (
    CLAIM_SIZE_BYTES,
    bucket_of,
    decode_claim,
    issuer_digest,
    positions_of,
    records_on,
)
from hansa.pubsub.ledger.commitments.stored import ISSUER, MISBEHAVIOR, VALIDATOR
from hansa.pubsub.ledger.commitments.tiles import TreeMissing
from hansa.pubsub.ledger.genesis import PARAMETERS, LedgerParams
from hansa.pubsub.ledger.reading.history import (
    batches_after,
    history_segment,
    missing_events,
    visible_events,
)
from hansa.pubsub.ledger.reading.ids import positions_of_ids
from hansa.pubsub.ledger.reading.pages import EventPages, StateDamaged
from hansa.pubsub.ledger.reading.parts import StateParts, state_parts
from hansa.pubsub.ledger.reading.proofs import ProofReader
from hansa.pubsub.ledger.reading.search import EventSearch, check_keys
from hansa.pubsub.ledger.rules import upgrades
from hansa.pubsub.ledger.storage.compact import expanded_jws
from hansa.pubsub.ledger.storage.schema import MissingRow
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.ledger_records import (
    Claim,
    ClaimPage,
    CommittedEvent,
    EventFilter,
    EventPage,
    Misbehavior,
    PlannedUpgrade,
    RecordPage,
)
from hansa.pubsub.proofs import (
    NO_HISTORY,
    ClaimsProof,
    ConsistencyProof,
    HistoryRequest,
    InclusionProof,
    StateProofs,
    StoredCheckpoint,
)

EVENTS_MAX: Final = 500
IDS_MAX: Final = 1000
RECORDS_MAX: Final = 256
"""In one answer."""

_HEAD: Final = "SELECT height, time_ms, events, app_hash, sections FROM head"
_MISBEHAVIOR: Final = "SELECT body FROM misbehavior ORDER BY evidence_id"
_VALIDATORS: Final = "SELECT body FROM validator ORDER BY address"
_MEMBERS: Final = "SELECT body FROM member ORDER BY did"


class LedgerHead(msgspec.Struct, frozen=True):
    """The ledger after its last block, in short."""

    height: int
    time_ms: int
    """Of the block, milliseconds since 1970."""
    position: int
    """Of the newest event; 0 before the first."""
    app_hash: str
    """Hex."""
    ruleset: str
    """Name of the rule set that judges."""
    powers: dict[str, int]
    """Voting power by the address of a validator."""
    misbehavior: tuple[Misbehavior, ...]
    """Evidence against validators, in the order of their addresses."""
    upgrade: PlannedUpgrade | None
    """A change of rules that is to come."""


class IssuerPositions(msgspec.Struct, frozen=True):
    """Those of an issuer's events that are on the ledger, and how far the issuer is."""

    events: dict[str, tuple[int, str]]
    """Position and `content_digest` by event id."""
    seq: int
    """Of the issuer's last batch; 0 before the first."""
    position: int
    """Of the ledger's last event."""


class IssuerBatch(msgspec.Struct, frozen=True):
    """Whether a batch is on the ledger, and how far its issuer is."""

    first_position: int | None
    """Of the batch; None: it is not on the ledger, or another one has its number."""
    seq: int
    """Of the issuer's last batch; 0 before the first."""
    position: int
    """Of the ledger's last event."""


class _HeadRow(NamedTuple):
    height: int
    time_ms: int
    events: int
    app_hash: bytes
    sections: bytes


def content_digest(content: bytes) -> str:
    """Identifies an event by all that its issuer signed: SHA-256 of its content, hex."""
    return hashlib.sha256(content).hexdigest()


def _unlimited() -> None:
    """No limit of time."""


class LedgerReader:
    """Answers from a connection, for one thread at a time.

    Args:
        connection: To a state of this schema; nobody else uses it meanwhile.
        check: Called while an answer is made; raises when the time for it is over.

    All methods raise `Unavailable` before the ledger has begun.
    """

    def __init__(self, connection: apsw.Connection, check: Callable[[], None] = _unlimited) -> None:
        self._connection = connection
        self._check = check
        self._tables = TreeTables(connection)
        self._pages = EventPages(connection, check)
        self._revoked: tuple[bytes, frozenset[str]] = (b"", frozenset())
        """Revoked keys, and what `app_hash` commits to of the certificates."""
        self._members: tuple[bytes, tuple[Member, ...]] = (b"", ())
        """The registry, and what `app_hash` commits to of it."""
        self._params: tuple[bytes, LedgerParams] = (b"", LedgerParams())
        """The parameters, and their bytes."""
        self._issuers: dict[bytes, str] = {}
        """DIDs of issuers by their digests."""
        self._league: tuple[tuple[bytes, ...], LeagueState] | None = None
        """What the members have decided, and what `app_hash` commits to of it."""

    def head(self) -> LedgerHead:
        """The ledger in short."""
        with self._snapshot() as head:
            validators = self._records(_VALIDATORS, VALIDATOR)
            return LedgerHead(
                head.height,
                head.time_ms,
                head.events,
                head.app_hash.hex(),
                _sections(head).ruleset,
                {one.address: one.power for one in validators},
                self._records(_MISBEHAVIOR, MISBEHAVIOR),
                self._upgrade(),
            )

    def _upgrade(self) -> PlannedUpgrade | None:
        records = dict(self._tables.records(upgrades.SECTION))
        if upgrades.PLAN not in records:
            return None
        plan = upgrades.PLAN_FORM.read(records[upgrades.PLAN])
        return PlannedUpgrade(plan.height, plan.ruleset, plan.engine, upgrades.ready_members(records))

    def registry(self) -> RegistryState:
        """The members, ordered by DID, and the limits by which the league judges."""
        with self._snapshot() as head:
            return RegistryState(self._registered(head), self._parameters(head))

    def members(self) -> tuple[Member, ...]:
        """The members, ordered by DID."""
        return self.registry().members

    def revoked_keys(self) -> frozenset[str]:
        """The keys of members that were revoked, each as `certificate_key` names it."""
        with self._snapshot() as head:
            section = _sections(head)
            current = (
                section.content(CERTIFICATES) if CERTIFICATES in record_sections(section.ruleset) else b""
            )
            if current != self._revoked[0]:
                records = self._tables.records(CERTIFICATES)
                keys = (key for key, body in records if read_key_certificate(body).revoked_ms)
                self._revoked = current, frozenset(keys)
            return self._revoked[1]

    def _registered(self, head: _HeadRow) -> tuple[Member, ...]:
        registry, members = self._members
        current = _sections(head).content("registry")
        if current != registry:
            members = self._records(_MEMBERS, MEMBER)
            self._members = current, members
        return members

    def record_page(self, section: str, offset: int, limit: int) -> RecordPage:
        """Some records of a section, in the order of their keys, `RECORDS_MAX` at most."""
        with self._snapshot():
            records, total = self._tables.record_page(section, offset, min(limit, RECORDS_MAX))
        return RecordPage(tuple(records), total)

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section; None when there is none."""
        with self._snapshot():
            return self._tables.record(section, key)

    def league(self) -> LeagueState:
        """What the members have decided, and who they are."""
        with self._snapshot() as head:
            sections = _sections(head)
            names = [name for name in SECTIONS[sections.ruleset] if name not in NOT_OF_LEAGUE]
            identity = tuple(sections.content(name) for name in names)
            if self._league is None or self._league[0] != identity:
                self._check()
                state = LeagueState(
                    head.height,
                    head.time_ms,
                    sections.ruleset,
                    self._registered(head),
                    self._parameters(head),
                    {one.address: one for one in self._records(_VALIDATORS, VALIDATOR)},
                    {name: dict(self._tables.records(name)) for name in names if name not in TYPED},
                )
                self._league = identity, state
            return msgspec.structs.replace(self._league[1], height=head.height, time_ms=head.time_ms)

    def records(self, section: str) -> Mapping[str, bytes]:
        """The records of a section by key, in order, as they are stored; none where the rule set has none."""
        with self._snapshot():
            return dict(self._tables.records(section))

    def missing(self) -> MissingRow | None:
        """Which events are not here yet, of a ledger that began with a snapshot; None when all are."""
        with self._snapshot():
            return missing_events(self._connection)

    def history_segment(self, number: int) -> bytes:
        """A segment of the history. See `hansa.pubsub.ledger.reading.history`."""
        with self._snapshot() as head:
            return history_segment(self._connection, head.events, number)

    def batches_after(self, after: int) -> bytes:
        """The next batches. See `hansa.pubsub.ledger.reading.history`."""
        with self._snapshot() as head:
            return batches_after(self._connection, head.events, after)

    def state_parts(self, known: frozenset[str]) -> StateParts:
        """The state in parts. See `hansa.pubsub.ledger.reading.parts`."""
        with self._snapshot() as head:
            return state_parts(self._tables, head.height, _sections(head), known)

    def inclusion_proof(self, position: int) -> InclusionProof:
        """That an event is on the ledger. See `ProofReader.inclusion`."""
        with self._proofs() as proofs:
            return proofs.inclusion(position)

    def consistency_proof(self, earlier_size: int) -> ConsistencyProof:
        """That an earlier ledger is the beginning of this one. See `ProofReader.consistency`."""
        with self._proofs() as proofs:
            return proofs.consistency(earlier_size)

    def claims_proof(self, key: str) -> ClaimsProof:
        """Which claims there are on an entity key. See `ProofReader.claims`."""
        with self._proofs() as proofs:
            return proofs.claims(key)

    def state_proofs(
        self, positions: Sequence[int], key: str | None, history: HistoryRequest = NO_HISTORY
    ) -> StateProofs:
        """Proofs of one state. See `ProofReader.together`."""
        with self._proofs() as proofs:
            return proofs.together(positions, key, history, self._check)

    def leaves(self, after: int, limit: int) -> bytes:
        """Leaf hashes of the events after a position. See `ProofReader.leaves`."""
        with self._proofs() as proofs:
            return proofs.leaves(after, limit, self._check)

    def checkpoints(self, after: int, limit: int) -> tuple[StoredCheckpoint, ...]:
        """Checkpoints of the blocks with events after a height. See `ProofReader.checkpoints`."""
        with self._proofs() as proofs:
            return proofs.checkpoints(after, limit)

    def event_position(self, event_id: str) -> int | None:
        """Position of the first event with an id.

        Raises:
            Refused: `Code.INVALID`.
        """
        with self._snapshot():
            positions = [
                places[event_id][0]
                for did in self._issuer_dids()
                if event_id in (places := positions_of_ids(self._connection, did, (event_id,), self._check))
            ]
        return min(positions, default=None)

    def claims(self, keys: Sequence[str]) -> tuple[Claim, ...]:
        """The claims on some entity keys.

        Raises:
            Refused: `Code.INVALID` or `Code.TOO_LARGE`.
        """
        check_keys(keys)
        claims: list[Claim] = []
        with self._snapshot():
            for key in dict.fromkeys(keys):
                self._check()
                records = records_on(self._tables.bucket(bucket_of(key)), key)
                claims += sorted(map(self._claim, records), key=lambda one: one.first_position)
        return tuple(claims)

    def claims_from(self, bucket: int, count: int) -> ClaimPage:
        """Claims in the order of their keys. See `BusReads.claims_from`."""
        with self._snapshot():
            records, next_bucket = self._tables.claims_from(bucket, count)
            return ClaimPage(tuple(map(self._claim, records)), next_bucket)

    def _claim(self, record: bytes) -> Claim:
        digest = record[32:64]
        if digest not in self._issuers:
            self._issuers = {issuer_digest(did): did for did in self._issuer_dids()}
        issuer = self._issuers.get(digest)
        if issuer is None or len(record) != CLAIM_SIZE_BYTES:
            raise StateDamaged("a claim is that of nobody, or not whole")
        return decode_claim(record, issuer)

    def _issuer_dids(self) -> list[str]:
        return [did for (did,) in self._connection.execute("SELECT did FROM issuer ORDER BY did")]

    def positions(self, issuer: str, ids: Sequence[str]) -> IssuerPositions:
        """Where an issuer's events are, by their ids.

        Raises:
            Refused: `Code.INVALID` or `Code.TOO_LARGE`.
        """
        if len(ids) > IDS_MAX:
            raise Refused(Code.TOO_LARGE, f"{len(ids)} event ids at once; {IDS_MAX} are allowed.")
        with self._snapshot() as head:
            places = positions_of_ids(self._connection, issuer, ids, self._check)
            seq = self._seq_of(issuer)
        events = {
            event_id: (position, content_digest(content)) for event_id, (position, content) in places.items()
        }
        return IssuerPositions(events, seq, head.events)

    def issuer_batch(self, issuer: str, seq: int, jws: str, after: int) -> IssuerBatch:
        """Where an issuer's batch is: one row, however many events it has.

        Args:
            issuer: DID.
            seq: Its number.
            jws: The batch, as it was signed.
            after: A position before it.
        """
        with self._snapshot() as head:
            last_seq, first_position = self._seq_of(issuer), None
            if last_seq >= seq:
                row = self._connection.execute(
                    "SELECT first_position, jws FROM batch WHERE first_position > ? AND seq = ?"
                    " AND issuer = (SELECT number FROM name WHERE text = ?)",
                    (after, seq, issuer),
                ).fetchone()
                if row is not None and expanded_jws(row[1]) == jws:
                    first_position = int(row[0])
        return IssuerBatch(first_position, last_seq, head.events)

    def _seq_of(self, issuer: str) -> int:
        """The number of an issuer's last batch."""
        row = self._connection.execute("SELECT body FROM issuer WHERE did = ?", (issuer,)).fetchone()
        return 0 if row is None else _stored(ISSUER, row[0]).seq

    def events(
        self, after: int, filter: EventFilter, limit: int = EVENTS_MAX, *, with_proofs: bool = False
    ) -> EventPage:
        """A page of the events that match, after a position; it ends early when it is large.

        Raises:
            Refused: `Code.INVALID` or `Code.TOO_LARGE`.
        """
        if after < 0 or limit < 1:
            raise Refused(Code.INVALID, "after is 0 or more, limit 1 or more.")
        with self._snapshot() as head:
            search = EventSearch(self._connection, filter, self._parameters(head), self._check)
            events = visible_events(self._connection, head.events)
            matches = search.after(after, events, min(limit, EVENTS_MAX))
            rows, batches = self._pages.rows(matches.positions, with_proofs=with_proofs)
        is_whole = len(rows) == len(matches.positions)
        scanned_to = matches.scanned_to if is_whole else rows[-1].position
        return EventPage(self._pages.committed(rows, batches), scanned_to, last_position=events)

    def visible(self) -> int:
        """How many events can be read: all, unless the history is still fetched."""
        with self._snapshot() as head:
            return visible_events(self._connection, head.events)

    def newest_positions(self, buckets: range, after: int, end: int) -> array[int]:
        """Where the newest event is of each key in some buckets, after one position and up to another.

        Of a key that has its newest event behind the end, and its first one before, that one.
        """
        with self._snapshot():
            rows = self._tables.buckets(buckets.start, buckets.stop)
        positions = array("Q")
        for _, records in rows:
            self._check()
            for first, last in positions_of(records):
                position = last if last <= end else first
                if after < position <= end:
                    positions.append(position)
        return positions

    def events_at(self, positions: Sequence[int]) -> tuple[CommittedEvent, ...]:
        """The events at some positions, in their order; fewer, one at least, when they are large."""
        with self._snapshot():
            rows, batches = self._pages.rows(list(positions[:EVENTS_MAX]), with_proofs=False)
        return self._pages.committed(rows, batches)

    def _parameters(self, head: _HeadRow) -> LedgerParams:
        parameters = _sections(head).content("parameters")
        if self._params[0] != parameters:
            self._params = parameters, _stored(PARAMETERS, parameters)
        return self._params[1]

    def _records(self, sql: str, form: StructForm[StructT]) -> tuple[StructT, ...]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return tuple(_stored(form, body) for (body,) in rows)

    @contextmanager
    def _proofs(self) -> Iterator[ProofReader]:
        """What makes proofs about the state of now."""
        with self._snapshot():
            try:
                yield ProofReader(self._connection)
            except (TreeMissing, msgspec.DecodeError, TypeError) as error:
                raise StateDamaged(str(error)) from error

    @contextmanager
    def _snapshot(self) -> Iterator[_HeadRow]:
        """A read transaction, and the ledger's head in it."""
        self._connection.execute("BEGIN")
        try:
            row = self._connection.execute(_HEAD).fetchone()
            if row is None:
                raise Unavailable(Code.UNAVAILABLE, "The ledger has not begun yet.")
            yield _HeadRow._make(row)
        finally:
            # An error of SQLite may have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _sections(head: _HeadRow) -> Sections:
    """What `app_hash` is the root of."""
    try:
        return Sections.decoded(head.sections)
    except (msgspec.DecodeError, TypeError) as error:
        raise StateDamaged("the head is not readable") from error


def _stored(form: StructForm[StructT], body: bytes) -> StructT:
    """A record of the state. Raises `StateDamaged`."""
    if not isinstance(body, bytes):  # a file that was cut off reads as zeros, and those as nothing
        raise StateDamaged("a record is not there")
    try:
        return form.read(body)
    except (Refused, TypeError) as error:  # a file that is cut off may have NULL where none can be
        raise StateDamaged(str(error)) from error
