"""A `Store` in memory: a transaction works on a copy, which replaces the original at the commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.core.identifiers import PLAIN_IDENTIFIER
from hansa.core.limits import Limits
from hansa.core.patterns import compiled
from hansa.core.signal import Signal
from hansa.store.evaluation import matches, ordered, resolved
from hansa.store.index.extraction import IndexedFields, Indexes
from hansa.store.index.plan import IndexPlan
from hansa.store.memory.state import State, decoded, entity_of, time_of
from hansa.store.memory.tables import MemoryTables
from hansa.store.operators import Operand
from hansa.store.records import (
    INTERNAL,
    READ_AT_ONCE_MAX_BYTES,
    AllOf,
    AnyOf,
    Change,
    Condition,
    Entity,
    EntityDraft,
    Filter,
    ListCaller,
    Page,
    Query,
    Referrer,
    fitting,
    tail_of,
)
from hansa.store.sql import SqlRead, SqlWrite
from hansa.store.tables import announced

NO_PLAN: Final[IndexPlan] = MappingProxyType({})

_running: ContextVar[MemoryTransaction | None] = ContextVar("memory_transaction", default=None)


class MemoryTransaction:
    """An open transaction (`hansa.store.interface.Transaction`)."""

    def __init__(self, state: State, tables: MemoryTables, clock: Clock) -> None:
        self._state = state
        self.tables = tables
        """Their copy, which becomes the original at the commit."""
        self._clock = clock
        self._first_change = state.last_change + 1
        self._time: str | None = None
        self.is_open = True

    @property
    def state(self) -> State:
        """What this transaction reads and writes."""
        assert self.is_open, "the transaction has ended"
        return self._state

    @property
    def sql(self) -> SqlWrite:
        """The domain tables."""
        assert self.is_open, "the transaction has ended"
        return self.tables

    @property
    def time(self) -> str:
        """When this transaction wrote first."""
        if self._time is None:
            self._time = time_of(self._clock)
        return self._time

    @property
    def last_change(self) -> int:
        """Number of the newest row of the feed that this transaction wrote; 0 before the first."""
        return self._state.last_change if self._state.last_change >= self._first_change else 0

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier."""
        return self.state.entities.get(entity_id)

    async def nonce(self, entity_id: str) -> bytes | None:
        """What binds an identifier to this marketplace; also of an entity that was deleted."""
        entity = self.state.entities.get(entity_id)
        return entity.nonce if entity is not None else self.state.deleted.get(entity_id, (0, None))[1]

    async def pending_among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of some entities that are pending."""
        existing = (self.state.entities.get(each) for each in ids)
        return frozenset(one.id for one in existing if one is not None and one.pending is not None)

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist."""
        return {each: self.state.entities[each].type for each in ids if each in self.state.entities}

    async def referrers(
        self,
        collections: Sequence[str],
        target_id: str,
        limit: int,
        offset: int = 0,
        size_max_bytes: int = READ_AT_ONCE_MAX_BYTES,
    ) -> tuple[Referrer, ...]:
        """Entities of this marketplace that hold an identifier at a path of the plan."""
        referring = [
            Referrer(one.id, one.type, one.body)
            for one in self.state.entities.values()
            if one.type in collections
            and one.origin is None
            and target_id not in {one.id, one.parent}
            and target_id in self.state.references(one)
        ][offset : offset + limit]
        return tuple(referring[: fitting((len(one.body) for one in referring), size_max_bytes)])

    async def below(self, collections: Sequence[str], parent_id: str, limit: int) -> tuple[str, ...]:
        """Identifiers of the sub-resources of an entity."""
        entities = self.state.entities.values()
        ids = [one.id for one in entities if one.type in collections and one.parent == parent_id]
        return tuple(ids[:limit])

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and its row of the feed, unless the entity is already as the draft says."""
        current = self.state.entities.get(draft.id)
        if current is not None:
            await announced.retain_replaced(self, current, draft)
        return self.state.put(draft, self.time)

    async def add(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier is known to be free now."""
        assert draft.id not in self.state.entities, "the identifier is free"
        return self.state.put(draft, self.time)

    async def add_all(self, drafts: Sequence[EntityDraft]) -> None:
        """Write entities whose identifiers are known to be free now."""
        for draft in drafts:
            await self.add(draft)

    async def create(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier was made just now."""
        return await self.add(draft)

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity; as it was."""
        entity = self.state.delete(entity_id, self.time)
        if entity is not None and entity_id:
            await self.sql.execute("DELETE FROM subscription WHERE topic = ?", (entity_id,))
        return entity

    async def feed_end(self) -> int:
        """Number of the newest row of the feed."""
        return self.state.last_change

    async def cursor(self, name: str) -> int:
        """Position of a cursor."""
        return self.state.cursors.get(name, 0)

    async def set_cursor(self, name: str, position: int) -> None:
        """Move a cursor."""
        self.state.cursors[name] = position


class MemoryStore:
    """A `hansa.store.interface.Store` whose content is lost at closing."""

    def __init__(self, clock: Clock, limits: Limits, *, plan: IndexPlan = NO_PLAN) -> None:
        self._clock = clock
        self._limits = limits
        self._state = State(Indexes(plan))
        self._tables = MemoryTables()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._changed = Signal(clock)
        self._created: list[tuple[EntityDraft, asyncio.Future[HansaError | None]]] = []
        """Creates that arrived while a transaction runs: it ends before they are written."""
        self._is_closed = False

    @property
    def sql(self) -> SqlRead:
        """The domain tables, as they are committed."""
        return self._tables

    @property
    def writes_waiting(self) -> int:
        """Transactions and creates that run or wait."""
        return self._waiting + len(self._created)

    async def close(self) -> None:
        """Let the running transaction end, and refuse everything that follows."""
        async with self._turn:
            self._is_closed = True
        self._write_created()
        self._tables.close()

    # -- reading entities ----------------------------------------------------------------------------------

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier."""
        return self._state.entities.get(entity_id)

    def cached_entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier: all are in memory."""
        return self._state.entities.get(entity_id)

    async def entities(self, entity_ids: Sequence[str]) -> dict[str, Entity]:
        """Those of some entities that exist."""
        return {each: self._state.entities[each] for each in entity_ids if each in self._state.entities}

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist or are being committed."""
        collections = {one.id: one.type for one in self._state.entities.values()}
        collections.update({draft.id: draft.type for draft, _ in self._created})
        return {each: collections[each] for each in ids if each in collections}

    def pending_ids(self) -> AbstractSet[str]:
        """Identifiers of all entities that are pending."""
        created = {draft.id for draft, _ in self._created if draft.is_pending}
        return created | {one.id for one in self._state.entities.values() if one.pending is not None}

    async def missing(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of some identifiers of which no entity exists."""
        return frozenset(ids) - self._state.entities.keys()

    async def list(self, query: Query, caller: ListCaller = INTERNAL) -> Page:
        """A page of the entities of one collection, and the exact total."""
        del caller
        _check_patterns(query.filters)
        bodies = {
            one.id: decoded(one)
            for one in self._state.entities.values()
            if one.type == query.type
            and (one.public or not query.public_only)
            and query.parent in {None, one.parent}
        }
        identifiers = {id(body): name for name, body in bodies.items()}
        filters = {
            half: tuple(resolved(one, is_public=half) for one in query.filters) for half in (True, False)
        }
        all_matches = [
            body for name, body in bodies.items() if matches(body, filters[self._state.entities[name].public])
        ]
        ids = [identifiers[id(body)] for body in ordered(all_matches, query.sort)]
        page = tuple(ids[query.offset : query.offset + query.limit])
        tails = tuple([tail_of(name, self._state.entities[name].body) for name in page])
        count = fitting(map(len, tails), self._limits.answer_size_max_bytes)
        is_plain = all(PLAIN_IDENTIFIER.fullmatch(name) is not None for name in page)
        return Page(tails[:count], page[:count], len(ids), is_cut=count < len(page), is_plain=is_plain)

    def revision(self, collection: str) -> int:
        """A number that every commit which touches a collection changes."""
        return self._state.collection_revisions.get(collection, 0)

    async def counts(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (collection, is ours, is public)."""
        entities = self._state.entities.values()
        return dict(Counter([(one.type, one.origin is None, one.public) for one in entities]))

    async def scan(
        self,
        types: Sequence[str] = (),
        *,
        own_only: bool = False,
        public_only: bool = True,
        after_id: str = "",
        limit: int = 500,
    ) -> AsyncIterator[tuple[Entity, ...]]:
        """A walk over all entities (of some collections) in order of their identifiers, `limit` at a time."""
        while True:
            rest = sorted(
                [
                    one
                    for one in self._state.entities.values()
                    if one.id > after_id
                    and (not types or one.type in types)
                    and (one.origin is None or not own_only)
                    and (one.public or not public_only)
                ],
                key=lambda one: one.id,
            )
            if not rest:
                return
            count = fitting((len(one.body) for one in rest[:limit]), self._limits.answer_size_max_bytes)
            after_id = rest[:count][-1].id
            yield tuple(rest[:count])
            await self._clock.sleep(0)

    async def referring(self) -> AsyncIterator[tuple[Referrer, ...]]:
        """A walk over all entities that refer to others at a path of the plan."""
        for one in tuple(self._state.entities.values()):
            if self._state.references(one):
                yield (Referrer(one.id, one.type, one.body, one.origin),)

    def unindexed_searches(self) -> dict[tuple[str, str], int]:
        """None are counted here: nothing has an index."""
        return {}

    # -- the feed ------------------------------------------------------------------------------------------

    async def changes(self, after: int, limit: int) -> tuple[Change, ...]:
        """Rows of the feed after a number, oldest first."""
        return tuple(self._state.changes[max(after, 0) :][:limit])

    async def own_changes(self, after: int) -> int:
        """How many rows of the feed after a number are of entities of this marketplace."""
        return sum(change.origin is None for change in self._state.changes[max(after, 0) :])

    async def last_change(self) -> int:
        """Number of the newest row of the feed; 0 before the first."""
        return self._state.last_change

    async def wait_for_change(self, after: int) -> None:
        """Return as soon as the feed has a row beyond a number."""
        while self._state.last_change <= after:
            await self._changed.wait(self._changed.count)

    async def cursor(self, name: str) -> int:
        """Position of a cursor."""
        return self._state.cursors.get(name, 0)

    # -- writing -------------------------------------------------------------------------------------------

    def indexed(self, collection: str, entity: dict[str, Any], parent: str | None) -> IndexedFields:
        """What of an entity that is about to be written is indexed."""
        return self._state.index(collection).fields(entity, parent)

    async def create(self, draft: EntityDraft, committed: asyncio.Future[HansaError | None]) -> Entity:
        """Write an entity whose identifier was made just now."""
        self._check_open()
        assert draft.id not in self._state.entities, "the identifier was made just now"
        self._created.append((draft, committed))
        if not self._turn.locked():
            self._write_created()
        return entity_of(draft, 1, time_of(self._clock), draft.nonce, "create" if draft.is_pending else None)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction, from entering to the commit on leaving."""
        running = _running.get()
        assert running is None or not running.is_open, (
            "a transaction within a transaction would wait for itself"
        )
        self._check_open()
        self._waiting += 1
        try:
            async with self._turn:
                self._check_closed()
                self._write_created()
                transaction = MemoryTransaction(self._state.copied(), self._tables.copied(), self._clock)
                _running.set(transaction)
                try:
                    yield transaction
                    await asyncio.sleep(0)  # others get to run while a commit is under way
                    self._commit(transaction)
                finally:
                    transaction.is_open = False
        finally:
            self._waiting -= 1
            if not self._turn.locked():
                self._write_created()

    def _commit(self, transaction: MemoryTransaction) -> None:
        before, self._state = self._state, transaction.state
        self._tables = transaction.tables
        if self._state.last_change > before.last_change:
            self._changed.notify()

    def _write_created(self) -> None:
        created, self._created = self._created, []
        for draft, committed in created:
            self._state.put(draft, time_of(self._clock))
            if not committed.done():  # whoever waited may have been cancelled
                committed.set_result(None)
        if created:
            self._changed.notify()

    def _check_open(self) -> None:
        self._check_closed()
        if self.writes_waiting >= self._limits.writes_waiting_max:
            raise Unavailable(Code.OVERLOADED, "Too many writes are waiting.")

    def _check_closed(self) -> None:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")


def _check_patterns(conditions: Iterable[Condition]) -> None:
    """Refuse what is no regular expression, also where no entity is compared with it."""
    for condition in conditions:
        match condition:
            case Filter(_, values, operator) if operator.operand is Operand.PATTERN:
                for text in values:
                    compiled(text)
            case AnyOf(below) | AllOf(below):
                _check_patterns(below)
            case _:
                pass
