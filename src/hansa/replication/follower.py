"""The follower: from committed events on the ledger to pending retrievals in the store.

It reads committed events in ledger order from the cursor `follower`. For each page one store transaction puts
the versions to retrieve into the queue of retrievals, deletes the replicas of deleted entities, and moves the
cursor: every event is applied exactly once, whatever is killed when.

Of several events of one entity on a page only the last one counts. A deletion takes effect at once; a
retrieval of that entity that is in flight finds itself outdated when its response arrives. An entity whose
metadata does not meet the consume condition any more is treated as a deleted one.

An origin is in one of two states:

    followed    its events are applied as they come
    deferred    more than `retrievals_pending_max` of its retrievals are pending, because it publishes faster
                than its entities can be retrieved, or publishes and never serves. Its events are skipped, and
                the position is stored. When half of them are settled, its events are read again from that
                position, by a task of their own, until it has reached the follower's cursor. Other origins
                are not held up

Failures: when store or bus are unavailable the step is repeated with back-off (`Retry`), from its beginning.
An event of a type that is private everywhere is recorded as evidence against its issuer. This member's own
events are skipped: its publisher knows of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import Retry
from hansa.core.clock import Clock
from hansa.core.errors import Code
from hansa.core.events import LifecycleEvent
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus, CommittedEvent, EventFilter, EventPage
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.store import Store, Transaction
from hansa.store.tables import retrievals
from hansa.store.tables.retrievals import FOLLOWER_CURSOR

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0

ConsumeCondition = Callable[[LifecycleEvent], bool]
"""Whether this marketplace retrieves the entity of an event; decided by the event alone."""

log = structlog.get_logger()


def consume_all(event: LifecycleEvent) -> bool:
    """The consume condition of a marketplace that offers the whole shared catalogue."""
    del event
    return True


class FollowerCounters(msgspec.Struct, frozen=True):
    """What a follower has done since it started."""

    events_read: int = 0
    events_refused: int = 0
    deletions: int = 0


class Follower:
    """Applies the committed events of the league. One per store.

    Args:
        store: Has the cursor and the retrievals.
        bus: Has the events.
        did: This member.
        types: The types that may be public; an event of any other is refused.
        backlog: Shared with the retriever.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrievals_pending_max` (for each origin), `evidence_rows_max`, `events_page_max`.
        consumes: The consume condition.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        did: str,
        types: frozenset[str],
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        consumes: ConsumeCondition = consume_all,
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._types = types
        self._backlog = backlog
        self._limits = limits
        self._consumes = consumes
        self._retry = Retry("follower", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
        self._counters = FollowerCounters()

    @property
    def counters(self) -> FollowerCounters:
        """What has been done since the start."""
        return self._counters

    async def run(self) -> None:
        """Follow until cancelled or until the bus is closed. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        async with asyncio.TaskGroup() as tasks:
            catching_up = tasks.create_task(self._catch_up_deferred())
            await self._follow()
            catching_up.cancel()

    def _count(self, **added: int) -> None:
        assert all(count >= 0 for count in added.values()), "counters only grow"
        current = {name: getattr(self._counters, name) + count for name, count in added.items()}
        self._counters = msgspec.structs.replace(self._counters, **current)

    async def _follow(self) -> None:
        cursor = await self._store.cursor(FOLLOWER_CURSOR)
        async for page in self._bus.follow(cursor):
            assert page.scanned_to >= cursor, "the bus follows in ledger order"
            cursor = page.scanned_to
            await self._retry(partial(self._apply_page, page))
            self._count(events_read=len(page.events))
            self._backlog.added.notify()

    async def _apply_page(self, page: EventPage) -> None:
        async with self._store.transaction() as tx:
            deferred = await self._defer_overloading(tx, page)
            applied = [
                committed
                for committed in page.events
                if committed.event.issuer != self._did and committed.event.issuer not in deferred
            ]
            await self._apply(tx, applied)
            await tx.set_cursor(FOLLOWER_CURSOR, page.scanned_to)

    async def _apply(self, tx: Transaction, events: Iterable[CommittedEvent]) -> None:
        """Queue retrievals of what was published, and delete what was deleted."""
        latest: dict[tuple[str, str], CommittedEvent] = {}
        for committed in events:
            event = committed.event
            if event.entity.type not in self._types:
                await self._refuse(tx, committed)
                continue
            latest.pop((event.issuer, event.entity.key), None)
            latest[event.issuer, event.entity.key] = committed
        for committed in latest.values():
            event = committed.event
            if event.is_delete or not self._consumes(event):
                await retrievals.remove_replica(tx, event.issuer, event.entity.key)
                self._count(deletions=1)
            else:
                await retrievals.schedule(tx, retrieval_of(committed))

    async def _refuse(self, tx: Transaction, committed: CommittedEvent) -> None:
        event = committed.event
        self._count(events_refused=1)
        reason = f"Entities of type {event.entity.type} are private; no event may announce one."
        await retrievals.record_evidence(
            tx,
            event.issuer,
            str(Code.ENTITY_INVALID),
            reason,
            self._limits.evidence_rows_max,
            retrieval_of(committed),
        )
        log.warning(
            "private_event_refused",
            issuer=event.issuer,
            type=event.entity.type,
            position=committed.position,
        )

    # -- deferred origins -----------------------------------------------------------------------------------

    async def _defer_overloading(self, tx: Transaction, page: EventPage) -> frozenset[str]:
        """Origins whose events are skipped, after those with too many pending retrievals became such."""
        origins = await retrievals.origins(tx)
        deferred = {origin.did for origin in origins if origin.deferred_after is not None}
        for origin in origins:
            if origin.did in deferred or origin.pending < self._limits.retrievals_pending_max:
                continue
            positions = [c.position for c in page.events if c.event.issuer == origin.did]
            if positions:
                await retrievals.defer(tx, origin.did, positions[0] - 1)
                deferred.add(origin.did)
                log.warning("origin_deferred", issuer=origin.did, pending=origin.pending)
        return frozenset(deferred)

    async def _catch_up_deferred(self) -> None:
        """Apply the skipped events of deferred origins, whenever enough of their retrievals are settled."""
        while True:
            seen = self._backlog.removed.count
            while await self._retry(self._catch_up_page):
                self._backlog.added.notify()
            await self._backlog.removed.wait(seen, None)

    async def _catch_up_page(self) -> bool:
        """Apply one page of a deferred origin's events; False when no origin is ready for it."""
        for origin in await retrievals.origins(self._store):
            after = origin.deferred_after
            if after is None or origin.pending > self._limits.retrievals_pending_max // 2:
                continue
            page = await self._bus.search(after, EventFilter(issuers=(origin.did,)))
            async with self._store.transaction() as tx:
                followed_to = await tx.cursor(FOLLOWER_CURSOR)
                await self._apply(tx, [c for c in page.events if c.position <= followed_to])
                is_done = page.scanned_to >= followed_to
                await retrievals.defer(tx, origin.did, None if is_done else page.scanned_to)
            return True
        return False
