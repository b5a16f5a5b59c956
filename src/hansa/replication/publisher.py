"""The publisher: from the store's change feed to committed events on the ledger.

Three steps, each of which continues where its last store transaction ended, so that a crash between any two
of them loses nothing:

1. *Announce.* Reads the feed after the cursor `publisher`. For each of our entities among the changes,
   compares its state with what was published of it, and builds the event that makes up the difference, if
   there is one. One transaction puts the events into the outbox, retains the bytes that they name
   (`hansa.replication.announced.parts`), and moves the cursor. An entity whose last event is still in the
   outbox is marked as due instead, and compared again when that event was committed: all that happened
   meanwhile becomes one event.
2. *Submit.* Takes batches from the outbox, oldest events first, and hands them to the bus,
   `publish_in_flight_max` at a time; their bytes go to the other members meanwhile
   (`hansa.replication.announced.pushing`). A full batch is submitted at once. A batch with room left is
   submitted when no other is in flight, so it holds what accumulated meanwhile; and when the last one held
   several events, which is a burst, it waits for the next tick of the clock. Ticks (`publish_tick_s`) are
   the same at all members, so their batches share blocks: blocks are what a burst costs. In a burst of
   `LONG_BURST_EVENTS` a batch, every other tick counts, so that all members meet at the same ones. In an
   idle league an event travels alone and at once. An entity has one event in the outbox at most, so no two
   versions of it are in flight.
3. *Conclude.* When a batch was committed, one transaction removes it from the outbox, appends to the version
   chains, and makes the entities public whose chosen identifiers were waiting for this (*pending*,
   `hansa.store.records`), unless another member's claim on one is earlier.

After a crash the outbox is submitted as it is; the ledger recognizes by their ids what had been committed.

A claim on a chosen identifier is not submitted when another member has claimed it already. The identifier is
lost then, as it is when the ledger has the other claim first: the entity stays hidden from everybody else,
and the loss is recorded with it and as a conflict until it is deleted.

Failures of a batch:

- the outcome is unknown or the bus does not answer (`Unavailable`): it is submitted again with back-off,
  without end; so is everything while the ledger does not accept this member (`is_over`), as after a
  suspension or when the certificate of its key has expired;
- `EVENT_VERSION_BROKEN`: the ledger's version chains are not those of the store, because a store was lost or
  restored. The ends of the chains are read from the ledger, and what does not continue them is announced anew
  (*rebased*);
- the ledger has no room for more of this member now, or its quota is used up (`OVERLOADED`): it is submitted
  again after the time that the ledger names, and never divided;
- `EVENT_TIME_WRONG`: it waited too long for a block, as when a member was cut off for a day, or the clock
  here was wrong. It is announced anew with the present time; while that is the same, it is submitted again
  later;
- an entity that no member may publish as it is (`hansa.core.entity_form`) is not announced, withdrawn if an
  earlier version was, and the refusal recorded with it;
- any other refusal: the batch is halved until the refused event is alone. That one is rebased once, which
  cures a lost key, a new endpoint or an id that exists. When it is refused again, the refusal is recorded
  with the entity, the others go on, and the entity's next change or the next start tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import Backoff
from hansa.core.batches import BatchSigner
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy, is_bound_form
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.pubsub.bus import Bus
from hansa.replication.announced.outcomes import Outcomes, PublisherCounters, unpublished_of
from hansa.replication.announced.parts import AnnouncedParts
from hansa.replication.announced.pushing import BundlePusher, PusherCounters
from hansa.replication.announcement import Announcer, is_over
from hansa.replication.auditing.anchoring import anchor_entity
from hansa.replication.auditing.outcomes import record_published, record_refused
from hansa.replication.backlog import Backlog
from hansa.replication.conditions.needs import NO_NEEDS, Needs
from hansa.replication.conditions.own_closure import OwnClosure
from hansa.replication.conditions.policy import DistributionPolicy, PublishedPart
from hansa.replication.confidential.demands import Demands
from hansa.replication.own_chains import OwnChains
from hansa.replication.own_claims import ClaimSteps, OwnClaims, References, no_references
from hansa.replication.registry import MemberRegistry
from hansa.store import Entity, Store, Transaction
from hansa.store.tables import publications
from hansa.store.tables.publications import Outgoing

PUBLISHER_CURSOR: Final = "publisher"
BACKOFF_MIN_S: Final = 0.1
ANNOUNCEMENTS_PER_TURN: Final = 16
"""Entities looked at before other tasks on the event loop get their turn."""
WAITED_FOR: Final = frozenset({Code.OVERLOADED, Code.EVENT_TIME_WRONG})
"""Failures of which the ledger says how long to wait."""
WAIT_MAX_S: Final = 600.0
"""Then it is tried all the same: parameters of a league change."""
CHANGES_SKIPPED_MAX: Final = 1000
"""Rows of the feed that call for no event, after which the cursor is stored all the same."""
LONG_BURST_EVENTS: Final = 40
"""In a batch that was not full: from then on a member's batches are twice as far apart."""
OUTBOX_BATCHES_MAX: Final = 4
"""Full batches that may wait in the outbox beside those in flight."""
_FRAME_BYTES: Final = 2560
_SEPARATOR_BYTES: Final = 1

log = structlog.get_logger()


class Publisher:
    """Publishes this member's public entities. One per store.

    Args:
        store: Has the feed, the outbox and the version chains.
        bus: Takes the events.
        registry: The members, whose claims on an identifier may be earlier.
        signer: Signs the batches of this member.
        policy: What leaves this marketplace, and which part of it.
        clock: For the events' times and for back-off.
        entropy: For back-off.
        limits: `publish_…`, `announced_…`; those of the league are the bus's (`Bus.params`).
        references: To which entities one refers.
        needs: Which of them have to be public before it is published.
        backlog: Shared with the retriever; None where nothing is retrieved.
        pusher: Sends the bytes of what is submitted to the other members; None: they request them.
        demands: Notes what is for some members alone; None: nothing is.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        registry: MemberRegistry,
        signer: BatchSigner,
        policy: DistributionPolicy,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        references: References = no_references,
        needs: Needs = NO_NEEDS,
        backlog: Backlog | None = None,
        pusher: BundlePusher | None = None,
        demands: Demands | None = None,
    ) -> None:
        self._pusher = pusher
        self._demands = demands
        self._store = store
        self._policy = policy
        self._closure = OwnClosure(policy, needs, store)
        self._bus = bus
        self._claims = OwnClaims(bus, registry, signer.issuer, store, references)
        self._signer = signer
        self._did = signer.issuer
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._backlog = backlog
        self._announcer = Announcer(signer.issuer, lambda: bus.params.event_size_max_bytes)
        self._changed = backlog.due if backlog is not None else Signal(clock)
        self._submitted_to = 0
        self._in_flight = 0
        self._burst_ticks = 0
        self._counters = PublisherCounters()
        self._retry = Retry("publisher", clock, entropy, BACKOFF_MIN_S, limits.publish_backoff_max_s)
        self._problem: Code | None = None
        self._parts = AnnouncedParts(store, clock, limits, self._retry)
        self._chains = OwnChains(store, bus, signer.issuer, self._claims, self._changed, self._retry)

    @property
    def counters(self) -> PublisherCounters:
        """What has been done since the start."""
        return self._counters

    @property
    def pushed(self) -> PusherCounters:
        """What its bundles have done since the start."""
        return self._pusher.counters if self._pusher is not None else PusherCounters()

    @property
    def problem(self) -> Code | None:
        """Code of the last submission's failure; None when it succeeded."""
        return self._problem

    async def run(self) -> None:
        """Publish until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._submitted_to = self._in_flight = 0  # what an earlier run left in flight is in the outbox
        await self._retry(self._retry_refused)
        await self._retry(self._closure.begin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_feed())
            tasks.create_task(self._announce_forever())
            tasks.create_task(self._submit_forever(tasks))
            tasks.create_task(self._parts.run())
            if self._pusher is not None:
                tasks.create_task(self._pusher.run())

    def _count(self, **added: int) -> None:
        assert all(count >= 0 for count in added.values()), "counters only grow"
        current = {name: getattr(self._counters, name) + count for name, count in added.items()}
        self._counters = msgspec.structs.replace(self._counters, **current)

    async def _retry_refused(self) -> None:
        if await publications.refusal_counts(self._store):
            async with self._store.transaction() as tx:
                await publications.retry_refused(tx)

    # -- announcing -----------------------------------------------------------------------------------------

    async def _watch_feed(self) -> None:
        """Notify the other tasks of every change in the feed."""
        seen = await self._store.last_change()
        while True:
            await self._store.wait_for_change(seen)
            seen = await self._store.last_change()
            self._changed.notify()

    async def _announce_forever(self) -> None:
        cursor = stored_cursor = await self._store.cursor(PUBLISHER_CURSOR)
        batches_max = self._limits.publish_in_flight_max + OUTBOX_BATCHES_MAX
        while True:
            seen, limit = self._changed.count, self._bus.params.events_per_transaction_max
            if await publications.outbox_size(self._store) >= batches_max * limit:
                await self._changed.wait(seen, None)
                continue
            changes = await self._store.changes(cursor, limit)
            due = await publications.due(self._store, limit)
            if not changes and not due:
                await self._changed.wait(seen, None)
                continue
            ids = [change.entity_id for change in changes if change.origin is None]
            assert not changes or changes[-1].seq > cursor, "the feed goes on after the cursor"
            cursor = changes[-1].seq if changes else cursor
            step = partial(self._announce, tuple(dict.fromkeys((*ids, *due))), cursor, stored_cursor)
            stored_cursor = cursor if await self._retry(step) else stored_cursor

    async def _announce(self, entity_ids: Sequence[str], cursor: int, stored_cursor: int) -> bool:
        """Put the events that these entities call for into the outbox.

        Args:
            entity_ids: Entities of ours that changed or are due.
            cursor: Row of the feed up to which they are considered then.
            stored_cursor: The cursor in the store.

        Returns:
            Whether the cursor was stored.
        """
        assert cursor >= stored_cursor, "the cursor never goes back"
        while True:
            rule = self._policy.publish_rule
            outcomes = await self._outcomes(entity_ids)
            if not entity_ids and cursor - stored_cursor < CHANGES_SKIPPED_MAX:
                return False
            async with self._store.transaction() as tx:
                if self._policy.publish_rule != rule:
                    continue  # what the walk has made due since then must not be settled by the rule before
                await self._record(tx, outcomes)
                if self._demands is not None:
                    await self._demands.note(tx, outcomes.demands)
                await tx.set_cursor(PUBLISHER_CURSOR, cursor)
            break
        self._chains.conclude(outcomes.settled)
        self._changed.notify()
        if self._demands is not None:
            self._demands.committed(outcomes.demands)
        if outcomes.claims.has_retrievals and self._backlog is not None:
            self._backlog.added.notify()
        return True

    async def _outcomes(self, entity_ids: Sequence[str]) -> Outcomes:
        """What each of some entities calls for."""
        feed_end = await self._store.last_change()
        entities = await self._store.entities(entity_ids)
        publication_of = await publications.states(self._store, entity_ids)
        outcomes = Outcomes(ClaimSteps(self._claims), entities, feed_end)
        if self._demands is not None:
            outcomes.demands = await self._demands.of(entity_ids, entities)
        published = {each: self._published(entities.get(each)) for each in entity_ids}
        parts = [one for one in published.values() if one is not None]
        fields = {one.id: msgspec.json.decode(one.body) for one in parts if len(one.body) <= SMALL_MAX_BYTES}
        blockers = await self._closure.blockers(parts, fields)
        unseen = [
            one for each, one in entities.items() if published[each] is None and each not in publication_of
        ]
        outcomes.unpublished = await unpublished_of(self._store, unseen, self._policy)
        for n, entity_id in enumerate(entity_ids, 1):
            publication = publication_of.get(entity_id)
            if publication is not None and publication.is_under_way:
                outcomes.deferred.append(entity_id)
                continue
            entity = published[entity_id] or await anchor_entity(self._store, self._did, publication)
            is_ready, entity = await outcomes.claims.consider(entity_id, entity, publication, self._store)
            if entity is not None and entity_id in blockers:
                outcomes.blocked.append((entity, blockers[entity_id]))
            elif is_ready:
                try:
                    event = self._announcer.announce(
                        entity_id, entity, publication, self._clock.now(), fields.get(entity_id)
                    )
                except Refused as refusal:
                    assert entity is not None, "a withdrawal has no form that could be wrong"
                    outcomes.refusals.append((entity, refusal))
                    event = self._announcer.announce(entity_id, None, publication, self._clock.now())
                outcomes.events += [event] if event is not None else []
                if entity is not None and entity_id in entities:
                    outcomes.parts[entity_id] = entity
            if n % ANNOUNCEMENTS_PER_TURN == 0:
                await asyncio.sleep(0)
        assert len(outcomes.events) + len(outcomes.deferred) <= len(entity_ids), "an entity has one outcome"
        pending = {event.entity_id for event in outcomes.events} | set(outcomes.deferred)
        outcomes.settled = [id for id, state in publication_of.items() if state.is_due and id not in pending]
        return outcomes

    async def _record(self, tx: Transaction, outcomes: Outcomes) -> None:
        await publications.enqueue(tx, outcomes.events)
        await publications.note(tx, outcomes.unpublished)
        await self._parts.retain(tx, outcomes.events, outcomes.parts, outcomes.entities, outcomes.feed_end)
        await publications.mark_due(tx, outcomes.deferred)
        await publications.mark_due(tx, outcomes.settled, is_due=False)
        for refused, error in outcomes.refusals:
            key = self._announcer.key_of(refused.id)
            await publications.refuse(tx, refused, key, str(error.code), error.message)
        await record_refused(tx, [error.code for _, error in outcomes.refusals])
        await outcomes.claims.apply(tx)
        await self._closure.apply(tx, outcomes.blocked, [event.entity_id for event in outcomes.events])

    def _published(self, entity: Entity | None) -> Entity | None:
        """What is published of an entity; None when nothing is."""
        published = self._policy.publishes(entity) if entity is not None else None
        if not isinstance(published, PublishedPart):
            return None
        assert published.audience is None, "events tell everyone of their entity"
        return published.entity

    # -- submitting -----------------------------------------------------------------------------------------

    async def _submit_forever(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            seen = self._changed.count
            while self._in_flight < self._limits.publish_in_flight_max:
                batch, is_full = await self._next_batch()
                if not batch or (self._in_flight and not is_full):
                    break
                if self._burst_ticks and not is_full:
                    pause_s = self._until_tick_s(self._burst_ticks)
                    self._burst_ticks = 0
                    await self._clock.sleep(pause_s)
                    continue
                self._burst_ticks = 0 if len(batch) == 1 else 2 if len(batch) >= LONG_BURST_EVENTS else 1
                assert batch[0].seq > self._submitted_to, "an event is submitted once"
                self._submitted_to = batch[-1].seq
                self._in_flight += 1
                tasks.create_task(self._deliver_batch(batch))
            await self._changed.wait(seen, None)

    def _until_tick_s(self, ticks: int) -> float:
        tick_s = ticks * self._limits.publish_tick_s
        return tick_s - self._clock.now().timestamp() % tick_s if tick_s > 0 else 0.0

    async def _next_batch(self) -> tuple[tuple[Outgoing, ...], bool]:
        """The oldest events that are not in flight, as many as fit into one ledger transaction.

        Whether it is full.
        """
        params = self._bus.params
        events = await publications.outgoing(
            self._store, self._submitted_to, params.events_per_transaction_max
        )
        room_bytes = params.transaction_size_max_bytes - _FRAME_BYTES
        for n, event in enumerate(events):
            room_bytes -= len(event.content) + _SEPARATOR_BYTES
            if room_bytes < 0 and n > 0:
                return events[:n], True
        return events, len(events) == params.events_per_transaction_max

    async def _deliver_batch(self, batch: tuple[Outgoing, ...]) -> None:
        """Submit a batch until each of its events is committed, rebased or recorded as refused."""
        batch = await self._without_lost(batch)
        if self._pusher is not None:
            self._pusher.offer(batch)
        await self._deliver(batch)
        assert 0 < self._in_flight <= self._limits.publish_in_flight_max, "this batch was in flight"
        self._in_flight -= 1
        self._changed.notify()

    async def _deliver(self, batch: tuple[Outgoing, ...]) -> None:
        if not batch:
            return
        try:
            positions = await self._publish(batch)
        except Refused as refusal:
            self._problem = refusal.code
            if refusal.code in {Code.EVENT_VERSION_BROKEN, Code.EVENT_TIME_WRONG}:
                is_broken = refusal.code is Code.EVENT_VERSION_BROKEN
                outdated = partial(self._chains.rebase_outdated, now=self._clock.now())
                remaining = await (self._chains.rebase_broken if is_broken else outdated)(batch)
                if len(remaining) < len(batch):
                    await self._deliver(remaining)
                    return
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._deliver(batch[:middle])
                await self._deliver(batch[middle:])
            else:
                await self._rebase_or_record(batch[0], refusal)
            return
        self._problem = None
        assert len(positions) == len(batch), "every committed event has a position"
        self._count(events_committed=len(batch), batches_committed=1)
        if self._pusher:
            self._pusher.committed(batch, positions)
        await self._retry(partial(self._conclude, batch, positions))

    async def _publish(self, batch: tuple[Outgoing, ...]) -> tuple[int, ...]:
        """Positions of the batch on the ledger; submits until the outcome is known.

        Raises:
            Refused: The ledger refuses the batch as a whole.
        """
        backoff = Backoff(BACKOFF_MIN_S, self._limits.publish_backoff_max_s, self._entropy)
        while True:
            try:
                return await self._bus.publish([event.content for event in batch], self._signer)
            except (Refused, Unavailable) as failure:
                contents = [event.content for event in batch]
                if is_over(failure, contents, self._signer.issuer, self._clock.now()):
                    raise Refused(failure.code, failure.message) from failure
                self._problem = failure.code
                retry_after_s = failure.retry_after_s if isinstance(failure, Unavailable) else 0.0
            self._count(submissions_failed=1)
            pause_s = backoff.next_s()
            if self._problem in WAITED_FOR:
                pause_s = max(pause_s, self._as_long_as(retry_after_s))
            log.info(
                "publish_retried",
                code=str(self._problem),
                events=len(batch),
                failures=backoff.failures,
                pause_s=round(pause_s, 3),
            )
            await self._clock.sleep(pause_s)

    def _as_long_as(self, retry_after_s: float) -> float:
        """A pause of at least the time that the ledger names, and up to a quarter more, in seconds.

        Members that wait for the same do not come back together.
        """
        drawn = int.from_bytes(self._entropy(4), "big") / 0xFFFF_FFFF
        return min(retry_after_s, WAIT_MAX_S) * (1 + 0.25 * drawn)

    async def _conclude(self, batch: Sequence[Outgoing], positions: Sequence[int]) -> None:
        committed = list(zip(batch, positions, strict=True))
        lost = await self._claims.lost({event.entity_id: at for event, at in committed if event.version == 1})
        async with self._store.transaction() as tx:
            await publications.committed(tx, committed)
            for event in batch:
                await self._parts.committed(tx, event)
                if event.version == 1 and not is_bound_form(event.entity_id):
                    await self._claims.settle(tx, event, lost.get(event.entity_id))
            await record_published(tx, committed)
        self._chains.conclude(event.entity_id for event in batch)

    # -- claims ---------------------------------------------------------------------------------------------

    async def _without_lost(self, batch: tuple[Outgoing, ...]) -> tuple[Outgoing, ...]:
        """A batch without first events under identifiers that belong to other members."""
        try:
            lost = await self._claims.lost({event.entity_id: None for event in batch if event.version == 1})
        except Unavailable:
            return batch  # looked up once more when it is committed
        if lost:
            await self._retry(partial(self._give_up, [one for one in batch if one.entity_id in lost], lost))
        return tuple(event for event in batch if event.entity_id not in lost)

    async def _give_up(self, events: Sequence[Outgoing], lost: Mapping[str, tuple[str, int]]) -> None:
        async with self._store.transaction() as tx:
            for event in events:
                await self._claims.settle(tx, event, lost[event.entity_id])
        self._changed.notify()

    # -- refusals -------------------------------------------------------------------------------------------

    async def _rebase_or_record(self, event: Outgoing, refusal: Refused) -> None:
        """Announce an event anew that was refused alone.

        The second time, record the refusal with the entity.
        """
        if await self._chains.rebase_once(event):
            return
        self._count(events_refused=1)
        log.error("event_refused", entity=event.entity_id, code=str(refusal.code), reason=refusal.message)
        await self._retry(partial(self._record_refusal, event, refusal))

    async def _record_refusal(self, event: Outgoing, refusal: Refused) -> None:
        async with self._store.transaction() as tx:
            await publications.refused(tx, event, str(refusal.code), refusal.message)
            await record_refused(tx, [refusal.code])
