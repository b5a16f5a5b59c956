"""The publisher: from the change feed to the ledger.

Three steps, each picking up where the last transaction left off, so that a crash between any two loses nothing:

1. *Announce.* Read the feed after the cursor `publisher`. For each entity of ours among the changes, compare its
   state with what was published of it, and sign the event that makes up the difference, if there is one. One
   transaction puts the events into the outbox and moves the cursor. An entity whose last event is still under way is
   marked as due instead, and looked at again when that one has been committed: then all that happened meanwhile
   becomes one event.
2. *Submit.* Take batches from the outbox, oldest first, and hand them to the bus. Full batches go at once, some at a
   time. A batch with room left goes when nothing else is under way, so it holds what accumulated meanwhile; and when
   the last one held several events, which is a burst, it waits for the next tick of the clock. Ticks are the same at
   all members, so their batches share blocks: blocks are what a burst costs. On an idle league an event travels alone
   and at once. As an entity has one event in the outbox at most, no two versions of it are under way.
3. *Conclude.* When a batch is committed, one transaction removes it from the outbox and moves on the chains.

After a crash the outbox is submitted as it is; what had been committed is found by its event ids.

What can go wrong with a batch:

- the outcome is unknown or the bus does not answer (`Unavailable`): the batch waits and is submitted again, for ever;
  so does everything while the ledger does not know this member (`EVENT_ISSUER_UNKNOWN`), as after a suspension;
- `EVENT_VERSION_BROKEN`: the ledger's chains are not ours, because a store was lost or restored. The ends of the
  chains are read from the ledger, and what does not continue them is announced anew;
- any other refusal: the batch is halved until the event that is refused stands alone. That one is announced anew
  once (a lost key, a new endpoint or an id that exists heal by that); if it is refused again, the entity's row keeps
  the code, others go on, and the entity's next change or the next start tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import Retry, backoff_s
from hansa.core.clock import Clock
from hansa.core.distribution import WHOLE_ENTITIES, Distribution
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.pubsub.bus import Bus
from hansa.replication.announcement import Announcer
from hansa.store import Entity, Store
from hansa.store.tables import publications
from hansa.store.tables.publications import ChainEnd, Outgoing

PUBLISHER_CURSOR: Final = "publisher"
BACKOFF_MIN_S: Final = 0.1
SIGNATURES_PER_TURN: Final = 16
"""Events signed before others on the event loop get their turn."""
CHANGES_SKIPPED_MAX: Final = 1000
"""Rows of the feed about replicas, after which the cursor is written all the same."""
OUTBOX_BATCHES_MAX: Final = 4
"""Full batches that may wait in the outbox beside those under way."""
_FRAME_BYTES: Final = 256
_SEPARATOR_BYTES: Final = 3

log = structlog.get_logger()


class PublisherCounters(msgspec.Struct):
    """What a publisher has done since it started."""

    events_committed: int = 0
    batches_committed: int = 0
    events_refused: int = 0
    submissions_failed: int = 0


class Publisher:
    """Publishes this member's public entities. One per store.

    Args:
        store: With the feed, the outbox and the chains.
        bus: Where to.
        signing_key: Of this member; the ledger's registry holds its public half.
        did: This member.
        endpoint: Its registered endpoint.
        types: The types that may leave this marketplace at all.
        clock: For the events' times and for back-off.
        entropy: For event ids and back-off.
        limits: `publish_…`, `event…`, `transaction_size_max_bytes`.
        distribution: Which part of an entity is published.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        signing_key: SigningKey,
        did: str,
        endpoint: str,
        types: frozenset[str],
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        distribution: Distribution[Entity] = WHOLE_ENTITIES,
    ) -> None:
        self._store = store
        self._distribution = distribution
        self._bus = bus
        self._did = did
        self._types = types
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._announcer = Announcer(signing_key, did, endpoint, entropy, limits)
        self._news = Signal(clock)
        self._taken_to = 0
        self._under_way = 0
        self._is_burst = False
        self._rebased: set[str] = set()
        self._counters = PublisherCounters()
        self._insist = Retry("publisher", clock, entropy, BACKOFF_MIN_S, limits.publish_backoff_max_s)
        self._problem: Code | None = None

    @property
    def counters(self) -> PublisherCounters:
        """What has been done since the start."""
        return msgspec.structs.replace(self._counters)

    @property
    def problem(self) -> Code | None:
        """Why the last submission did not succeed; None when it did."""
        return self._problem

    async def run(self) -> None:
        """Publish until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._taken_to = self._under_way = 0  # what an earlier run left under way is in the outbox
        await self._insist(self._retry_refused)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_feed())
            tasks.create_task(self._announce_forever())
            tasks.create_task(self._submit_forever(tasks))

    async def _retry_refused(self) -> None:
        if await publications.refusal_counts(self._store):
            async with self._store.transaction() as tx:
                await publications.retry_refused(tx)

    # -- announcing -------------------------------------------------------------------------------------------

    async def _watch_feed(self) -> None:
        """Ring whenever the feed grew."""
        seen = await self._store.last_change()
        while True:
            await self._store.wait_for_change(seen)
            seen = await self._store.last_change()
            self._news.notify()

    async def _announce_forever(self) -> None:
        cursor = written = await self._store.cursor(PUBLISHER_CURSOR)
        size_max = (
            self._limits.publish_in_flight_max + OUTBOX_BATCHES_MAX
        ) * self._limits.events_per_transaction_max
        while True:
            seen = self._news.count
            if await publications.outbox_size(self._store) >= size_max:
                await self._news.wait(seen, None)
                continue
            limit = self._limits.events_per_transaction_max
            changes = await self._store.changes(cursor, limit)
            due = await publications.due(self._store, limit)
            if not changes and not due:
                await self._news.wait(seen, None)
                continue
            ids = [change.entity_id for change in changes if change.origin is None]
            cursor = changes[-1].seq if changes else cursor
            step = partial(self._announce, tuple(dict.fromkeys((*ids, *due))), cursor, written)
            written = cursor if await self._insist(step) else written

    async def _announce(self, entity_ids: Sequence[str], cursor: int, written: int) -> bool:
        """Put what the ledger has to be told of these entities into the outbox; whether the cursor was written."""
        entities = await self._store.entities(entity_ids)
        before = await publications.states(self._store, entity_ids)
        events: list[Outgoing] = []
        later: list[str] = []
        for n, entity_id in enumerate(entity_ids, 1):
            publication = before.get(entity_id)
            if publication is not None and publication.is_under_way:
                later.append(entity_id)
                continue
            entity = entities.get(entity_id)
            if entity is not None and not (
                entity.origin is None and entity.public and entity.type in self._types
            ):
                entity = None
            if entity is not None:
                entity = self._distribution.published(entity)
            event = self._announcer.announce(entity_id, entity, publication, self._clock.now())
            if event is not None:
                events.append(event)
            if n % SIGNATURES_PER_TURN == 0:
                await asyncio.sleep(0)
        announced = {event.entity_id for event in events} | set(later)
        done = [id for id, state in before.items() if state.is_due and id not in announced]
        if not entity_ids and cursor - written < CHANGES_SKIPPED_MAX:
            return False
        self._rebased.difference_update(done)
        async with self._store.transaction() as tx:
            await publications.enqueue(tx, events)
            await publications.mark_due(tx, later)
            await publications.mark_due(tx, done, is_due=False)
            await tx.set_cursor(PUBLISHER_CURSOR, cursor)
        self._news.notify()
        return True

    # -- submitting -------------------------------------------------------------------------------------------

    async def _submit_forever(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            seen = self._news.count
            while self._under_way < self._limits.publish_in_flight_max:
                batch, is_full = await self._next_batch()
                if not batch or (self._under_way and not is_full):
                    break
                if self._is_burst and not is_full:
                    self._is_burst = False
                    await self._clock.sleep(self._until_tick_s())
                    continue
                self._is_burst = len(batch) > 1
                self._taken_to = batch[-1].seq
                self._under_way += 1
                tasks.create_task(self._carry(batch))
            await self._news.wait(seen, None)

    def _until_tick_s(self) -> float:
        tick_s = self._limits.publish_tick_s
        return tick_s - self._clock.now().timestamp() % tick_s if tick_s > 0 else 0.0

    async def _next_batch(self) -> tuple[tuple[Outgoing, ...], bool]:
        """The oldest events that are not under way, as many as fit into a transaction; whether that is full."""
        events = await publications.outgoing(
            self._store, self._taken_to, self._limits.events_per_transaction_max
        )
        room_bytes = self._limits.transaction_size_max_bytes - _FRAME_BYTES
        for n, event in enumerate(events):
            room_bytes -= len(event.jws) + _SEPARATOR_BYTES
            if room_bytes < 0 and n > 0:
                return events[:n], True
        return events, len(events) == self._limits.events_per_transaction_max

    async def _carry(self, batch: tuple[Outgoing, ...]) -> None:
        """See a batch through, whatever happens to it."""
        await self._deliver(batch)
        self._under_way -= 1
        self._news.notify()

    async def _deliver(self, batch: tuple[Outgoing, ...]) -> None:
        if not batch:
            return
        try:
            positions = await self._publish(batch)
        except Refused as refusal:
            self._problem = refusal.code
            if refusal.code is Code.EVENT_VERSION_BROKEN:
                left = await self._rebase_broken(batch)
                if len(left) < len(batch):
                    await self._deliver(left)
                    return
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._deliver(batch[:middle])
                await self._deliver(batch[middle:])
            else:
                await self._give_up(batch[0], refusal)
            return
        self._problem = None
        self._counters.events_committed += len(batch)
        self._counters.batches_committed += 1
        await self._insist(partial(self._conclude, batch, positions))

    async def _publish(self, batch: tuple[Outgoing, ...]) -> tuple[int, ...]:
        """Positions of the batch on the ledger; submits until the outcome is known.

        Raises:
            Refused: The ledger does not take it.
        """
        failures = 0
        while True:
            try:
                return await self._bus.publish([event.jws for event in batch])
            except Refused as refusal:
                if refusal.code is not Code.EVENT_ISSUER_UNKNOWN:
                    raise
                self._problem, wait_s = refusal.code, 0.0
            except Unavailable as error:
                self._problem, wait_s = error.code, error.retry_after_s
            failures += 1
            self._counters.submissions_failed += 1
            max_s = self._limits.publish_backoff_max_s
            pause_s = max(backoff_s(failures, BACKOFF_MIN_S, max_s, self._entropy), min(wait_s, max_s))
            log.info(
                "publishing waits", code=str(self._problem), events=len(batch), pause_s=round(pause_s, 3)
            )
            await self._clock.sleep(pause_s)

    async def _conclude(self, batch: Sequence[Outgoing], positions: Sequence[int]) -> None:
        async with self._store.transaction() as tx:
            for event, position in zip(batch, positions, strict=True):
                await publications.committed(tx, event, position)
        self._rebased.difference_update(event.entity_id for event in batch)

    # -- refusals ---------------------------------------------------------------------------------------------

    async def _rebase_broken(self, batch: tuple[Outgoing, ...]) -> tuple[Outgoing, ...]:
        """Announce anew what does not continue the ledger's chains; the rest of the batch."""
        ends = await self._insist(partial(self._chain_ends, [event.key for event in batch]))
        broken = [
            event
            for event in batch
            if event.entity_id not in self._rebased
            and (ends[event.key].version + 1, ends[event.key].hashlink) != (event.version, event.previous)
        ]
        if broken:
            log.warning("the ledger's chains are ahead of the store", entities=len(broken))
            await self._insist(partial(self._rebase, broken, ends))
        return tuple(event for event in batch if event not in broken)

    async def _chain_ends(self, keys: Sequence[str]) -> dict[str, ChainEnd]:
        ends = dict.fromkeys(keys, ChainEnd())
        for claim in await self._bus.claims(keys):
            if claim.issuer == self._did:
                ends[claim.key] = ChainEnd(
                    claim.version, claim.hashlink, claim.first_position, claim.last_position, claim.is_deleted
                )
        return ends

    async def _rebase(self, events: Sequence[Outgoing], ends: dict[str, ChainEnd]) -> None:
        async with self._store.transaction() as tx:
            for event in events:
                await publications.rebase(tx, event, ends[event.key])
        self._rebased.update(event.entity_id for event in events)
        self._news.notify()

    async def _give_up(self, event: Outgoing, refusal: Refused) -> None:
        """Announce an event anew that was refused alone; the second time, leave it with the reason."""
        if event.entity_id not in self._rebased:
            ends = await self._insist(partial(self._chain_ends, [event.key]))
            await self._insist(partial(self._rebase, [event], ends))
            return
        self._rebased.discard(event.entity_id)
        self._counters.events_refused += 1
        log.error(
            "the ledger refuses an event",
            entity=event.entity_id,
            code=str(refusal.code),
            reason=refusal.message,
        )
        await self._insist(partial(self._leave, event, refusal))

    async def _leave(self, event: Outgoing, refusal: Refused) -> None:
        async with self._store.transaction() as tx:
            await publications.refused(tx, event, str(refusal.code), refusal.message)
