"""Queries to the ledger application: ABCI queries whose data and results are JSON.

    /status      LedgerHead                       the ledger in short
    /members     members                          the registry
    /events      EventsQuery    -> EventsAnswer   a page of events after a position
    /claims      ClaimsQuery    -> claims         what is known of some entity keys
    /positions   PositionsQuery -> positions      where an issuer's events are
    /check       a transaction  -> nothing        whether it would be valid now, and if not, why

The application answers consensus on the same loop, so the work for one query is bounded: in events, in bytes
and in positions scanned (`scanned_to` says how far). A time becomes a position by the blocks' times, which
never decrease.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hansa.core.batches import EventProof, event_proofs
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.pubsub.bus import EventFilter
from hansa.pubsub.ledger.sqlite_state import SqliteState, event_id_bytes
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger.state_machine import apply_transaction
from hansa.pubsub.ledger.transactions import TransactionReader

SCANNED_POSITIONS_MAX: Final = 20_000
ANSWER_SIZE_MAX_BYTES: Final = 1_048_576
EVENTS_MAX: Final = 500
KEYS_MAX: Final = 1000
IDS_MAX: Final = 1000
NAMES_MAX: Final = 100

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of events."""

    after: int
    filter: EventFilter
    limit: int = EVENTS_MAX
    with_proofs: bool = False


class ReportedEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event of the answer."""

    position: int
    height: int
    time: str
    """Of its block."""
    issuer: str
    content: str
    proof: EventProof | None


class EventsAnswer(msgspec.Struct, frozen=True):
    """The page."""

    events: tuple[ReportedEvent, ...]
    scanned_to: int
    last_position: int


class ClaimsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some entity keys."""

    keys: tuple[str, ...]


class PositionsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some event ids of one issuer."""

    issuer: str
    ids: tuple[str, ...]


class EventPosition(msgspec.Struct, frozen=True, array_like=True):
    """The position of an event."""

    id: str
    position: int
    content: str
    """SHA-256 of its content (`content_digest`)."""


class PositionsAnswer(msgspec.Struct, frozen=True):
    """Those of the events that are on the ledger, and how far the issuer is."""

    positions: tuple[EventPosition, ...]
    seq: int
    """Of the issuer's last batch; 0 before the first."""


class LedgerHead(msgspec.Struct, frozen=True):
    """The ledger after its last block, in short."""

    height: int
    position: int
    app_hash: str
    time_ms: int


class _Match(NamedTuple):
    """A row of the SQL that finds events."""

    position: int
    height: int
    time_ms: int
    """Of the block."""
    issuer: str
    content: bytes
    jws: str
    first_position: int
    """Of the batch."""
    events: int
    """Of the batch."""


_Query = TypeVar("_Query")


def content_digest(content: bytes) -> str:
    """Identifies an event by all that its issuer signed: SHA-256 of its content, hex."""
    return hashlib.sha256(content).hexdigest()


def time_text(time_ms: int) -> str:
    """A block's time; RFC 3339."""
    return rfc3339(_EPOCH + time_ms * _MILLISECOND)


def time_number(text: str) -> int:
    """The first whole millisecond at or after an RFC 3339 time.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(Code.INVALID, f"{text!r} is not an RFC 3339 time.") from error
    if moment.tzinfo is None:
        raise Refused(Code.INVALID, f"{text!r} has no time zone.")
    return -((_EPOCH - moment) // _MILLISECOND)


PEER_FILTER: Final = "/p2p/filter/"
"""Before what CometBFT asks of every peer (`filter_peers`): its address, and then its proved node id."""


class LedgerQueries:
    """Answers queries from the committed state."""

    def __init__(self, state: SqliteState, reader: Callable[[], TransactionReader]) -> None:
        self._state = state
        self._reader = reader
        self._queries: Mapping[str, Callable[[bytes], Any]] = {
            "/status": self._status,
            "/members": self._members,
            "/events": self._events,
            "/claims": self._claims,
            "/positions": self._positions,
            "/check": self._check,
        }

    def answer(self, path: str, data: bytes) -> bytes:
        """The JSON answer.

        Raises:
            Refused: `Code.NOT_FOUND` (no such path), `Code.INVALID`, `Code.TOO_LARGE`; of `/check` the
                ledger's codes.
        """
        if path.startswith(PEER_FILTER):
            return self._admit(path.removeprefix(PEER_FILTER))
        query = self._queries.get(path)
        if query is None:
            raise Refused(Code.NOT_FOUND, "There is no such query.")
        if self._state.is_empty:
            raise Refused(Code.NOT_FOUND, "The ledger has not begun.")
        return msgspec.json.encode(query(data))

    def _admit(self, peer: str) -> bytes:
        """Let an engine be a peer (`id/<node id>`) when the registry names it; any address may connect.

        Raises:
            Refused: `Code.FORBIDDEN`.
        """
        kind, _, name = peer.partition("/")
        if kind == "addr":
            return b""
        is_active = any(name in one.node_ids for one in self._state.members if one.status == "active")
        if kind != "id" or not is_active:
            raise Refused(Code.FORBIDDEN, "No active member of the league has an engine with this node id.")
        return b""

    def _status(self, _: bytes) -> LedgerHead:
        head = self._state.head
        return LedgerHead(head.height, head.position, head.app_hash.hex(), head.time_ms)

    def _members(self, _: bytes) -> Any:
        return self._state.members

    def _check(self, data: bytes) -> None:
        head = self._state.head
        apply_transaction(Overlay(self._state, head.height + 1, head.time_ms), data, self._reader())

    def _claims(self, data: bytes) -> Any:
        keys = _decode(data, ClaimsQuery).keys
        _check_count(len(keys), KEYS_MAX, "keys")
        if not all(map(is_entity_key, keys)):
            raise Refused(Code.INVALID, "An entity key is a SHA-256 in hex.")
        return tuple(claim for key in dict.fromkeys(keys) for claim in self._state.claims_on(key))

    def _positions(self, data: bytes) -> PositionsAnswer:
        query = _decode(data, PositionsQuery)
        _check_count(len(query.ids), IDS_MAX, "ids")
        positions: list[EventPosition] = []
        for id in query.ids:
            event_id_bytes(id)
            position = self._state.position_of(query.issuer, id)
            if position is not None:
                (content,) = self._contents(position, 1)
                positions.append(EventPosition(id, position, content_digest(content)))
        return PositionsAnswer(tuple(positions), self._state.issuer(query.issuer).seq)

    def _contents(self, first: int, count: int) -> list[bytes]:
        rows: list[tuple[Any, ...]] = self._state.connection.execute(
            "SELECT content FROM event_content WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, first + count - 1),
        ).fetchall()
        assert len(rows) == count, "every event is stored"
        return [content for (content,) in rows]

    # -- events ----------------------------------------------------------------------------------------------

    def _events(self, data: bytes) -> EventsAnswer:
        query = _decode(data, EventsQuery)
        filter, last = query.filter, self._state.head.position
        if query.after < 0 or query.limit < 1:
            raise Refused(Code.INVALID, "after is 0 or more, limit 1 or more.")
        _check_count(len(filter.keys), KEYS_MAX, "keys")
        _check_count(len(filter.types) + len(filter.issuers), NAMES_MAX, "types and issuers")
        first, end = self._range(query.after, filter, last)
        if first > end:
            return EventsAnswer((), max(query.after, last), last)
        rows, scanned_to = self._scan(first, end, filter, min(query.limit, EVENTS_MAX), query.with_proofs)
        # What lies behind the range is too late for the filter, so it counts as scanned.
        return EventsAnswer(rows, last if scanned_to >= end else scanned_to, last)

    def _range(self, after: int, filter: EventFilter, last: int) -> tuple[int, int]:
        """First and last position that can match."""
        first, end = after + 1, last
        if filter.from_time is not None:
            first = max(first, self._first_at(time_number(filter.from_time), last))
        if filter.to_time is not None:
            end = min(end, self._first_at(time_number(filter.to_time), last) - 1)
        return first, end

    def _first_at(self, time_ms: int, last: int) -> int:
        """Position of the first event whose block's time is `time_ms` or later."""
        row = self._state.connection.execute(
            "SELECT first_position FROM block WHERE time_ms >= ? ORDER BY time_ms, first_position LIMIT 1",
            (time_ms,),
        ).fetchone()
        return last + 1 if row is None else int(row[0])

    def _scan(
        self, first: int, end: int, filter: EventFilter, limit: int, with_proofs: bool
    ) -> tuple[tuple[ReportedEvent, ...], int]:
        conditions, bindings = self._conditions(filter)
        index = "INDEXED BY event_claim"  # leads to the events of some keys, however far apart they are
        if not filter.keys:
            index = "NOT INDEXED"
            end = min(end, first + SCANNED_POSITIONS_MAX - 1)
        matches = self._state.connection.execute(
            f"SELECT event.position, batch.height, block.time_ms, name.text, event_content.content, batch.jws,"  # noqa: S608
            f" batch.first_position, batch.events FROM event {index}"
            " JOIN event_content USING (position) JOIN batch ON batch.first_position = event.batch"
            " JOIN block ON block.height = batch.height JOIN name ON name.number = event.issuer"
            f" WHERE event.position BETWEEN ? AND ?{conditions} ORDER BY event.position LIMIT ?",
            (first, end, *bindings, limit),
        ).fetchall()
        rows: list[ReportedEvent] = []
        size_bytes = 0
        proofs: dict[int, tuple[EventProof, ...]] = {}
        for match in map(_Match._make, matches):
            size_bytes += len(match.content) + (2 * len(match.jws) if with_proofs else 0)
            if rows and size_bytes > ANSWER_SIZE_MAX_BYTES:
                return tuple(rows), rows[-1].position
            proof = None
            if with_proofs:
                batch = match.first_position
                if batch not in proofs:
                    proofs[batch] = event_proofs(match.jws, self._contents(batch, match.events))
                proof = proofs[batch][match.position - batch]
            time, content = time_text(match.time_ms), match.content.decode()
            rows.append(ReportedEvent(match.position, match.height, time, match.issuer, content, proof))
        return tuple(rows), rows[-1].position if len(rows) == limit else end

    def _conditions(self, filter: EventFilter) -> tuple[str, tuple[Any, ...]]:
        sql = ""
        bindings: list[Any] = []
        if filter.keys:
            sql += (
                f" AND event.claim IN (SELECT number FROM claim WHERE key IN ({_placeholders(filter.keys)}))"  # noqa: S608
            )
            bindings += [bytes.fromhex(key) if is_entity_key(key) else b"" for key in filter.keys]
        for column, names in (("issuer", filter.issuers), ("type", filter.types)):
            if names:
                sql += (
                    f" AND event.{column} IN (SELECT number FROM name WHERE text IN ({_placeholders(names)}))"  # noqa: S608
                )
                bindings += names
        return sql, tuple(bindings)


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _check_count(count: int, maximum: int, what: str) -> None:
    if count > maximum:
        raise Refused(Code.TOO_LARGE, f"{count} {what} at once; {maximum} are allowed.")


def _decode(data: bytes, type: type[_Query]) -> _Query:
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(Code.INVALID, f"The query's data is not of the expected form: {error}.") from error
