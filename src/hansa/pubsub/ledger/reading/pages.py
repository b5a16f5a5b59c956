"""The events of a page: read within the bounds of one, and put together with the proofs of their batches.

What is stored is compressed row by row. It is expanded here after a statement has ended, and not by SQL: a
statement that calls back into the interpreter for each row holds up other threads, and its transaction the
writer's log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from hansa.core.batches import EventProof, event_proofs
from hansa.core.clock import rfc3339_at_ms
from hansa.core.events import committed_event
from hansa.pubsub.ledger.storage.compact import expanded_content, expanded_jws
from hansa.pubsub.ledger_records import CommittedEvent

PAGE_SIZE_MAX_BYTES: Final = 1_048_576
HASHED_MAX_BYTES: Final = 4_194_304
"""Contents of events that are hashed for the proofs of a page: a proof needs all of its batch."""

_EVENTS: Final = (
    "SELECT event.position, batch.height, block.time_ms, name.text,"
    " event_content.content, batch.jws, batch.first_position, batch.events"
    " FROM json_each(?) AS requested JOIN event ON event.position = requested.value"
    " JOIN event_content USING (position) JOIN batch ON batch.first_position = event.batch"
    " JOIN block ON block.height = batch.height JOIN name ON name.number = event.issuer"
    " ORDER BY requested.key"
)
_BATCHES: Final = (
    "SELECT batch.first_position, batch.events, batch.height, block.time_ms, name.text, batch.jws FROM batch"
    " JOIN block ON block.height = batch.height JOIN name ON name.number = batch.issuer"
    " WHERE batch.first_position BETWEEN (SELECT max(first_position) FROM batch WHERE first_position <= ?1) AND ?2"
    " ORDER BY batch.first_position"
)
_RUN: Final = "SELECT position, content FROM event_content WHERE position BETWEEN ? AND ? ORDER BY position"
_CONTENTS: Final = "SELECT content FROM event_content WHERE position >= ? AND position < ? ORDER BY position"


class StateDamaged(Exception):
    """The state contradicts itself; the message says where."""


class ReadEvent(NamedTuple):
    """An event as it is stored, and the block and the batch that it is in."""

    position: int
    height: int
    time_ms: int
    """Of the block."""
    issuer: str
    content: bytes
    """As it is stored; expanded in what `EventPages.rows` returns."""
    jws: bytes
    """Of the batch, as it is stored."""
    first_position: int
    """Of the batch."""
    events: int
    """Of the batch."""


class WholeBatch(NamedTuple):
    """A whole batch."""

    jws: str
    contents: list[bytes]


class EventPages:
    """Reads events by their positions.

    Args:
        connection: To a state.
        check: Called while a page is made; raises when the time for it is over.
    """

    def __init__(self, connection: apsw.Connection, check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check

    def rows(
        self, positions: Sequence[int], *, with_proofs: bool
    ) -> tuple[list[ReadEvent], dict[int, WholeBatch]]:
        """The events at these positions, up to the bounds of a page, one at least; and all of their batches.

        Contents are expanded here; batches are by the first position.
        """
        rows: list[ReadEvent] = []
        batches: dict[int, WholeBatch] = {}
        size_bytes = hashed_bytes = 0
        fetched = self._fetched(positions)
        if len(fetched) != len(positions):
            raise StateDamaged("an event is missing")
        for row in fetched:
            self._check()
            if not 0 <= row.position - row.first_position < row.events:
                raise StateDamaged(f"the event at {row.position} is not part of its batch")
            batch = batches.get(row.first_position)
            content = expanded_content(row.content)
            size_bytes += len(content)
            is_hashed_enough = False
            if with_proofs:
                if batch is None:
                    contents = [content] if row.events == 1 else self._contents(row)
                    batch = WholeBatch(expanded_jws(row.jws), contents)
                    hashed_bytes += sum(map(len, contents))
                    is_hashed_enough = hashed_bytes > HASHED_MAX_BYTES
                size_bytes += 2 * len(batch.jws)
            if rows and (size_bytes > PAGE_SIZE_MAX_BYTES or is_hashed_enough):
                break
            rows.append(row._replace(content=content))
            if batch is not None:
                batches[row.first_position] = batch
        return rows, batches

    def _fetched(self, positions: Sequence[int]) -> list[ReadEvent]:
        """The rows of some events, as they are stored.

        Of events in a row, as whoever follows all of them reads them, each batch is looked up once.
        """
        if not positions or list(positions) != list(range(positions[0], positions[0] + len(positions))):
            rows = self._connection.execute(_EVENTS, (msgspec.json.encode(positions).decode(),))
            return list(map(ReadEvent._make, rows.fetchall()))
        ends = positions[0], positions[-1]
        batches: list[tuple[Any, ...]] = self._connection.execute(_BATCHES, ends).fetchall()
        contents: list[tuple[Any, ...]] = self._connection.execute(_RUN, ends).fetchall()
        fetched: list[ReadEvent] = []
        for first_position, events, height, time_ms, issuer, jws in batches:
            for position, content in contents[len(fetched) :]:
                if position >= first_position + events:
                    break
                fetched.append(
                    ReadEvent(position, height, time_ms, issuer, content, jws, first_position, events)
                )
        return fetched

    def _contents(self, row: ReadEvent) -> list[bytes]:
        """Of all events of a row's batch."""
        contents: list[tuple[Any, ...]] = self._connection.execute(
            _CONTENTS, (row.first_position, row.first_position + row.events)
        ).fetchall()
        if len(contents) != row.events:
            raise StateDamaged(f"the batch at {row.first_position} is not whole")
        return [expanded_content(content) for (content,) in contents]

    def committed(
        self, rows: Sequence[ReadEvent], batches: Mapping[int, WholeBatch]
    ) -> tuple[CommittedEvent, ...]:
        """The events of some rows, with proofs where their batches are there."""
        events: list[CommittedEvent] = []
        proofs: dict[int, tuple[EventProof, ...]] = {}
        times: dict[int, str] = {}
        for row in rows:
            self._check()
            first = row.first_position
            if first in batches and first not in proofs:
                proofs[first] = event_proofs(batches[first].jws, batches[first].contents)
            if row.time_ms not in times:
                times[row.time_ms] = rfc3339_at_ms(row.time_ms)
            events.append(
                CommittedEvent(
                    row.position,
                    row.height,
                    times[row.time_ms],
                    committed_event(row.content, row.issuer),
                    row.content,
                    proofs[first][row.position - first] if first in batches else None,
                )
            )
        return tuple(events)
