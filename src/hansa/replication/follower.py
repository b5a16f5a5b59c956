"""The follower: from the ledger to the list of what is wanted here.

It reads committed events in ledger order from the cursor `follower`. For each page one store transaction notes the
wanted versions, forgets what is gone, and moves the cursor: every event is taken in exactly once.

Of several events of an entity on a page only the last one counts. A deletion takes effect at once; a retrieval of
that entity that is under way will find that it is not wanted any more. An entity whose metadata no longer meets the
consume conditions is treated as if it were gone.

A member may publish faster than its entities can be retrieved, or publish and never serve. When too many of its
retrievals wait it is *deferred*: its events are passed over, and the position is noted. When enough retrievals have
been settled, its events are read from that position by themselves until they have caught up with the follower. The
other members' events go on meanwhile.

What must not arrive is recorded as evidence against its issuer: types that are private everywhere. Events of this
member tell it nothing new, but for one thing: whether somebody else claimed the identifier before.
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
from hansa.core.identifiers import Entropy, entity_key
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus, CommittedEvent, EventFilter, EventPage
from hansa.replication.backlog import Backlog
from hansa.replication.registry import MemberRegistry
from hansa.store import Store, Transaction
from hansa.store.tables import publications, retrievals
from hansa.store.tables.retrievals import FOLLOWER_CURSOR, Retrieval

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0

ConsumeCondition = Callable[[LifecycleEvent], bool]
"""Whether this marketplace wants the entity of an event, by its metadata."""

log = structlog.get_logger()


def everything(event: LifecycleEvent) -> bool:
    """The consume condition of a marketplace that offers the whole shared catalogue."""
    del event
    return True


class FollowerCounters(msgspec.Struct):
    """What a follower has done since it started."""

    events_read: int = 0
    events_refused: int = 0
    deletions: int = 0
    conflicts: int = 0


class Follower:
    """Takes in the events of the league. One per store.

    Args:
        store: Where to.
        bus: Where from.
        registry: The members.
        did: This member.
        types: The types that may be public; an event of any other is refused.
        backlog: Shared with the retriever.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrievals_pending_max` (for each origin), `evidence_rows_max`, `events_page_max`.
        wants: The consume condition.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        registry: MemberRegistry,
        did: str,
        types: frozenset[str],
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        wants: ConsumeCondition = everything,
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._types = types
        self._backlog = backlog
        self._limits = limits
        self._wants = wants
        self._registry = registry
        self._insist = Retry("follower", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
        self._counters = FollowerCounters()

    @property
    def counters(self) -> FollowerCounters:
        """What has been done since the start."""
        return msgspec.structs.replace(self._counters)

    async def run(self) -> None:
        """Follow until cancelled or until the bus is closed. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        async with asyncio.TaskGroup() as tasks:
            making_up = tasks.create_task(self._make_up_forever())
            await self._follow()
            making_up.cancel()

    async def _follow(self) -> None:
        cursor = await self._store.cursor(FOLLOWER_CURSOR)
        async for page in self._bus.follow(cursor):
            conflicts = await self._insist(partial(self._conflicts, page.events))
            await self._insist(partial(self._take_in, page, conflicts))
            self._counters.events_read += len(page.events)
            self._backlog.grew.notify()

    async def _take_in(self, page: EventPage, conflicts: list[tuple[str, str, int]]) -> None:
        async with self._store.transaction() as tx:
            deferred = await self._defer_busy(tx, page)
            news = [
                committed
                for committed in page.events
                if committed.event.issuer != self._did and committed.event.issuer not in deferred
            ]
            await self._apply(tx, news)
            await retrievals.record_conflicts(tx, conflicts)
            await tx.set_cursor(FOLLOWER_CURSOR, page.scanned_to)
        self._counters.conflicts += len(conflicts)

    async def _apply(self, tx: Transaction, news: Iterable[CommittedEvent]) -> None:
        """Note what is wanted and forget what is gone."""
        latest: dict[tuple[str, str], CommittedEvent] = {}
        for committed in news:
            event = committed.event
            if event.entity.type not in self._types:
                await self._refuse(tx, committed)
                continue
            latest.pop((event.issuer, event.entity.key), None)
            latest[event.issuer, event.entity.key] = committed
        for committed in latest.values():
            event = committed.event
            if event.is_delete or not self._wants(event):
                await retrievals.forget(tx, event.issuer, event.entity.key)
                self._counters.deletions += 1
            else:
                await retrievals.want(tx, _retrieval(committed))

    async def _refuse(self, tx: Transaction, committed: CommittedEvent) -> None:
        event = committed.event
        self._counters.events_refused += 1
        reason = f"Entities of type {event.entity.type} are private; no event may tell of one."
        await retrievals.record_evidence(
            tx,
            event.issuer,
            str(Code.ENTITY_INVALID),
            reason,
            self._limits.evidence_rows_max,
            _retrieval(committed),
        )
        log.warning("an event of a private type", issuer=event.issuer, position=committed.position)

    # -- our own identifiers ----------------------------------------------------------------------------------

    async def _conflicts(self, events: Iterable[CommittedEvent]) -> list[tuple[str, str, int]]:
        """Earlier claims of others on identifiers that we have just published for the first time."""
        first = {
            committed.event.entity.key: committed.position
            for committed in events
            if committed.event.issuer == self._did and committed.event.entity.version == 1
        }
        if not first:
            return []
        ours = await publications.by_keys(self._store, tuple(first))
        others = [member.did for member in await self._registry.members() if member.did != self._did]
        wanted: dict[str, tuple[str, str, int]] = {
            entity_key(did, publication.entity_id): (publication.entity_id, did, first[key])
            for key, publication in ours.items()
            for did in others
        }
        found = []
        for claim in await self._bus.claims(tuple(wanted)) if wanted else ():
            entity_id, did, position = wanted[claim.key]
            if claim.issuer == did and claim.first_position < position:
                found.append((entity_id, did, claim.first_position))
        return found

    # -- deferred origins -------------------------------------------------------------------------------------

    async def _defer_busy(self, tx: Transaction, page: EventPage) -> frozenset[str]:
        """Origins whose events are passed over for now."""
        origins = await retrievals.origins(tx)
        deferred = {origin.did for origin in origins if origin.deferred_after is not None}
        for origin in origins:
            if origin.did in deferred or origin.pending < self._limits.retrievals_pending_max:
                continue
            positions = [c.position for c in page.events if c.event.issuer == origin.did]
            if positions:
                await retrievals.defer(tx, origin.did, positions[0] - 1)
                deferred.add(origin.did)
                log.warning("an origin is deferred", issuer=origin.did, pending=origin.pending)
        return frozenset(deferred)

    async def _make_up_forever(self) -> None:
        """Read what was passed over, whenever enough retrievals have been settled."""
        while True:
            seen = self._backlog.shrank.count
            while await self._insist(self._make_up):
                self._backlog.grew.notify()
            await self._backlog.shrank.wait(seen, None)

    async def _make_up(self) -> bool:
        """Take in one page of a deferred origin; False when there is none that can be."""
        for origin in await retrievals.origins(self._store):
            after = origin.deferred_after
            if after is None or origin.pending > self._limits.retrievals_pending_max // 2:
                continue
            page = await self._bus.search(after, EventFilter(issuers=(origin.did,)))
            async with self._store.transaction() as tx:
                followed_to = await retrievals.followed_to(tx)
                await self._apply(tx, [c for c in page.events if c.position <= followed_to])
                is_done = page.scanned_to >= followed_to
                await retrievals.defer(tx, origin.did, None if is_done else page.scanned_to)
            return True
        return False


def _retrieval(committed: CommittedEvent) -> Retrieval:
    event = committed.event
    return Retrieval(
        issuer=event.issuer,
        key=event.entity.key,
        type=event.entity.type,
        version=event.entity.version,
        hashlink=event.hashlink,
        position=committed.position,
        time=committed.time,
    )
