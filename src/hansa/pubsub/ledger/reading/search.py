"""Which events of the ledger match a filter: their positions, in order.

Every search is bounded by what it visits, and says how far it came (`Matches.scanned_to`):

    by entity key   the claims have the position of each entity's first event, and an index leads from that to
                    the later ones in order. They are read in runs, which are merged, `VISITED_MAX` events in
                    all
    by metadata     and by the entity's type: of the matches by all else, the events themselves are read,
                    `CONTENTS_VISITED_MAX` of them; the ledger has no index of what it does not judge
    by all else     a window of `SCANNED_POSITIONS_MAX` positions of the table `event`, whose rows are small:
                    100,000 of them take two milliseconds, so issuers, event names and times have no index of
                    their own, which every commit would have to write

An event's own time is bounded by that of its block (`event_ahead_max_s`, `event_behind_max_s`), and blocks'
times never decrease. So the events of a span of time lie between two positions, and only those are visited.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.events import Metadata
from hansa.core.identifiers import is_entity_key
from hansa.pubsub.ledger.commitments.claims import bucket_of, first_position_of, records_on
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading.times import time_ms_of
from hansa.pubsub.ledger.storage.compact import expanded_content
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.ledger_records import EventFilter

SCANNED_POSITIONS_MAX: Final = 100_000
VISITED_MAX: Final = 10_000
"""Rows of that index, about; twice as many at most."""
RUN_MIN: Final = 64
"""Of a run that is read on."""
KEYS_MAX: Final = 1000
NAMES_MAX: Final = 100
"""Issuers and event names together; and as many values of metadata."""
CONTENTS_VISITED_MAX: Final = 5000
_CONTENTS_AT_ONCE: Final = 500

_Bindings = tuple[int | str | bytes, ...]


class Matches(NamedTuple):
    """Positions that match."""

    positions: list[int]
    scanned_to: int
    """Everything up to here was visited."""


class _Condition(NamedTuple):
    """What a row of `event` has to satisfy: SQL, and its bindings."""

    sql: str
    bindings: _Bindings


class _Entity(msgspec.Struct, frozen=True):
    type: str


class _Described(msgspec.Struct, frozen=True):
    """What is read of an event's content."""

    entity: _Entity
    metadata: Metadata = Metadata()


_decoder: Final = msgspec.json.Decoder(_Described)


class EventSearch:
    """One search, within one read transaction.

    Args:
        connection: To the ledger's state.
        filter: What matches.
        params: Bound events' times.
        check: Called between statements; raises when the time for the search is over.

    Raises:
        Refused: `Code.INVALID` or `Code.TOO_LARGE`, for the filter.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        filter: EventFilter,
        params: LedgerParams,
        check: Callable[[], None],
    ) -> None:
        check_filter(filter)
        self._connection = connection
        self._filter = filter
        self._check = check
        self._first_block_ms: int | None = None
        self._end_block_ms: int | None = None
        conditions: list[_Condition] = []
        if filter.from_time is not None:
            from_ms = time_ms_of(filter.from_time)
            self._first_block_ms = from_ms - 1000 * params.event_ahead_max_s
            conditions.append(_Condition("event.time_ms >= ?", (from_ms,)))
        if filter.to_time is not None:
            to_ms = time_ms_of(filter.to_time)
            self._end_block_ms = to_ms + 1000 * params.event_behind_max_s
            conditions.append(_Condition("event.time_ms < ?", (to_ms,)))
        for column, names in (("issuer", filter.issuers), ("type", filter.types)):
            if names:
                conditions.append(
                    _Condition(
                        f"event.{column} IN (SELECT number FROM name WHERE text IN ({_placeholders(names)}))",  # noqa: S608
                        names,
                    )
                )
        self._condition = _Condition(
            " AND ".join(["TRUE", *(condition.sql for condition in conditions)]),
            tuple(binding for condition in conditions for binding in condition.bindings),
        )

        self._run_sql = (
            f"SELECT position, {self._condition.sql} FROM event INDEXED BY event_entity"  # noqa: S608
            " WHERE entity = ? AND entity <> position AND position BETWEEN ? AND ? ORDER BY position LIMIT ?"
        )
        self._first_sql = f"SELECT position, {self._condition.sql} FROM event WHERE position = ?"  # noqa: S608

    def after(self, position: int, last: int, limit: int) -> Matches:
        """The first `limit` matches after a position.

        Args:
            position: 0 for the beginning.
            last: Position of the newest event.
            limit: 1 or more.
        """
        if not _is_by_content(self._filter):
            return self._indexed_after(position, last, limit)
        positions: list[int] = []
        scanned_to, visited = position, 0
        while len(positions) < limit and scanned_to < last and visited < CONTENTS_VISITED_MAX:
            matches = self._indexed_after(scanned_to, last, _CONTENTS_AT_ONCE)
            for at, content in self._contents(matches.positions):
                if _matches_content(self._filter, content):
                    positions.append(at)
                    if len(positions) == limit:
                        return Matches(positions, at)
            visited += len(matches.positions) or _CONTENTS_AT_ONCE
            scanned_to = matches.scanned_to
            self._check()
        return Matches(positions, scanned_to)

    def _indexed_after(self, position: int, last: int, limit: int) -> Matches:
        """The same, for all of the filter but for what is in the events' contents."""
        first, end = position + 1, last
        if self._first_block_ms is not None:
            first = max(first, self._first_at(self._first_block_ms, last))
        if self._end_block_ms is not None:
            end = min(end, self._first_at(self._end_block_ms, last) - 1)
        if first > end:
            return Matches([], max(position, last))
        search = self._of_keys if self._filter.keys else self._scan
        matches = search(first, end, limit)
        # What lies behind the span of time cannot match, so it counts as visited.
        return matches._replace(scanned_to=last) if matches.scanned_to >= end else matches

    def _contents(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        rows = self._rows(
            "SELECT position, content FROM event_content"  # noqa: S608
            f" WHERE position IN ({_placeholders(positions)}) ORDER BY position",
            tuple(positions),
        )
        return [(position, expanded_content(content)) for position, content in rows]

    def _first_at(self, time_ms: int, last: int) -> int:
        """Position of the first event whose block's time is `time_ms` or later."""
        rows = self._rows(
            "SELECT first_position FROM block WHERE time_ms >= ? ORDER BY time_ms, first_position LIMIT 1",
            (time_ms,),
        )
        return int(rows[0][0]) if rows else last + 1

    def _rows(self, sql: str, bindings: _Bindings) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, bindings).fetchall()

    def _scan(self, first: int, end: int, limit: int) -> Matches:
        end = min(end, first + SCANNED_POSITIONS_MAX - 1)
        rows = self._rows(
            "SELECT position FROM event NOT INDEXED WHERE position BETWEEN ? AND ?"  # noqa: S608
            f" AND {self._condition.sql} ORDER BY position LIMIT ?",
            (first, end, *self._condition.bindings, limit),
        )
        positions = [position for (position,) in rows]
        return Matches(positions, positions[-1] if len(positions) == limit else end)

    def _of_keys(self, first: int, end: int, limit: int) -> Matches:
        """Merge the runs of the entities' events.

        Up to the least end of a run that goes on, the matches are complete. The entity with that end is the
        one that is read on, so that one with many events holds up none of the others.
        """
        entities = self._entities()
        if not entities:
            return Matches([], end)
        run_max = max(1, VISITED_MAX // (2 * len(entities)))
        if not self._condition.bindings:
            run_max = min(run_max, limit)
        positions: list[int] = []
        ends: list[tuple[int, int, int]] = []
        """Of the runs that go on: last position, entity, and size; a heap."""
        visited = 0

        def read_run(entity: int, start: int, size: int) -> None:
            nonlocal visited
            self._check()
            bindings = self._condition.bindings
            run = self._rows(self._first_sql, (*bindings, entity)) if start <= entity <= end else []
            run += self._rows(self._run_sql, (*bindings, entity, start, end, size - len(run)))
            visited += len(run)
            positions.extend(position for position, is_match in run if is_match)
            if len(run) == size:
                heapq.heappush(ends, (run[-1][0], entity, size))

        for entity in entities:
            read_run(entity, first, run_max)
        while ends and visited < VISITED_MAX and _count_until(positions, ends[0][0]) < limit:
            last, entity, size = heapq.heappop(ends)
            read_run(entity, last + 1, max(2 * size, RUN_MIN))
        if ends:
            end = ends[0][0]
        positions = sorted(position for position in positions if position <= end)[:limit]
        return Matches(positions, positions[-1] if len(positions) == limit else end)

    def _entities(self) -> list[int]:
        """Positions of the first events of those who claim the filter's keys."""
        keys = [key for key in dict.fromkeys(self._filter.keys) if is_entity_key(key)]
        buckets = dict(TreeTables(self._connection).some_buckets(sorted({bucket_of(key) for key in keys})))
        return [
            first_position_of(record)
            for key in keys
            for record in records_on(buckets.get(bucket_of(key), b""), key)
        ]


def _count_until(positions: Sequence[int], end: int) -> int:
    return sum(position <= end for position in positions)


def _is_by_content(filter: EventFilter) -> bool:
    return any(_content_values(filter))


def _content_values(filter: EventFilter) -> tuple[tuple[str, ...], ...]:
    return (
        *(filter.entity_types, filter.lifecycle_statuses, filter.categories),
        *(filter.regions, filter.compliance),
    )


def _matches_content(filter: EventFilter, content: bytes) -> bool:
    described = _decoder.decode(content)
    return filter.accepts_entity(described.entity.type, described.metadata)


def check_filter(filter: EventFilter) -> None:
    """Check what somebody searches for.

    Raises:
        Refused: `Code.INVALID` or `Code.TOO_LARGE`.
    """
    _check_count(len(filter.keys), KEYS_MAX, "keys")
    _check_count(len(filter.types) + len(filter.issuers), NAMES_MAX, "types and issuers")
    _check_count(
        sum(map(len, _content_values(filter))), NAMES_MAX, "values of metadata and types of entities"
    )
    for time in (filter.from_time, filter.to_time):
        if time is not None:
            time_ms_of(time)


def check_keys(keys: Sequence[str]) -> None:
    """Check entity keys that claims are requested of.

    Raises:
        Refused: `Code.INVALID` or `Code.TOO_LARGE`.
    """
    _check_count(len(keys), KEYS_MAX, "keys")
    if not all(map(is_entity_key, keys)):
        raise Refused(Code.INVALID, "An entity key is a SHA-256 in hex.")


def _check_count(count: int, maximum: int, what: str) -> None:
    if count > maximum:
        raise Refused(Code.TOO_LARGE, f"{count} {what} at once; {maximum} are allowed.")


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
