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
interruption repeats a part of the feed, which changes nothing. What is missing and unknown to the ledger is
looked for again every `RECHECK_S`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code
from hansa.core.identifiers import Entropy, entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads, CommittedEvent
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.replication.conditions.needs import Needs
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import withhold
from hansa.replication.registry import MemberRegistry
from hansa.store import Change, Entity, Filter, Query, Store, Transaction
from hansa.store.tables import closure, heads
from hansa.store.tables.closure import Need
from hansa.store.tables.heads import HeadState

CLOSURE_CURSOR: Final = "closure"
CHANGES_MAX: Final = 200
"""Rows of the feed in a part."""
CHANGES_SKIPPED_MAX: Final = 1000
"""Rows that call for nothing, after which the cursor is stored all the same."""
DEPTH_MAX: Final = 4
NEEDS_MAX: Final = 64
REQUESTS_MAX: Final = 100
"""Missing targets that are looked for at a time."""
REFERRERS_MAX: Final = 1000
"""Replicas that are looked at again, of each type and reference, when what they need was removed."""
PAUSE_S: Final = 0.25
"""After a change, before the feed is read: what comes meanwhile is looked at together."""
RECHECK_S: Final = 10.0
BACKOFF_MIN_S: Final = 0.1

log = structlog.get_logger()


class ClosureKeeper:
    """Notes what replicas lack, and has it retrieved.

    Args:
        store: Has the replicas.
        bus: Has the events of what is missing.
        registry: The members, under whose keys a target may be on the ledger.
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
        registry: MemberRegistry,
        policy: DistributionPolicy,
        needs: Needs,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._bus = bus
        self._registry = registry
        self._policy = policy
        self._needs = needs
        self._backlog = backlog
        self._clock = clock
        self._limits = limits
        self._retry = Retry("closure", clock, entropy, BACKOFF_MIN_S, limits.retrieval_backoff_max_s)
        self._rows: dict[str, bool] = {}
        """Replicas with rows, and whether they lack something."""

    def is_waiting(self, entity_id: str) -> bool:
        """Whether a replica lacks something, or did when it was last looked at."""
        return self._rows.get(entity_id, False)

    async def run(self) -> None:
        """Follow the feed until cancelled.

        Raises:
            Fatal: The store is damaged.
        """
        self._rows = dict(await self._retry(partial(closure.with_rows, self._store)))
        cursor = stored = await self._store.cursor(CLOSURE_CURSOR)
        while True:
            changes = await self._store.changes(cursor, CHANGES_MAX)
            if not changes:
                await self._request_all()
                await self._changed(cursor)
                continue
            cursor = changes[-1].seq
            step = partial(self._look_at, changes, cursor, is_due=cursor - stored >= CHANGES_SKIPPED_MAX)
            if await self._retry(step):
                stored = cursor

    async def _changed(self, cursor: int) -> None:
        """Wait for the feed; while something is missing, for a while at most."""
        if not any(self._rows.values()):
            await self._store.wait_for_change(cursor)
            await self._clock.sleep(PAUSE_S)
            return
        seen = self._backlog.added.count
        if await self._store.last_change() == cursor:
            await self._backlog.added.wait(seen, RECHECK_S)

    # -- the feed ------------------------------------------------------------------------------------------

    async def _look_at(self, changes: Sequence[Change], cursor: int, *, is_due: bool) -> bool:
        """Note what some changes mean for closures; whether the cursor was stored."""
        ids = tuple(
            dict.fromkeys(
                one.entity_id
                for one in changes
                if one.type in self._policy.types
                and (self._rows or one.origin is not None or one.operation == "delete")
            )
        )  # that an own entity changes concerns nothing as long as nothing is missing, or was requested
        if not ids and not is_due:
            return False
        entities = await self._store.entities(ids)
        removed = [each for each in ids if each not in entities]
        replicas = [one for one in entities.values() if one.origin is not None and one.public]
        if removed:
            types = {one.entity_id: one.type for one in changes}
            replicas += await self._referrers({each: types[each] for each in removed})
        needs = {one.id: self._needs.of(one)[:NEEDS_MAX] for one in replicas}
        targets = tuple({target for each in needs.values() for target in each})
        present = await self._store.collections_of(targets) if targets else {}
        lacking = [
            each for each in needs if each in self._rows or any(one not in present for one in needs[each])
        ]
        if not lacking and not is_due and not (self._rows and ids):
            return False
        dropped: list[str] = []
        async with self._store.transaction() as tx:
            concerned = {*lacking, *removed}
            for entity_id in ids if self._rows else ():
                change = closure.removed if entity_id in removed else closure.arrived
                concerned.update(await change(tx, entity_id))
            for entity_id in removed:
                dropped += await closure.replace(tx, entity_id, ())
            for entity_id in lacking:
                dropped += await self._note(tx, entity_id, needs[entity_id])
            states = {each: await closure.needs_of(tx, each) for each in concerned}
            await tx.set_cursor(CLOSURE_CURSOR, cursor)
        for entity_id, rows in states.items():
            self._rows.pop(entity_id, None)
            if rows:
                self._rows[entity_id] = any(one.is_missing for one in rows)
        for target_id in dict.fromkeys(dropped):
            await self._release(target_id)
        return True

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

    async def _note(self, tx: Transaction, entity_id: str, needed: Sequence[str]) -> tuple[str, ...]:
        """Give a replica its rows; what was requested for its sake and is not needed any more."""
        present = await tx.collections_of(needed)
        known = {one.target_id for one in await closure.needs_of(tx, entity_id)}
        depth = await closure.depth_of(tx, entity_id) + 1
        now_ms = int(self._clock.now().timestamp() * 1000)
        rows = [
            Need(entity_id, target_id, depth, now_ms)
            for target_id in needed
            if target_id not in present or target_id in known
        ]
        return await closure.replace(tx, entity_id, rows)

    # -- requesting ----------------------------------------------------------------------------------------

    async def _request_all(self) -> None:
        if not any(self._rows.values()):
            return
        since_ms = int((self._clock.now().timestamp() - self._limits.closure_wait_max_s) * 1000)
        missing = await closure.unrequested(self._store, since_ms, REQUESTS_MAX)
        for need in missing:
            if need.depth <= DEPTH_MAX and await self._retry(partial(self._request, need)):
                self._backlog.added.notify()

    async def _request(self, need: Need) -> bool:
        """Have a missing target retrieved that a condition kept out; whether it was.

        Raises:
            Unavailable: The bus does not answer.
        """
        for member in await self._registry.members():
            for head in await heads.of_all_members(self._store, entity_key(member.did, need.target_id)):
                event = await self._skipped_event(head)
                if event is None:
                    continue
                unmet = self._policy.wants(event.event)
                if unmet is not None and unmet.is_final:
                    continue
                async with self._store.transaction() as tx:
                    await closure.request(tx, need, head.issuer, head.key)
                    await heads.forget(tx, head.issuer, head.key)
                    await heads.schedule(tx, retrieval_of(event))
                log.info("closure_requested", entity=need.entity_id, target=need.target_id, depth=need.depth)
                return True
        return False

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
                await withhold(tx, retrieval_of(event), unmet)
