"""The store on SQLite: on the event loop, one writer, stored bytes served as they are.

Reads answer inline from a connection of their own (`reader`), in microseconds, and see what is committed.
Lists are answered by `lists`, with totals in memory (`totals`). Writes are committed in groups (`commit`).

"In memory" means a file in the system's folder for temporary files that is never synchronised and is removed
at
closing: SQLite's own memory databases have neither a log nor readers beside the writer, so tests would run
against something else than what is served from.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self

import apsw
import msgspec

from hansa.core.cache import Cache, HasFigures
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import HansaError
from hansa.core.histogram import Histogram
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.store.index.extraction import FINGERPRINTS, IndexedFields, Indexes
from hansa.store.index.plan import IndexPlan
from hansa.store.records import (
    INTERNAL,
    Change,
    Entity,
    EntityDraft,
    ListCaller,
    Page,
    Query,
    Referrer,
    fitting,
)
from hansa.store.sql import SqlRead, statements_for
from hansa.store.sqlite.commit import reference_index
from hansa.store.sqlite.commit.added_rows import Run
from hansa.store.sqlite.commit.additions import add_entity
from hansa.store.sqlite.commit.checkpoints import Checkpoints
from hansa.store.sqlite.commit.group import CollectionCache, CommitGroup, RowNumbers
from hansa.store.sqlite.commit.reference_index import (
    BLOCKS_AT_ONCE,
    ENTITIES_AT_ONCE,
    TAIL_ENTITIES_MAX,
    ReferenceTail,
)
from hansa.store.sqlite.commit.transaction import SqliteTransaction
from hansa.store.sqlite.commit.writer import GroupWriter, TransactionScope
from hansa.store.sqlite.database.connection import Synchronous, open_for_writing
from hansa.store.sqlite.database.reader import Reader
from hansa.store.sqlite.database.rows import (
    ENTITY_COLUMNS,
    SELECT_CHANGES,
    SELECT_ENTITY,
    change_of,
    entity_of,
)
from hansa.store.sqlite.database.schema import MIGRATIONS
from hansa.store.sqlite.index_tail import IndexTail
from hansa.store.sqlite.lists.lists import Lists
from hansa.store.sqlite.lists.search_pool import SearchPool
from hansa.store.sqlite.totals import Totals

CACHE_OVERHEAD_BYTES: Final = 700
"""What an entity in the cache takes beside its body, roughly."""
CACHED_BODY_MAX_BYTES: Final = 16_384
NO_PLAN: Final[IndexPlan] = MappingProxyType({})

_REFERRING_AT_ONCE: Final = 200
_REFERRING: Final = (
    "SELECT r.collection, r.entity, e.id, e.type, e.body, e.origin FROM entity_reference AS r "
    "JOIN entity AS e ON e.number = r.entity WHERE (r.collection, r.entity) > (?, ?) "
    "ORDER BY r.collection, r.entity LIMIT ?"
)


class SqliteStore:
    """A `hansa.store.interface.Store` in one file. Open it with `SqliteStore.open`."""

    def __init__(
        self, write: apsw.Connection, path: Path, clock: Clock, limits: Limits, plan: IndexPlan
    ) -> None:
        write.pragma("cache_size", -max(1, limits.caches.pages // 1024))
        self._write = write
        self._path = str(path)
        self._clock = clock
        self._answer_size_max_bytes = limits.answer_size_max_bytes
        self._reader = Reader(path)
        self._cache: Cache[str, Entity] = Cache(
            "entities",
            limits.caches.entities,
            CACHED_BODY_MAX_BYTES + CACHE_OVERHEAD_BYTES,
            _cached_size_bytes,
        )
        self._searches = SearchPool(path, clock, limits.search_timeout_s)
        self._indexes = Indexes(plan)
        self._remove_file: Callable[[], object] | None = None
        self._changed = Signal(clock)
        self.commit_times: Final = Histogram()
        """How long commits took, each of the group of transactions that share it."""
        self._last_change = int(self._reader.rows("SELECT ifnull(max(seq), 0) FROM change")[0][0])
        self._index_by_plan()
        counts = self._reader.rows("SELECT type, own, public, status, count FROM entity_count")
        self._index_tail = IndexTail(write)
        self._totals = Totals(
            (
                ((collection, own == 1, public == 1, msgspec.json.decode(status)), count)
                for collection, own, public, status, count in counts
            ),
            self._last_change,
            limits.caches.number_sets,
        )
        ((after, last),) = self._reader.rows(reference_index.TAIL)
        self._reference_tail = ReferenceTail(after, last)
        if last - after <= TAIL_ENTITIES_MAX:
            own_rows = reference_index.own_rows(self._indexes.numbers_of(self._indexes.planned), after, last)
            self._reference_tail.load(self._reader.rows(*own_rows))
        self._checkpoints = Checkpoints(write, path)
        ((synchronous,),) = write.execute("PRAGMA synchronous").fetchall()
        self._writer = GroupWriter(
            write,
            self._path,
            limits.writes_waiting_max,
            self._totals,
            self._index_tail,
            self._reference_tail,
            self._reader.release_view,
            self._commit_timed,
            self._on_commit,
            has_thread=bool(synchronous),  # where the disk is never waited for, a thread would gain nothing
        )
        self._lists = Lists(
            self._reader.connection,
            self._reader.rows,
            self._searches,
            self._indexes,
            self._totals,
            self._index_tail,
            self._fill_index_tail,
            limits.answer_size_max_bytes,
            limits.caches,
        )
        self._index_fill: asyncio.Task[None] | None = None
        self._reference_fill: asyncio.Task[None] | None = None
        self._is_closing = False
        self._references_due = 0
        """The number of an entity with which the tail of the index of references is looked at again."""
        self._reader.share_view()

    @classmethod
    async def open(
        cls,
        path: Path | None,
        clock: Clock,
        limits: Limits,
        *,
        synchronous: Literal["full", "normal"] = "full",
        migrations: Sequence[str] = MIGRATIONS,
        plan: IndexPlan = NO_PLAN,
    ) -> Self:
        """Open a store, created when there is none; without `path`, one that is removed at closing.

        Collections that were filled for another plan than `plan` are indexed anew.

        Raises:
            Fatal: `Code.STORE_NEWER`, `Code.STORE_DAMAGED`, `Code.DISK_FULL`, or `Code.SETTINGS_INVALID` when
                the file cannot be opened at all.
        """
        durability: Synchronous = synchronous
        folder = None
        if path is None:
            folder = tempfile.mkdtemp(prefix="hansa-store-")
            path, durability = Path(folder, "store.db"), "off"
        store = cls(open_for_writing(path, durability, migrations), path, clock, limits, plan)
        if folder is not None:
            store._remove_file = weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        return store

    def _index_by_plan(self) -> None:
        """Index anew what another plan indexed, and put the tail of the last run into the table."""
        index_tail = IndexTail(self._write)
        current: dict[str, str] = dict(self._reader.rows("SELECT type, description FROM index_plan"))
        default = self._indexes.of("").description
        expected = {name: self._indexes.of(name).description for name in ("", *self._indexes.planned)}
        filled = {row[0] for row in self._reader.rows("SELECT DISTINCT type FROM entity_count")}
        changed: list[tuple[str, str]] = [
            (name, before)
            for name in sorted(filled)
            if (before := current.get(name, current.get("", default))) != self._indexes.of(name).description
        ]
        newest = self._reader.rows("SELECT ifnull(max(number), 0) FROM entity")[0][0]
        if expected == current and not changed and newest <= index_tail.after:
            return
        with self._write:
            group = CommitGroup(
                self._write, CollectionCache(), RowNumbers(self._write), ReferenceTail(0, newest)
            )
            transaction = SqliteTransaction(group, self._path, self._clock, self._indexes)
            transaction.index_after(index_tail.after, newest, {name for name, _ in changed})
            for name, before in changed:
                transaction.reindex(name, before)
            transaction.run("DELETE FROM index_plan")
            for name, description in expected.items():
                transaction.run("INSERT INTO index_plan VALUES (?, ?)", (name, description))
            group.flush()

    async def close(self) -> None:
        """Commit what waits for its commit, copy the log into the database, and close the file."""
        self._is_closing = True
        while (filling := self._index_fill or self._reference_fill) is not None:
            await filling
        await self._writer.close()
        await self._searches.close()
        self._reader.close()
        self._write.close()
        self._checkpoints.close()
        if self._remove_file is not None:
            self._remove_file()

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def caches(self) -> tuple[HasFigures, ...]:
        """The store's caches, for their figures."""
        return (
            *(
                self._cache,
                self._totals.cache,
                self._totals.sets.cache,
                self._writer.collections,
                FINGERPRINTS,
            ),
            *self._lists.caches,
        )

    @property
    def sql(self) -> SqlRead:
        """The domain tables."""
        return self._reader

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier; the same object again until it is written, if the cache has room."""
        entity = self._cache.get(entity_id)
        if entity is None and (rows := self._reader.rows(SELECT_ENTITY, (entity_id,))):
            entity = entity_of(rows[0])
            self._cache.put(entity_id, entity)
        return entity

    def cached_entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier, if the cache has it."""
        return self._cache.hit(entity_id)

    async def entities(self, entity_ids: Sequence[str]) -> dict[str, Entity]:
        """Those of some entities that exist, by identifier."""
        statements = statements_for(f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id", entity_ids)  # noqa: S608 - a constant
        return {row[0]: entity_of(row) for each in statements for row in self._reader.rows(*each)}

    def pending_ids(self) -> AbstractSet[str]:
        """Identifiers of all entities that are pending."""
        return self._writer.collections.pending

    async def missing(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of some identifiers of which no entity exists."""
        statements = statements_for("SELECT id FROM entity WHERE id", ids)
        return frozenset(ids).difference(row[0] for each in statements for row in self._reader.rows(*each))

    async def list(self, query: Query, caller: ListCaller = INTERNAL) -> Page:
        """A page of the entities of one collection, and the exact total.

        Raises:
            Refused: `Code.INVALID`, for what is no regular expression.
            Unavailable: `Code.OVERLOADED`, when too many lists without an index are waiting;
                `Code.SEARCH_TOO_SLOW`, when this one took too long.
        """
        return await self._lists.answer(query, caller)

    def revision(self, collection: str) -> int:
        """A number that every commit which touches a collection changes."""
        return self._totals.revision(collection)

    def unindexed_searches(self) -> dict[tuple[str, str], int]:
        """How often lists compared or sorted by what has no index, by (collection, path), since opening."""
        return self._lists.unindexed_searches()

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
        conditions = ["id > ?"]
        if types:
            conditions.append(f"type IN ({', '.join('?' * len(types))})")
        if own_only:
            conditions.append("origin IS NULL")
        if public_only:
            conditions.append("public = 1")
        where = f"FROM entity WHERE {' AND '.join(conditions)} ORDER BY id LIMIT ?"
        while sizes := self._reader.rows(f"SELECT length(body) {where}", (after_id, *types, limit)):
            count = fitting((size for (size,) in sizes), self._answer_size_max_bytes)
            sql = f"SELECT {ENTITY_COLUMNS} {where}"
            rows = self._reader.rows(sql, (after_id, *types, count))
            after_id = rows[-1][0]
            yield tuple(map(entity_of, rows))
            await self._clock.sleep(0)  # let others in

    async def referring(self) -> AsyncIterator[tuple[Referrer, ...]]:
        """A walk over all entities that refer to others at a path of the plan, some at a time."""
        collection, number = 0, 0
        while rows := self._reader.rows(_REFERRING, (collection, number, _REFERRING_AT_ONCE)):
            collection, number = rows[-1][:2]
            yield tuple(Referrer(*row[2:]) for row in rows)
            await self._clock.sleep(0)  # let others in

    async def counts(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (type, is ours, is public)."""
        return self._totals.counts_by_type()

    async def changes(self, after: int, limit: int) -> tuple[Change, ...]:
        """Rows of the feed after a number, oldest first."""
        return tuple(map(change_of, self._reader.rows(SELECT_CHANGES, (after, limit))))

    async def own_changes(self, after: int) -> int:
        """How many rows of the feed after a number are of entities whose origin is this marketplace."""
        sql = "SELECT count(*) FROM change WHERE seq > ? AND origin IS NULL"
        return int(self._reader.rows(sql, (after,))[0][0])

    async def last_change(self) -> int:
        """Number of the newest row of the feed; 0 before the first."""
        return self._last_change

    async def wait_for_change(self, after: int) -> None:
        """Return as soon as the feed has a row beyond `after`."""
        while self._last_change <= after:
            await self._changed.wait(self._changed.count)

    async def cursor(self, name: str) -> int:
        """Position of a cursor; 0 before its first move."""
        rows = self._reader.rows("SELECT position FROM cursor WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def _commit_timed(self, runs: Sequence[Run] = ()) -> None:
        started_at_s = self._clock.monotonic()
        self._checkpoints.commit(runs)
        self.commit_times.observe(self._clock.monotonic() - started_at_s)

    @property
    def writes_waiting(self) -> int:
        """Transactions and creates that run, or wait for the lock or their commit."""
        return self._writer.waiting

    # -- writing -------------------------------------------------------------------------------------------

    def indexed(self, collection: str, entity: dict[str, Any], parent: str | None) -> IndexedFields:
        """What of an entity that is about to be written is indexed; this part of a write needs no engine."""
        return self._indexes.of(collection).fields(entity, parent)

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist or are being committed, by identifier."""
        return self._writer.collections.collections_of(self._reader.rows, ids)

    async def create(self, draft: EntityDraft, committed: asyncio.Future[HansaError | None]) -> Entity:
        """Write an entity whose identifier can never have been used, because it was made just now.

        Does not wait for the write lock: what was read in the same turn of the event loop still holds.

        Args:
            draft: The entity.
            committed: Completed when the entity is durable, or with the reason why nothing was written.

        Raises:
            Unavailable: `Code.OVERLOADED` or `Code.UNAVAILABLE`; nothing was written, and `committed` is not
                touched.
        """
        group = self._writer.group_for_create()
        changes, time = group.new_changes(), rfc3339(self._clock.now())
        entity = add_entity(group, changes, draft, self._indexes, time, nonce=draft.nonce)
        self._writer.add_create(changes, committed)
        return entity

    def transaction(self) -> TransactionScope:
        """A transaction, from entering to the durable commit on leaving."""
        return TransactionScope(self._writer, self._path, self._clock, self._indexes)

    def _start_index_fill(self) -> asyncio.Task[None]:
        """Begin to put the tail of the index into its table, unless that is under way."""

        async def fill() -> None:
            try:
                with contextlib.suppress(HansaError):  # the next write reports what is wrong
                    await self._fill_index()
            finally:
                self._index_fill = None

        if self._index_fill is None:
            # In a context of its own: it may be begun within a transaction, but is not part of it.
            self._index_fill = asyncio.create_task(fill(), context=contextvars.Context())
        return self._index_fill

    async def _fill_index(self) -> None:
        """Put the tail of the index, as it is committed, into its table."""
        *parts, last_part = self._index_tail.begin_filling() or [[]]
        for part in parts:
            async with self.transaction() as tx:
                tx.index_part(self._index_tail, part)
        async with self.transaction() as tx:
            tx.index_part(self._index_tail, last_part)
            tx.end_filling(self._index_tail)

    def _start_reference_fill(self) -> None:
        """Begin to put the tail of the index of references into its table, unless that is under way."""

        async def fill() -> None:
            try:
                with contextlib.suppress(HansaError):  # the next write reports what is wrong
                    while await self._fill_references():
                        pass
            finally:
                self._references_due = self._writer.last_entity + TAIL_ENTITIES_MAX // 4
                self._reference_fill = None

        if self._reference_fill is None:
            self._reference_fill = asyncio.create_task(fill(), context=contextvars.Context())

    async def _fill_references(self) -> bool:
        """Put the first entities of the tail of references into the index.

        Returns:
            False when the tail is short, and in memory.
        """
        in_memory = self._reference_tail
        ((after, last),) = self._reader.rows(reference_index.TAIL)
        if last - after <= (TAIL_ENTITIES_MAX if in_memory.is_known else 0):
            return False
        end = min(after + ENTITIES_AT_ONCE, last)
        numbers = self._indexes.numbers_of(self._indexes.planned)
        while end - after > 1:
            ((size_bytes,),) = self._reader.rows(*reference_index.fingerprints_size(numbers, after, end))
            if size_bytes <= reference_index.SIZE_AT_ONCE_MAX_BYTES:
                break
            end -= (end - after) // 2
        in_memory.filling_to = max(end, in_memory.filling_to)
        if in_memory.is_known:
            rows = in_memory.rows(end)
        else:
            async with self.transaction():
                pass  # when this is committed, so is every write that did not know of the filling
            rows = self._reader.rows(*reference_index.own_rows(numbers, after, end))
        blocks = reference_index.blocks(rows)
        for start in range(0, len(blocks), BLOCKS_AT_ONCE):
            async with self.transaction() as tx:
                tx.index_references(blocks[start : start + BLOCKS_AT_ONCE])
        async with self.transaction() as tx:
            tx.move_reference_tail(end)
        in_memory.cut(end)
        return True

    async def _fill_index_tail(self, *, wait: bool) -> None:
        """A list needs the tail: have it put into the table, and wait for that if possible and `wait`."""
        filling = self._start_index_fill()
        if wait and not self._writer.is_within:
            await asyncio.shield(filling)

    def _on_commit(self, last_change: int, ids: Iterable[str]) -> None:
        """A group is durable: evict what it wrote from the caches, and wake whoever waits for changes."""
        assert last_change == 0 or last_change > self._last_change, "the feed grows at its end"
        for entity_id in ids:
            self._cache.discard(entity_id)
            self._lists.evict(entity_id)
        self._reader.share_view()
        self._checkpoints.check()
        if self._index_tail.is_full and not self._is_closing:
            self._start_index_fill()
        if self._writer.last_entity > self._references_due and not self._is_closing:
            self._start_reference_fill()
        if last_change > self._last_change:
            self._last_change = last_change
            self._changed.notify()


def _cached_size_bytes(entity: Entity) -> int:
    return len(entity.body) + CACHE_OVERHEAD_BYTES
