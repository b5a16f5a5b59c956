"""Closure: a replica is usable when what it needs is here, as an offering with its specification and prices.

Every catalogue type declares which of its references it needs (`references.toml`, `closure`). The closure
follows the feed of the store and looks at each replica that was written:

    complete     everything that it needs is here
    waiting      something is missing. It arrives by its own event, as everything does: verified for itself,
                 since references carry no hash
    incomplete   it has waited for `closure_wait_max_s`. Nothing is looked for any more; what arrives all the
                 same completes it

Where the conditions of this marketplace kept a missing target out, it is requested for the sake of what
refers to it: when no policy permits it, but not when one forbids it. That ends after `DEPTH_MAX` references,
and `NEEDS_MAX` of one replica. What was requested so stays as long as something that needs it does; then the
conditions decide about it again, and it disappears.

States, all durable: the cursor `closure` in the feed, and the rows of `hansa.store.tables.closure`. An
interruption repeats a part of the feed, which changes nothing. What is missing is looked for when that is
noted, and again when other members have announced something, every `RECHECK_S` at most, a page of
`RECHECKED_MAX` at a time: its event may be among that. While the conditions keep nothing out, nothing is
looked for.

A part of the feed is one transaction, with a few statements for all of its replicas; one that concerns no
closure is none. Under load parts are large and `LONG_PAUSE_S` apart: what they write is in many places of the
tables, and the more is written together, the fewer pages are written twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import structlog

from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code
from hansa.core.identifiers import Entropy, entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.auditing.outcomes import EventOutcomes
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.replication.conditions.needs import Needs
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import withhold
from hansa.store import Change, Entity, Filter, Query, Store, Transaction
from hansa.store.tables import closure, heads, origins
from hansa.store.tables.closure import Need
from hansa.store.tables.heads import HeadState

CLOSURE_CURSOR: Final = "closure"
CHANGES_MAX: Final = 400
"""Rows of the feed in a part: all other writes wait while it is written."""
LONG_PART_ROWS: Final = 100
"""From so many rows on, there is a long pause after a part."""
AT_ONCE: Final = 100
"""Replicas that are looked at, or noted, before others on the event loop get their turn."""
CHANGES_SKIPPED_MAX: Final = 1000
"""Rows that call for nothing, after which the cursor is stored all the same."""
DEPTH_MAX: Final = 4
NEEDS_MAX: Final = 64
REQUESTS_MAX: Final = 100
"""Missing targets that are looked for at a time."""
RECHECKED_MAX: Final = 1000
"""Missing targets that are looked for again at a time."""
REFERRERS_MAX: Final = 1000
"""Replicas that are looked at again, of each type and reference, when what they need was removed."""
PAUSE_S: Final = 0.25
"""After a change, before the feed is read: what comes meanwhile is looked at together."""
LONG_PAUSE_S: Final = 1.0
RECHECK_S: Final = 10.0
BACKOFF_MIN_S: Final = 0.1

log = structlog.get_logger()


class ClosureKeeper:
    """Notes what replicas lack, and has it retrieved.

    Args:
        store: Has the replicas.
        bus: Has the events of what is missing.
        policy: Decides about what nothing needs any more.
        needs: What entities need.
        backlog: Wakes the retriever.
        clock: For times, and for back-off.
        entropy: For back-off.
        limits: `closure_wait_max_s`.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        policy: DistributionPolicy,
        needs: Needs,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._bus = bus
        self._policy = policy
        self._needs = needs
        self._backlog = backlog
        self._clock = clock
        self._limits = limits
        self._retry = Retry("closure", clock, entropy, BACKOFF_MIN_S, limits.retrieval_backoff_max_s)
        self._with_rows: set[str] = set()
        """Replicas with rows."""
        self._lacking: set[str] = set()
        """Those of them that lack something."""
        self._has_requested = True
        self._rechecked_at_s = clock.monotonic()
        self._rechecked_to = ("", "")
        """Replica and target up to which was looked for again."""
        self._recheck_count = 0
        """Notifications when looking for all of it was begun."""
        self._rechecked_at_count = -1
        """The same of what was looked for completely."""

    def is_waiting(self, entity_id: str) -> bool:
        """Whether a replica lacks something, or did when it was last looked at."""
        return entity_id in self._lacking

    async def run(self) -> None:
        """Follow the feed until cancelled.

        Raises:
            Fatal: The store is damaged.
        """
        for entity_id, is_missing in await self._retry(partial(closure.with_rows, self._store)):
            self._with_rows.add(entity_id)
            if is_missing:
                self._lacking.add(entity_id)
        self._has_requested = await self._retry(partial(closure.is_any_requested, self._store))
        cursor = stored = await self._store.cursor(CLOSURE_CURSOR)
        while True:
            seen = self._backlog.added.count
            changes = await self._store.changes(cursor, CHANGES_MAX)
            if not changes:
                await self._recheck()
                await self._changed(cursor, seen)
                continue
            cursor = changes[-1].seq
            step = partial(self._look_at, changes, cursor, is_due=cursor - stored >= CHANGES_SKIPPED_MAX)
            if await self._retry(step):
                stored = cursor
            if LONG_PART_ROWS <= len(changes) < CHANGES_MAX:
                await self._clock.sleep(LONG_PAUSE_S)

    async def _changed(self, cursor: int, seen: int) -> None:
        """Wait for the feed; while something is missing, also for what other members announce."""
        if not self._lacking:
            await self._store.wait_for_change(cursor)
        else:
            pause_s = None
            if self._backlog.added.count != self._rechecked_at_count:
                pause_s = max(0.0, self._rechecked_at_s + RECHECK_S - self._clock.monotonic())
            await _first(self._store.wait_for_change(cursor), self._backlog.added.wait(seen, pause_s))
        await self._clock.sleep(PAUSE_S)

    # -- the feed ------------------------------------------------------------------------------------------

    async def _look_at(self, changes: Sequence[Change], cursor: int, *, is_due: bool) -> bool:
        """Note what some changes mean for closures; whether the cursor was stored."""
        ids = tuple(
            dict.fromkeys(
                one.entity_id
                for one in changes
                if one.type in self._policy.types
                and (self._with_rows or one.origin is not None or one.operation == "delete")
            )
        )  # that an own entity changes concerns nothing as long as nothing is missing, or was requested
        if not ids and not is_due:
            return False
        needs, here = await self._needs_of(ids)
        removed = [each for each in ids if each not in here]
        if removed:
            types = {one.entity_id: one.type for one in changes}
            referrers = await self._referrers({each: types[each] for each in removed})
            needs |= {one.id: self._needs.of(one)[:NEEDS_MAX] for one in referrers}
        targets = tuple({target for each in needs.values() for target in each})
        present = await self._store.collections_of(targets) if targets else {}
        noted: dict[str, Sequence[str]] = {
            each: needed
            for each, needed in needs.items()
            if each in self._with_rows or any(one not in present for one in needed)
        }
        noted |= {each: () for each in removed if each in self._with_rows}
        moved = await closure.targets_among(self._store, ids) if self._with_rows else frozenset()
        if not noted and not moved and not is_due:
            return False
        async with self._store.transaction() as tx:
            concerned = {*noted}
            concerned |= await closure.arrived(tx, [each for each in moved if each in here])
            concerned |= await closure.removed(tx, [each for each in moved if each not in here])
            states, dropped = await self._note(tx, noted)
            states |= await closure.needs_of(tx, concerned.difference(noted))
            await tx.set_cursor(CLOSURE_CURSOR, cursor)
        self._with_rows -= concerned
        self._lacking -= concerned
        self._with_rows |= states.keys()
        self._lacking |= {each for each, rows in states.items() if any(one.is_missing for one in rows)}
        await self._look_for([one for each in noted for one in states.get(each, ()) if _is_unrequested(one)])
        for target_id in dropped:
            await self._release(target_id)
        return True

    async def _needs_of(self, ids: Sequence[str]) -> tuple[dict[str, Sequence[str]], frozenset[str]]:
        """What those of some entities need that are replicas here; and those that are here at all."""
        needs: dict[str, Sequence[str]] = {}
        here: set[str] = set()
        for start in range(0, len(ids), AT_ONCE):
            entities = await self._store.entities(ids[start : start + AT_ONCE])
            here.update(entities)
            for one in entities.values():
                if one.origin is not None and one.public:
                    needs[one.id] = self._needs.of(one)[:NEEDS_MAX]
            await asyncio.sleep(0)
        return needs, frozenset(here)

    async def _referrers(self, removed: Mapping[str, str]) -> list[Entity]:
        """Replicas that need entities which are not here any more, given these with their types."""
        ids: list[str] = []
        for type_name in set(removed.values()):
            targets = tuple(each for each, its_type in removed.items() if its_type == type_name)
            for collection, path in self._needs.paths_to(type_name):
                query = Query(collection, (Filter(path, targets),), limit=REFERRERS_MAX)
                ids += (await self._store.list(query)).ids
        entities = await self._store.entities(ids) if ids else {}
        return [one for one in entities.values() if one.origin is not None and one.public]

    async def _note(
        self, tx: Transaction, needs: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, tuple[Need, ...]], tuple[str, ...]]:
        """Give replicas their rows.

        Returns:
            The rows of each that has any, and what was requested for their sake and is not needed any more.
        """
        states: dict[str, tuple[Need, ...]] = {}
        dropped: list[str] = []
        names = tuple(needs)
        for start in range(0, len(names), AT_ONCE):
            some = {each: needs[each] for each in names[start : start + AT_ONCE]}
            rows, not_needed = await self._note_some(tx, some)
            states |= {entity_id: each for entity_id, each in rows.items() if each}
            dropped += not_needed
            await asyncio.sleep(0)
        return states, tuple(dict.fromkeys(dropped))

    async def _note_some(
        self, tx: Transaction, needs: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, tuple[Need, ...]], tuple[str, ...]]:
        present = await tx.collections_of(tuple({target for each in needs.values() for target in each}))
        before = await closure.needs_of(tx, [each for each in needs if each in self._with_rows])
        depths = await closure.depths_of(tx, needs) if self._has_requested else {}
        now_ms = epoch_ms(self._clock)
        rows: dict[str, tuple[Need, ...]] = {}
        for entity_id, needed in needs.items():
            known = {one.target_id: one for one in before.get(entity_id, ())}
            depth = depths.get(entity_id, 0) + 1
            rows[entity_id] = tuple(
                known.get(target_id) or Need(entity_id, target_id, depth, now_ms)
                for target_id in needed
                if target_id not in present or target_id in known
            )
        return rows, await closure.replace(tx, rows, before)

    # -- requesting ----------------------------------------------------------------------------------------

    async def _recheck(self) -> None:
        """Look for some of what is missing once more, when something was announced since, and it is time."""
        now_s, count = self._clock.monotonic(), self._backlog.added.count
        is_due = now_s >= self._rechecked_at_s + RECHECK_S and count != self._rechecked_at_count
        if not self._lacking or not is_due:
            return
        self._rechecked_at_s = now_s
        if self._rechecked_to == ("", ""):
            self._recheck_count = count
        since_ms = int((self._clock.now().timestamp() - self._limits.closure_wait_max_s) * 1000)
        page = await closure.page(self._store, self._rechecked_to, RECHECKED_MAX)
        is_last = len(page) < RECHECKED_MAX
        self._rechecked_to = ("", "") if is_last else (page[-1].entity_id, page[-1].target_id)
        if is_last:
            self._rechecked_at_count = self._recheck_count
        await self._look_for([one for one in page if _is_unrequested(one) and one.since_ms >= since_ms])

    async def _look_for(self, needs: Sequence[Need]) -> None:
        """Have missing targets retrieved that a condition kept out."""
        if not needs or not any(one.skipped for one in await origins.origins(self._store)):
            return
        for start in range(0, len(needs), REQUESTS_MAX):
            by_target: dict[str, list[Need]] = {}
            for need in needs[start : start + REQUESTS_MAX]:
                if need.depth <= DEPTH_MAX:
                    by_target.setdefault(need.target_id, []).append(need)
            if by_target:
                await self._retry(partial(self._request, by_target))

    async def _request(self, needs: Mapping[str, Sequence[Need]]) -> None:
        """Have those of some missing targets retrieved that a condition kept out.

        Raises:
            Unavailable: The bus does not answer.
        """
        skipping = [one.did for one in await origins.origins(self._store) if one.skipped]
        for did in skipping:
            targets = {entity_key(did, target_id): target_id for target_id in needs}
            for key, head in (await heads.of_keys(self._store, did, tuple(targets))).items():
                event = await self._skipped_event(head)
                unmet = self._policy.wants(event.event) if event is not None else None
                if event is None or (unmet is not None and unmet.is_final):
                    continue
                rows = needs[targets[key]]
                self._has_requested = True
                async with self._store.transaction() as tx:
                    await closure.request(tx, rows, did, key)
                    await heads.forget(tx, did, key)
                    await heads.schedule(tx, retrieval_of(event))
                log.info(
                    "closure_requested",
                    entity=rows[0].entity_id,
                    target=rows[0].target_id,
                    depth=rows[0].depth,
                )
                self._backlog.added.notify()

    async def _skipped_event(self, head: HeadState) -> CommittedEvent | None:
        """The event of a head that a condition keeps out; None of any other."""
        if head.state != "skipped" or head.problem != Code.CONDITION_UNMET:
            return None
        return await self._event_of(head)

    async def _event_of(self, head: HeadState) -> CommittedEvent:
        page = await self._bus.search(head.position - 1, limit=1)
        assert page.events, "a head is on the ledger"
        return page.events[0]

    # -- releasing -----------------------------------------------------------------------------------------

    async def _release(self, target_id: str) -> None:
        """Let the conditions decide about an entity that was here for the sake of another one."""
        entity = await self._store.entity(target_id)
        if entity is None or entity.origin is None:
            return
        key = entity_key(entity.origin, target_id)
        head = await heads.of_key(self._store, entity.origin, key)
        if head is not None:
            await self._retry(partial(self._decide_again, target_id, head))

    async def _decide_again(self, target_id: str, head: HeadState) -> None:
        event = await self._event_of(head)
        async with self._store.transaction() as tx:
            entity = await tx.entity(target_id)
            current = await heads.of_key(tx, head.issuer, head.key)
            if entity is None or entity.origin != head.issuer or current is None:
                return
            if current.position != head.position or await closure.is_required(tx, target_id):
                return
            unmet = self._policy.wants(event.event) or self._policy.accepts(entity)
            if unmet is not None:
                outcomes = EventOutcomes()
                outcomes.note_head(await withhold(tx, retrieval_of(event), unmet))
                await outcomes.append(tx)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of some waits ends."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one) for one in waits]
        await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
        for one in started:
            one.cancel()


def _is_unrequested(need: Need) -> bool:
    """Whether a target is missing, and was requested of nobody."""
    return need.is_missing and need.issuer is None
