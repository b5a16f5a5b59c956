"""The feed as events, prepared once for all listeners that are at about the same place.

Listeners are at different places, and many are at about the same. Rows are read a chunk at a time, and
chunks, like prepared events, are cached; so a thousand listeners that catch up read a chunk once. A chunk
begins at a multiple of its length, so that all who read it read the same rows.

A listener that people or machines of an organisation registered is sent what they may read, decided when an
event is sent: on the entity as it is then, by the policies that hold then (`VisibleEvents`). Nothing is sent
any more once the organisation, its person or the credential was removed, or the credential has expired. Of a
deleted entity no more is known than its parties and its state; where that is gone, too, it is notified to
nobody whose rights depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from hansa.business.context import Context
from hansa.business.hub.events import Event, events_of
from hansa.business.models import Models
from hansa.business.rights.reading import EntityReader
from hansa.business.visibility import PublicParts
from hansa.core.access import Caller, EntityFacts
from hansa.core.cache import Cache
from hansa.core.clock import epoch_s
from hansa.store import Change, Entity, Store
from hansa.store.tables.subscriptions import Subscription, deletion

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


def caller_of(subscription: Subscription) -> Caller:
    """Whose rights hold for a registration.

    Raises:
        msgspec.ValidationError: It was written by another release, in a form that is not understood.
    """
    if not subscription.caller:
        return Caller(subscription.subscriber)
    return msgspec.json.decode(subscription.caller, type=Caller)


class VisibleEvents:
    """Decides about the events of listeners."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._aliases = context.aliases
        self._parts = PublicParts(context.models)

    def is_served(self, caller: Caller) -> bool:
        """Whether anything may be sent on behalf of somebody now."""
        expires_s = caller.credential_expires_s
        has_expired = expires_s is not None and epoch_s(self._context.clock) > expires_s
        return not has_expired and not self._context.has_removed(caller)

    async def event(self, caller: Caller, change: Change, place: int) -> Event | None:
        """An event of a row of the feed, as the caller may see it now; None: not at all."""
        store = self._context.store
        entity = None if change.operation == "delete" else await store.entity(change.entity_id)
        reader = await self._reader(caller)
        if entity is None:
            if not await self._may_know_of_deletion(reader, change):
                return None
        else:
            body = await self._shown(reader, entity)
            if body is None:
                return None
            entity = msgspec.structs.replace(entity, body=body)
        events = events_of(change, entity, self._context.models, self._context.endpoint)
        return next((one for one in events if one.place == place), None)

    async def may_see_below(self, caller: Caller, entity: Entity) -> bool:
        """Whether somebody may be notified of what is below an entity, as the events of a topic."""
        return (await self._reader(caller)).shown(entity) is not None

    async def _reader(self, caller: Caller) -> EntityReader:
        return EntityReader(caller, await self._aliases.of(caller.organization), self._context, self._parts)

    async def _shown(self, reader: EntityReader, entity: Entity) -> bytes | None:
        if entity.parent is None:
            return reader.shown(entity)
        parent = await self._context.store.entity(entity.parent)
        return None if parent is None else reader.shown_below(entity, parent)

    async def _may_know_of_deletion(self, reader: EntityReader, change: Change) -> bool:
        if change.parent is not None:
            parent = await self._context.store.entity(change.parent)
            return parent is not None and reader.sees_all_below(parent)
        if change.origin is not None and change.type in self._context.models.catalogue_types:
            return reader.admits(change.type, EntityFacts({"id": change.entity_id}, True, is_whole=False))
        known = await deletion(self._context.store, change.entity_id)
        if known is None:
            return False
        fields: Mapping[str, Any] = msgspec.json.decode(known.facts)
        return reader.admits(change.type, EntityFacts(fields, known.was_public, is_whole=False))
