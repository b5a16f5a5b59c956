"""The follower: from committed events on the ledger to replicas, and pending retrievals, in the store.

It reads committed events in ledger order from the cursor `follower`. For each page one store transaction
gives every entity key on it its state (`hansa.store.tables.heads`), writes the replicas whose bytes were
pushed before (`hansa.replication.replicas.pushed_intake`), deletes those of deleted entities, and moves the
cursor: every event is applied exactly once, whatever is killed when. An event that
is older than what is known of its key changes nothing, so that the ledger can be read again from any
position.

A store that is `FAR_BEHIND_EVENTS` or more behind, as that of a newcomer, reads heads and not history: the
claims of the local ledger say where the newest event of each key is, and those events alone are applied, in
ledger order, up to the end that the ledger had then. So nothing is retrieved that is not the newest any more,
and an interrupted store goes on from its cursor.

Of several events of one entity on a page only the last one counts. A deletion takes effect at once; a
retrieval of that entity that is in flight finds itself outdated when its response arrives. An entity whose
metadata does not meet a consume condition is skipped, and a replica of an earlier version removed.

No event is ever passed over. A member that publishes faster than it serves has retrievals that wait, or are
deferred by its bounds (`hansa.replication.replicas.bounds`).

This member's own events are compared with what its publisher knows
(`hansa.replication.continuity.own_events`).

Before it reads anything it compares the ledger with the store (`hansa.replication.continuity.binding`).

Failures: when store or bus are unavailable the step is repeated with back-off (`Retry`), from its beginning.
Sealed events get no head: those that are for this member have rows of their own
(`hansa.replication.confidential.recognition`), and of all others nothing is recorded.

An event of a type that is private everywhere is rejected, and recorded as evidence against its issuer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.audit import ANCHOR_TYPE
from hansa.core.clock import Clock
from hansa.core.errors import Code
from hansa.core.events import LifecycleEvent
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger_records import CommittedEvent, EventPage
from hansa.replication.auditing.losses import record_lost_anchors
from hansa.replication.auditing.outcomes import EventOutcomes
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import is_withheld, reason_of
from hansa.replication.confidential.recognition import Recognition
from hansa.replication.continuity.binding import is_continued, record_followed
from hansa.replication.continuity.own_events import compare_own
from hansa.replication.intake import private_reason
from hansa.replication.replicas.pushed_intake import PushedIntake, ReadyParts
from hansa.store import Store, Transaction
from hansa.store.tables import evidence, heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR, HeadState, NewHead, is_newer

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
LEDGER_BEHIND_PAUSE_S: Final = 1.0
DELETED: Final = "Its origin deleted or withdrew it."
FAR_BEHIND_EVENTS: Final = 5000
"""Behind the ledger: then the newest events of all keys are read in place of all events."""
NEWEST_AT_ONCE: Final = 500

log = structlog.get_logger()


class FollowerCounters(msgspec.Struct, frozen=True):
    """What a follower has done since it started."""

    events_read: int = 0
    events_refused: int = 0
    deletions: int = 0
    replicas_pushed: int = 0
    """Replicas that were stored with their events."""


class Follower:
    """Applies the committed events of the league. One per store.

    Args:
        store: Has the cursor and the retrievals.
        bus: Has the events.
        did: This member.
        policy: What is taken in; an event of a type that may not be public is refused.
        backlog: Shared with the retriever.
        clock: For back-off.
        entropy: For back-off.
        limits: `evidence_rows_max`, `events_page_max`.
        pushed: Stores what was pushed before; None: everything is retrieved.
        recognition: Recognises what is sealed for this member; None: nothing is.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        did: str,
        policy: DistributionPolicy,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        pushed: PushedIntake | None = None,
        recognition: Recognition | None = None,
    ) -> None:
        self._pushed = pushed
        self._recognition = recognition
        self._store = store
        self._bus = bus
        self._did = did
        self._policy = policy
        self._backlog = backlog
        self._clock = clock
        self._is_ledger_behind = False
        self._limits = limits
        self._retry = Retry("follower", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
        self._counters = FollowerCounters()

    @property
    def counters(self) -> FollowerCounters:
        """What has been done since the start."""
        return self._counters

    @property
    def is_ledger_behind(self) -> bool:
        """Whether the ledger lacks what the store has followed, so that nothing is followed."""
        return self._is_ledger_behind

    async def run(self) -> None:
        """Follow until cancelled or until the bus is closed. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged, or has followed another ledger (`Code.STORE_FOREIGN`).
        """
        await self._wait_for_ledger()
        cursor: int | None = await self._store.cursor(FOLLOWER_CURSOR)
        while cursor is not None:
            cursor = await self._follow(cursor)
            if cursor is not None:
                cursor = await self._catch_up(cursor)

    async def _follow(self, cursor: int) -> int | None:
        """Apply events as they are committed; the cursor where very many follow, None at the end."""
        async for page in self._bus.follow(cursor):
            assert page.scanned_to >= cursor, "the bus follows in ledger order"
            if page.last_position - cursor >= FAR_BEHIND_EVENTS:
                return cursor
            cursor = page.scanned_to
            await self._process(page, await self._ready(page))
        return None

    async def _catch_up(self, cursor: int) -> int:
        """Apply the newest event of each key up to the present end of the ledger; the cursor after that."""
        newest = await self._retry(partial(self._bus.newest_positions, cursor))
        log.info("catching_up", after=cursor, end=newest.end, keys=len(newest.positions))
        done = 0
        while done < len(newest.positions):
            some = newest.positions[done : done + NEWEST_AT_ONCE]
            events = await self._retry(partial(self._bus.events_at, some))
            done += len(events)
            scanned_to = events[-1].position if done < len(newest.positions) else newest.end
            page = EventPage(events, scanned_to, newest.end)
            await self._process(page, ReadyParts(), is_newest=True)
        return newest.end

    async def _process(self, page: EventPage, ready: ReadyParts, *, is_newest: bool = False) -> None:
        await self._retry(partial(self._apply_page, page, ready, is_newest=is_newest))
        self._count(events_read=len(page.events))
        self._backlog.added.notify()

    async def _wait_for_ledger(self) -> None:
        """Wait until the ledger has what the store has followed."""
        while not await self._retry(partial(is_continued, self._store, self._bus)):
            if not self._is_ledger_behind:
                self._is_ledger_behind = True
                log.warning("ledger_behind_store", cursor=await self._store.cursor(FOLLOWER_CURSOR))
            await self._clock.sleep(LEDGER_BEHIND_PAUSE_S)
        self._is_ledger_behind = False

    def _count(self, **added: int) -> None:
        assert all(count >= 0 for count in added.values()), "counters only grow"
        current = {name: getattr(self._counters, name) + count for name, count in added.items()}
        self._counters = msgspec.structs.replace(self._counters, **current)

    async def _ready(self, page: EventPage) -> ReadyParts:
        """What of a page was pushed, and holds."""
        if self._pushed is None:
            return ReadyParts()
        latest = _latest(one for one in page.events if one.event.issuer != self._did)
        versions = [retrieval_of(one) for one in latest if self._is_retrievable(one.event)]
        return await self._retry(partial(self._pushed.ready, versions)) if versions else ReadyParts()

    def _is_retrievable(self, event: LifecycleEvent) -> bool:
        """Whether an event calls for bytes by itself.

        What is here for the sake of others alone, against a condition, is requested when it is needed.
        """
        is_taken = event.entity.type in self._policy.types and not event.is_delete
        return is_taken and self._policy.wants(event) is None

    async def _apply_page(self, page: EventPage, ready: ReadyParts, *, is_newest: bool) -> None:
        sealed = self._recognition.recognised(page.events) if self._recognition is not None else []
        public = [one for one in page.events if one.event.sealed is None]
        has_sealed = False
        async with self._store.transaction() as tx:
            others = [one for one in public if one.event.issuer != self._did]
            outcomes = EventOutcomes()
            if any(one.event.entity.type != ANCHOR_TYPE for one in others):
                for one in page.events:
                    outcomes.note("received", one.position)
            replicas = await self._apply(tx, others, ready, outcomes, is_newest=is_newest)
            own = [one for one in public if one.event.issuer == self._did]
            await record_lost_anchors(tx, own)
            is_due = await compare_own(tx, own)
            if self._recognition is not None and sealed:
                has_sealed = await self._recognition.record(tx, sealed)
            await tx.set_cursor(FOLLOWER_CURSOR, page.scanned_to)
            await record_followed(tx, page.events)
            await outcomes.append(tx)
        if self._pushed is not None:
            self._pushed.committed(replicas)
            self._count(replicas_pushed=len(replicas))
        if is_due:
            self._backlog.due.notify()
        if has_sealed:
            self._backlog.sealed.notify()

    async def _apply(
        self,
        tx: Transaction,
        events: Sequence[CommittedEvent],
        ready: ReadyParts,
        outcomes: EventOutcomes,
        *,
        is_newest: bool,
    ) -> list[NewHead]:
        """Give the keys of some events their states, write what is ready, and delete what was deleted.

        Args:
            tx: The transaction that moves the cursor.
            events: Of other members.
            ready: Replicas of some of them.
            outcomes: Take what becomes of them, for the audit log.
            is_newest: Whether keys come without their first events; then new heads are counted by keys.

        Returns:
            The heads whose replicas it wrote.
        """
        begun = Counter(one.event.issuer for one in events if one.event.entity.version == 1)
        new: dict[str, list[NewHead]] = {}
        replicas: list[NewHead] = []
        for committed in _latest(events):
            head = await self._head(tx, committed)
            new.setdefault(head.version.issuer, []).append(head)
        ended = _ended(events)
        for issuer, ones in new.items():
            before = await self._before(tx, issuer, [one.version.key for one in ones], ended)
            await origins.count_heads(tx, issuer, len(ones) - len(before) if is_newest else begun[issuer])
            recorded = await self._stored(tx, ones, ready, before)
            await heads.record(tx, issuer, recorded, before)
            replicas += [one for one in recorded if one.state == "stored"]
            for one in recorded:
                outcomes.note_head(one)
        if self._pushed is not None:
            await self._pushed.count(tx, ready)
        return replicas

    async def _before(
        self,
        tx: Transaction,
        issuer: str,
        keys: Sequence[str],
        ended: Mapping[tuple[str, str], CommittedEvent],
    ) -> Mapping[str, HeadState]:
        """The heads of some keys of a member before its events of a page.

        A replica that was deleted and announced again within the page goes at once: what is to be retrieved
        replaces an older version only when it comes.
        """
        before = await heads.of_keys(tx, issuer, keys)
        deleted = [
            NewHead(retrieval_of(ended[issuer, key]), "deleted", None, DELETED)
            for key, head in before.items()
            if head.entity_id is not None and (issuer, key) in ended
        ]
        if not deleted:
            return before
        await heads.record(tx, issuer, deleted, before)
        return await heads.of_keys(tx, issuer, keys)

    async def _stored(
        self, tx: Transaction, new: Sequence[NewHead], ready: ReadyParts, before: Mapping[str, HeadState]
    ) -> Sequence[NewHead]:
        """New heads of a member, stored where their replicas are ready and no newer version is known."""
        drafts = {
            one.version: draft
            for one in new
            if one.state == "pending"
            and (draft := ready.drafts.get(one.version)) is not None
            and is_newer(one.version, before.get(one.version.key))
        }
        if self._pushed is None or not drafts:
            return new
        stored = {one.version: one for one in await self._pushed.write(tx, drafts)}
        return [stored.get(one.version, one) for one in new]

    async def _head(self, tx: Transaction, committed: CommittedEvent) -> NewHead:
        """What an event makes of its key."""
        event, version = committed.event, retrieval_of(committed)
        if event.entity.type == ANCHOR_TYPE:
            return NewHead(version, "skipped", None, "It anchors the audit log of its issuer.")
        if event.entity.type not in self._policy.types:
            return await self._refuse(tx, committed)
        if event.is_delete:
            self._count(deletions=1)
            return NewHead(version, "deleted", None, DELETED)
        unmet = self._policy.wants(event)
        if unmet is not None and await is_withheld(tx, unmet, event.issuer, event.entity.key):
            return NewHead(version, "skipped", str(Code.CONDITION_UNMET), reason_of(unmet))
        return NewHead(version, "pending")

    async def _refuse(self, tx: Transaction, committed: CommittedEvent) -> NewHead:
        event, version, code = committed.event, retrieval_of(committed), str(Code.ENTITY_INVALID)
        self._count(events_refused=1)
        reason = private_reason(event.entity.type)
        await evidence.record(tx, version, code, reason, self._limits.evidence_rows_max)
        log.warning(
            "private_event_refused",
            issuer=event.issuer,
            type=event.entity.type,
            position=committed.position,
        )
        return NewHead(version, "rejected", code, reason)


def _ended(events: Iterable[CommittedEvent]) -> dict[tuple[str, str], CommittedEvent]:
    """The last deletion of each key that is announced again after it, by issuer and key."""
    deletions: dict[tuple[str, str], CommittedEvent] = {}
    ended: dict[tuple[str, str], CommittedEvent] = {}
    for committed in events:
        name = (committed.event.issuer, committed.event.entity.key)
        if committed.event.is_delete:
            deletions[name] = committed
        elif name in deletions:
            ended[name] = deletions[name]
    return ended


def _latest(events: Iterable[CommittedEvent]) -> list[CommittedEvent]:
    """The last event of each key, in ledger order."""
    latest: dict[tuple[str, str], CommittedEvent] = {}
    for committed in events:
        name = (committed.event.issuer, committed.event.entity.key)
        latest.pop(name, None)
        latest[name] = committed
    return list(latest.values())
