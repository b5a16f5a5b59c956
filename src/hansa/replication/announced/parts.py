"""The announced parts of own entities: retained when they are announced, removed when nobody needs them.

What is published of an entity is worked out once, when it is announced. The store has those bytes from then
on: as the entity itself, or beside it (`hansa.store.tables.announced`). So an event on the ledger always
names bytes that can be served, however often the entity has changed since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hansa.core.clock import Clock, epoch_ms
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.store import Entity, Store, Transaction
from hansa.store.tables import announced
from hansa.store.tables.publications import Outgoing

PRUNE_INTERVAL_S: Final = 2.0
"""Between two looks at whether parts were retained long enough, while events are committed."""


class AnnouncedParts:
    """Retains announced parts of own entities, within bounds.

    Args:
        store: Has the entities and the parts.
        clock: For how long.
        limits: `announced_…`.
        retry: Repeats what fails for a while.
    """

    def __init__(self, store: Store, clock: Clock, limits: Limits, retry: Retry) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._retry = retry
        self._replaced = Signal(clock)

    async def retain(
        self,
        tx: Transaction,
        events: Sequence[Outgoing],
        parts: Mapping[str, Entity],
        entities: Mapping[str, Entity],
        feed_end: int,
    ) -> None:
        """Retain the parts that events announce, where the entities themselves are not those bytes.

        Args:
            tx: The transaction that announces them.
            events: What is announced.
            parts: What is published of each entity that is, by identifier.
            entities: Whole entities, as they were when the feed ended at `feed_end`.
            feed_end: A row of the feed.
        """
        is_unchanged = await tx.feed_end() == feed_end
        for event in events:
            part = parts.get(event.entity_id)
            if event.is_delete or part is None or (is_unchanged and part is entities[event.entity_id]):
                continue
            assert part.hashlink == event.hashlink, "an event names the part that it announces"
            current = None if is_unchanged else await tx.entity(event.entity_id)
            if current is None or current.hashlink != event.hashlink:
                await announced.retain(tx, event.key, event.version, event.hashlink, part.body)

    async def committed(self, tx: Transaction, event: Outgoing) -> None:
        """An event was committed: its predecessors have a successor from now on; what is withdrawn goes."""
        assert event.version > 0, "versions count from 1"
        if event.is_delete:
            await announced.remove(tx, event.key)
        elif event.version > 1:
            await announced.end(tx, event.key, event.version, epoch_ms(self._clock))
            self._replaced.notify()

    async def run(self) -> None:
        """Remove what was retained long enough, or is too much, until cancelled."""
        while True:
            seen = self._replaced.count
            while await self._retry(self._prune):
                pass
            await self._replaced.wait(seen, self._limits.announced_retained_s)
            await self._clock.sleep(PRUNE_INTERVAL_S)

    async def _prune(self) -> bool:
        ended_before_ms = epoch_ms(self._clock) - int(self._limits.announced_retained_s * 1000)
        bounds = (self._limits.announced_retained_max, self._limits.announced_retained_max_bytes)
        async with self._store.transaction() as tx:
            return await announced.prune(tx, ended_before_ms, *bounds)
