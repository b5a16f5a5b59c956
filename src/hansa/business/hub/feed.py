"""The feed as events, prepared once for all listeners that are at about the same place.

Listeners are at different places, and many are at about the same. Rows are read a piece at a time, and pieces, like
prepared events, stay for a while; so a thousand listeners that catch up read a piece once. A piece begins at a
multiple of its length, so that all who read it read the same.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hansa.business.hub.events import Event, events_of
from hansa.business.models import Models
from hansa.store import Change, Store

PIECE: Final = 256
"""Rows of the feed that are read at a time."""
PIECES_MAX: Final = 32
EVENTS_SIZE_MAX_BYTES: Final = 16_777_216

Rows = tuple[Change, ...]


class EventFeed:
    """Rows of the feed and their events."""

    def __init__(self, store: Store, models: Models, endpoint: str) -> None:
        self._store = store
        self._models = models
        self._endpoint = endpoint
        self._pieces: OrderedDict[int, tuple[Rows, int]] = OrderedDict()
        self._events: OrderedDict[int, tuple[Event, ...]] = OrderedDict()
        self._events_size_bytes = 0

    async def piece(self, number: int, head: int) -> Rows:
        """Rows number * PIECE + 1 to (number + 1) * PIECE, as far as `head`."""
        rows, read_to = self._pieces.get(number, ((), number * PIECE))
        end = min(head, (number + 1) * PIECE)
        if read_to < end:
            more = await self._store.changes(read_to, end - read_to)
            rows = (*rows, *(change for change in more if change.seq <= end))
            self._pieces[number] = rows, end
        self._pieces.move_to_end(number)
        if len(self._pieces) > PIECES_MAX:
            self._pieces.popitem(last=False)
        return rows

    async def after(self, seq: int, head: int) -> tuple[Rows, int]:
        """The rows behind one, as far as its piece and `head` go; and how far that is."""
        number = seq // PIECE
        rows = await self.piece(number, head)
        return tuple(change for change in rows if change.seq > seq), min(head, (number + 1) * PIECE)

    async def row(self, seq: int, head: int) -> Change | None:
        """One row; None when there is none of that number."""
        rows = await self.piece((seq - 1) // PIECE, head)
        return next((change for change in rows if change.seq == seq), None)

    async def events(self, change: Change) -> tuple[Event, ...]:
        """The events of a row. Entities are shown as they stand when an event is prepared for the first time."""
        found = self._events.get(change.seq)
        if found is not None:
            self._events.move_to_end(change.seq)
            return found
        entity = None if change.operation == "delete" else await self._store.entity(change.entity_id)
        found = events_of(change, entity, self._models, self._endpoint)
        if change.seq not in self._events:
            self._events[change.seq] = found
            self._events_size_bytes += _size_bytes(found)
        while self._events_size_bytes > EVENTS_SIZE_MAX_BYTES and len(self._events) > 1:
            _, gone = self._events.popitem(last=False)
            self._events_size_bytes -= _size_bytes(gone)
        return found


def _size_bytes(events: tuple[Event, ...]) -> int:
    return sum(len(event.body) + 512 for event in events)
