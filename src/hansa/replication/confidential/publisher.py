"""The confidential publisher: from own entities that are for some members to sealed events on the ledger.

Three steps, each of which continues where its last store transaction ended:

1. *Seal.* Takes entities that have to be looked at (`hansa.replication.confidential.demands`) and compares
   for whom each is with whom it was sealed for. What changed is sealed: a new version for everybody for whom
   it is; the version as it is for members that joined the audience, or have another key; a withdrawal for
   members that left it. One transaction retains the encrypted bytes, puts the events into an outbox of their
   own, and records who has the entity now.
2. *Submit.* Hands batches of the outbox to the bus, one at a time. Their keys are random and new, so nothing
   on the ledger can stand against them, and a batch that was committed before a crash is recognised.
3. *Conclude.* Removes what was committed from the outbox.

When members, their keys or the rules for publishing change, all entities that say for whom they are are
looked at once more. Nothing is sealed while the entity is still published to everybody: that is withdrawn
first. Bytes are served from the moment of sealing (`hansa.api.confidential`), to the members to which their
event is addressed and which are still in the audience; an entity whose audience became smaller loses the
bytes of its earlier versions at once.

Failures: while the bus does not answer, or does not accept this member, the batch is submitted again with
back-off. Events that waited too long get the present time. What is refused otherwise is divided, until the
refused event is alone; then the reason is recorded with its entity.
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
from hansa.core.clock import Clock, epoch_ms
from hansa.core.confidential.agreement import PairwiseSecrets
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import LifecycleEvent, decode_event, encode_event, event_time, identified
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import Bus
from hansa.replication.announcement import is_over
from hansa.replication.backlog import Backlog
from hansa.replication.confidential.audience import Audiences
from hansa.replication.confidential.demands import Demands
from hansa.replication.confidential.sealer import Sealer, Sealing
from hansa.store import Entity, Store, Transaction
from hansa.store.tables import facts, publications
from hansa.store.tables.confidential import announced
from hansa.store.tables.confidential.announced import WaitingEvent

BACKOFF_MIN_S: Final = 0.1
ENTITIES_MAX: Final = 50
"""Entities sealed in one transaction."""
OUTBOX_MAX: Final = 400
RECHECK_S: Final = 1.0
"""Pause before entities are looked at again that wait for their public event to be withdrawn."""
PRUNE_INTERVAL_S: Final = 10.0
SCANNED: Final = "1"
"""Of what an earlier release had stored, this one has looked at everything."""
NO_ENTITY: Final = ""
"""In place of an identifier that is not known."""
_FRAME_BYTES: Final = 2560

log = structlog.get_logger()


class LostNotice(msgspec.Struct, frozen=True):
    """An entity of which nothing is left but what some members were sent about it."""

    key: bytes
    """SHA-256 of issuer and identifier."""
    type: str
    version: int
    """The last one."""
    recipients: Mapping[str, str]
    """DIDs of these members, with their registered keys."""


class ConfidentialCounters(msgspec.Struct, frozen=True):
    """What a confidential publisher has done since it started."""

    events_committed: int = 0
    events_refused: int = 0


class ConfidentialPublisher:
    """Publishes what is for some members alone. One per store.

    Args:
        store: Has the entities, and what was announced of them.
        bus: Takes the events.
        signer: Signs the batches of this member.
        audiences: For whom entities are.
        demands: Which have to be looked at.
        secrets: Of this member with the others.
        league: Name of the chain.
        backlog: Wakes it.
        clock: For times and pauses.
        entropy: For keys and pauses.
        limits: `publish_backoff_max_s`, `announced_retained_s`.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        signer: BatchSigner,
        audiences: Audiences,
        demands: Demands,
        secrets: PairwiseSecrets,
        league: str,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._bus = bus
        self._signer = signer
        self._audiences = audiences
        self._demands = demands
        self._sealer = Sealer(signer.issuer, league, secrets, clock, entropy)
        self._changed = backlog.addressed
        self._conditions = backlog.conditions
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._retry = Retry(
            "confidential publisher", clock, entropy, BACKOFF_MIN_S, limits.publish_backoff_max_s
        )
        self._counters = ConfidentialCounters()
        self._rule: str | None = None
        self._pruned_at_s = 0.0
        self._has_waiting = True
        """Whether something may wait for its public event to be withdrawn."""

    @property
    def counters(self) -> ConfidentialCounters:
        """What has been done since the start."""
        return self._counters

    async def run(self) -> None:
        """Publish until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._rule, self._has_waiting = None, True
        await self._retry(self._demands.begin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scan())
            tasks.create_task(self._watch_conditions())
            tasks.create_task(self._seal_forever())
            tasks.create_task(self._submit_forever())

    async def _scan(self) -> None:
        """Look at everything once that an earlier release has stored."""
        if await facts.value(self._store, "confidential_scan") == SCANNED:
            return
        types = sorted(self._audiences.types)
        async for page in self._store.scan(types, own_only=True, public_only=False, limit=ENTITIES_MAX):
            if self._demands.named_by(page):
                await self._retry(partial(self._note, page))
        await self._retry(self._finish_scan)

    async def _watch_conditions(self) -> None:
        """Look for another rule when other conditions of distribution hold."""
        while True:
            seen = self._conditions.count
            await self._conditions.wait(seen)
            self._changed.notify()

    async def _note(self, page: Sequence[Entity]) -> None:
        async with self._store.transaction() as tx:
            await self._demands.note(tx, self._demands.named_by(page))
        self._changed.notify()

    async def _finish_scan(self) -> None:
        async with self._store.transaction() as tx:
            await facts.record(tx, "confidential_scan", SCANNED)

    # -- sealing --------------------------------------------------------------------------------------------

    async def _seal_forever(self) -> None:
        while True:
            seen = self._changed.count
            if self._rule != self._audiences.rule():
                await self._retry(self._apply_rule)
            has_more = await self._retry(self._seal_due)
            if has_more:
                continue
            if self._has_waiting:
                await self._changed.wait(seen, RECHECK_S)
                self._has_waiting = await self._retry(self._resume)
            else:
                await self._changed.wait(seen, None)

    async def _apply_rule(self) -> None:
        """Have everything looked at whose audience may be another one now."""
        rule = self._audiences.rule()
        while True:
            async with self._store.transaction() as tx:
                if await announced.mark_due(tx, rule, ENTITIES_MAX) < ENTITIES_MAX:
                    break
            await asyncio.sleep(0)
        self._rule = rule

    async def _resume(self) -> bool:
        """Whether something waits, which is looked at once more."""
        async with self._store.transaction() as tx:
            return await announced.resume(tx)

    async def _seal_due(self) -> bool:
        """Seal some of what has to be; whether there may be more."""
        if await announced.waiting_count(self._store) >= OUTBOX_MAX:
            return False
        ids = await announced.due(self._store, ENTITIES_MAX)
        if not ids:
            return False
        rule, feed_end = self._audiences.rule(), await self._store.last_change()
        entities = await self._store.entities(ids)
        before = await announced.states(self._store, ids)
        public = await publications.states(self._store, ids)
        registered = self._audiences.registered_keys()
        waiting: list[str] = []
        sealings: list[Sealing] = []
        for entity_id, known in before.items():
            entity = entities.get(entity_id)
            addressed = self._audiences.of(entity) if entity is not None else None
            if addressed is not None and addressed.part is not None and _is_public(public.get(entity_id)):
                waiting.append(entity_id)
                continue
            sealings.append(self._sealer.sealing(addressed, entity, known, rule, registered))
            await asyncio.sleep(0)
        async with self._store.transaction() as tx:
            if await tx.feed_end() != feed_end and await _have_changed(tx, ids, entities):
                return True  # what was read is not what there is; nothing was done
            for sealing in sealings:
                await self._record(tx, sealing)
            await announced.postpone(tx, waiting)
        self._has_waiting |= bool(waiting)
        if sealings:  # what only waits wakes nobody: it would be looked at again at once, and without end
            self._changed.notify()
        return len(ids) == ENTITIES_MAX

    async def _record(self, tx: Transaction, sealing: Sealing) -> None:
        entity = sealing.entity
        if sealing.is_narrower:
            await announced.remove_parts(tx, entity.entity_id)
        elif sealing.is_new_version:
            await announced.end_parts(tx, entity.entity_id, epoch_ms(self._clock))
        for part in sealing.parts:
            await announced.add_part(tx, part)
        for event in sealing.events:
            await announced.add_event(tx, entity.entity_id, encode_event(event))
        if sealing.is_forgotten:
            await announced.forget(tx, entity.entity_id)
        else:
            await announced.record(tx, entity)

    async def withdraw(self, lost: Sequence[LostNotice]) -> None:
        """Have members remove entities of which nobody has the bytes any more, this marketplace included."""
        events = [
            event
            for one in lost
            for event in self._sealer.withdrawal(one.key, one.type, one.version, one.recipients)
        ]
        await self._retry(partial(self._add_events, events))
        self._changed.notify()

    async def _add_events(self, events: Sequence[LifecycleEvent]) -> None:
        async with self._store.transaction() as tx:
            for event in events:
                await announced.add_event(tx, NO_ENTITY, encode_event(event))

    # -- submitting -----------------------------------------------------------------------------------------

    async def _submit_forever(self) -> None:
        while True:
            seen = self._changed.count
            batch = await self._next_batch()
            if not batch:
                await self._changed.wait(seen, None)
                continue
            await self._deliver(batch)
            self._changed.notify()

    async def _next_batch(self) -> tuple[WaitingEvent, ...]:
        """The oldest events of the outbox, as many as fit into one ledger transaction."""
        params = self._bus.params
        events = await announced.waiting(self._store, params.events_per_transaction_max)
        room_bytes = params.transaction_size_max_bytes - _FRAME_BYTES
        for n, event in enumerate(events):
            room_bytes -= len(event.content) + 1
            if room_bytes < 0 and n > 0:
                return events[:n]
        return events

    async def _deliver(self, batch: tuple[WaitingEvent, ...]) -> None:
        """Submit a batch until each of its events is committed, has another time, or is refused."""
        try:
            positions = await self._publish(batch)
        except Refused as refusal:
            if refusal.code is Code.EVENT_TIME_WRONG:
                await self._retry(partial(self._renew, batch))
            elif len(batch) > 1:
                middle = len(batch) // 2
                await self._deliver(batch[:middle])
                await self._deliver(batch[middle:])
            else:
                log.error("confidential_event_refused", code=str(refusal.code), reason=refusal.message)
                self._count(events_refused=1)
                await self._retry(partial(self._refuse, batch[0], refusal))
            return
        self._count(events_committed=len(batch))
        await self._retry(partial(self._conclude, batch, positions))

    def _count(self, **added: int) -> None:
        assert all(count >= 0 for count in added.values()), "counters only grow"
        current = {name: getattr(self._counters, name) + count for name, count in added.items()}
        self._counters = msgspec.structs.replace(self._counters, **current)

    async def _publish(self, batch: Sequence[WaitingEvent]) -> tuple[int, ...]:
        """Submit a batch until its outcome is known; the positions of its events.

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
                code = str(failure.code)
                pause_s = backoff.next_s(failure.retry_after_s if isinstance(failure, Unavailable) else 0.0)
            log.info("confidential_publish_retried", code=code, events=len(batch), pause_s=round(pause_s, 3))
            await self._clock.sleep(pause_s)

    async def _renew(self, batch: Sequence[WaitingEvent]) -> None:
        """Give events the present time."""
        time = event_time(self._clock.now())
        async with self._store.transaction() as tx:
            for one in batch:
                event = decode_event(one.content, self._signer.issuer)
                renewed = identified(msgspec.structs.replace(event, time=time))
                await announced.renew_event(tx, one.seq, encode_event(renewed))

    async def _refuse(self, event: WaitingEvent, refusal: Refused) -> None:
        async with self._store.transaction() as tx:
            await announced.refuse(tx, event, f"The ledger refuses its event: {refusal.message}")

    async def _conclude(self, batch: Sequence[WaitingEvent], positions: Sequence[int]) -> None:
        now_s = self._clock.monotonic()
        async with self._store.transaction() as tx:
            await announced.note_committed(tx, batch, positions)
            if now_s - self._pruned_at_s >= PRUNE_INTERVAL_S:
                retained_ms = int(self._limits.announced_retained_s * 1000)
                await announced.prune(tx, epoch_ms(self._clock) - retained_ms)
                self._pruned_at_s = now_s


def _is_public(publication: publications.Publication | None) -> bool:
    """Whether an entity is published to everybody, or what says so or otherwise is not committed yet."""
    if publication is None:
        return False
    return publication.is_under_way or (publication.version > 0 and not publication.is_withdrawn)


async def _have_changed(tx: Transaction, ids: Sequence[str], entities: dict[str, Entity]) -> bool:
    """Whether an entity is another one than it was when it was read."""
    for entity_id in ids:
        now, then = await tx.entity(entity_id), entities.get(entity_id)
        if (now and (now.revision, now.origin)) != (then and (then.revision, then.origin)):
            return True
    return False
