"""Segments of the history, for members that began with a snapshot; and which events are missing here."""

from __future__ import annotations

from typing import Any, Final

import apsw

from hansa.core.errors import Code, Refused, Unavailable
from hansa.pubsub.ledger.history.segment import (
    SEGMENT_EVENTS,
    HistoryBatch,
    compressed,
    encode_segment,
)
from hansa.pubsub.ledger.storage.compact import expanded_content, expanded_jws
from hansa.pubsub.ledger.storage.schema import MissingRow
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

_BATCHES: Final = (
    "SELECT batch.first_position, batch.events, batch.height, block.time_ms, jws"
    " FROM batch JOIN block ON block.height = batch.height"
    " WHERE batch.first_position > ? AND batch.first_position <= ? ORDER BY batch.first_position"
)
_CONTENTS: Final = "SELECT content FROM event_content WHERE position >= ? AND position < ? ORDER BY position"


def missing_events(connection: apsw.Connection) -> MissingRow | None:
    """Which events are not here yet; None when all are."""
    return TreeTables(connection).missing()


def visible_events(connection: apsw.Connection, events: int) -> int:
    """How many of a ledger's events are here without a gap."""
    missing = missing_events(connection)
    return events if missing is None else missing.first_position - 1


def history_segment(connection: apsw.Connection, events: int, number: int) -> bytes:
    """A segment as it travels; the last one is not full yet.

    Args:
        connection: In a read transaction.
        events: How many there are on the ledger.
        number: Of the segment, from 0.

    Raises:
        Refused: `Code.NOT_FOUND`: there is no such segment.
        Unavailable: this member does not have it itself yet.
    """
    first, end = number * SEGMENT_EVENTS, (number + 1) * SEGMENT_EVENTS
    if number < 0 or first >= events:
        raise Refused(Code.NOT_FOUND, f"The ledger has {events} events, none of segment {number}.")
    missing = missing_events(connection)
    if missing is not None and first < missing.last_position and end >= missing.first_position:
        raise Unavailable(Code.UNAVAILABLE, "This member fetches these events itself at present.")
    return compressed(encode_segment(_batches(connection, first, end)))


def batches_after(connection: apsw.Connection, events: int, after: int) -> bytes:
    """The batches that begin at the next positions after one, in the form of a segment, as it travels.

    Args:
        connection: In a read transaction.
        events: How many there are on the ledger.
        after: The last position before; where a batch ends.

    Raises:
        Unavailable: this member does not have them itself yet.
    """
    missing = missing_events(connection)
    end = min(events, after + SEGMENT_EVENTS)
    if missing is not None and after < missing.last_position and end >= missing.first_position:
        raise Unavailable(Code.UNAVAILABLE, "This member fetches these events itself at present.")
    return compressed(encode_segment(_batches(connection, after, end)))


def _batches(connection: apsw.Connection, after: int, end: int) -> list[HistoryBatch]:
    """The batches that begin after a position, up to another one."""
    rows: list[tuple[Any, ...]] = connection.execute(_BATCHES, (after, end)).fetchall()
    if not rows:
        return []
    begin, last = rows[0][0], rows[-1][0] + rows[-1][1]
    stored: list[tuple[Any, ...]] = connection.execute(_CONTENTS, (begin, last)).fetchall()
    contents = [expanded_content(content) for (content,) in stored]
    return [
        HistoryBatch(
            *(first_position, height, time_ms, expanded_jws(jws)),
            tuple(contents[first_position - begin : first_position - begin + count]),
        )
        for first_position, count, height, time_ms, jws in rows
    ]
