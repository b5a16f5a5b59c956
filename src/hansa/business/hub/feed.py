"""The feed as events, prepared once for all listeners that are at about the same place.

Listeners are at different places, and many are at about the same. Rows are read a chunk at a time, and
chunks, like prepared events, are cached; so a thousand listeners that catch up read a chunk once. A chunk
begins at a multiple of its length, so that all who read it read the same rows.
"""

from __future__ import annotations

from typing import Any, Final

import structlog

from hansa.business.hub.events import Event, events_of
from hansa.business.models import Models
from hansa.core.cache import Cache
from hansa.store import Change, Store

CHUNK_ROWS: Final = 256
"""Rows of the feed that are read at a time."""
CHUNKS_MAX: Final = 32
EVENTS_SIZE_MAX_BYTES: Final = 16_777_216
EVENT_OVERHEAD_BYTES: Final = 512
"""Of a prepared event, beside its body."""

Rows = tuple[Change, ...]

log = structlog.get_logger()


class EventFeed:
    """Rows of the feed and their events."""

    def __init__(self, store: Store, models: Models, endpoint: str) -> None:
        self._store = store
        self._models = models
        self._endpoint = endpoint
        self._chunks: Cache[int, tuple[Rows, int]] = Cache("hub_chunks", CHUNKS_MAX)
        """By number of the chunk, its rows and the last row up to which it was read."""
        self._events: Cache[int, tuple[Event, ...]] = Cache(
            "hub_events", EVENTS_SIZE_MAX_BYTES, size_of=_size_bytes
        )
        """By number of the row."""

    @property
    def caches(self) -> tuple[Cache[Any, Any], ...]:
        """Its caches, for their figures."""
        return self._chunks, self._events

    async def chunk(self, number: int, head: int) -> Rows:
        """Rows number * CHUNK_ROWS + 1 to (number + 1) * CHUNK_ROWS, as far as `head`."""
        rows, read_to = self._chunks.get(number) or ((), number * CHUNK_ROWS)
        end = min(head, (number + 1) * CHUNK_ROWS)
        if read_to < end:
            more = await self._store.changes(read_to, end - read_to)
            rows = (*rows, *(change for change in more if change.seq <= end))
            self._chunks.put(number, (rows, end))
        return rows

    async def rows_after(self, seq: int, head: int) -> tuple[Rows, int]:
        """The rows behind one, to the end of its chunk or to `head`; and the last row up to which that is."""
        number = seq // CHUNK_ROWS
        rows = await self.chunk(number, head)
        return tuple(change for change in rows if change.seq > seq), min(head, (number + 1) * CHUNK_ROWS)

    async def row(self, seq: int, head: int) -> Change | None:
        """One row; None when there is none of that number."""
        rows = await self.chunk((seq - 1) // CHUNK_ROWS, head)
        return next((change for change in rows if change.seq == seq), None)

    async def events(self, change: Change) -> tuple[Event, ...]:
        """The events of a row. Entities are shown as they are when their event is prepared.

        A row of which no event can be made has none: it is logged, and the rows behind it are delivered.
        """
        events = self._events.get(change.seq)
        if events is None:
            entity = None if change.operation == "delete" else await self._store.entity(change.entity_id)
            try:
                events = events_of(change, entity, self._models, self._endpoint)
            except Exception:
                log.exception("event_not_prepared", row=change.seq, type=change.type)
                events = ()
            self._events.put(change.seq, events)
        return events


def _size_bytes(events: tuple[Event, ...]) -> int:
    return sum(len(event.body) + EVENT_OVERHEAD_BYTES for event in events)
