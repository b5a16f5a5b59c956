"""What a transaction reads and writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final

import apsw
import msgspec

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import HansaError
from hansa.store.index.extraction import Indexes, IndexKey, described_numbers, fingerprint_of
from hansa.store.records import (
    READ_AT_ONCE_MAX_BYTES,
    Entity,
    EntityDraft,
    Operation,
    Referrer,
    fitting,
)
from hansa.store.sql import Parameter, Row, SqlWrite, insert, placeholders, statements_for, upsert
from hansa.store.sqlite.changes import Delta
from hansa.store.sqlite.commit import reference_index
from hansa.store.sqlite.commit.added_rows import INSERT_FINGERPRINTS
from hansa.store.sqlite.commit.additions import add_entity, decoded, indexed_fields
from hansa.store.sqlite.commit.group import CommitGroup
from hansa.store.sqlite.database.connection import as_ours
from hansa.store.sqlite.database.rows import (
    ENTITY_COLUMNS,
    INSERT_CHANGE,
    SELECT_CURRENT,
    SELECT_ENTITY,
    UPDATE_ENTITY,
    CurrentRow,
    entity_of,
    entity_row,
    stored,
)
from hansa.store.sqlite.index_tail import (
    INSERT_ROW,
    INSERT_ROWS,
    MOVE_TAIL,
    ROWS_TOGETHER,
    IndexRow,
    IndexTail,
    TailEntity,
    index_rows,
)
from hansa.store.tables import announced

_DELETE_ENTITY: Final = f"DELETE FROM entity WHERE id = ? RETURNING {ENTITY_COLUMNS}, number"  # noqa: S608 - constants
_SELECT_TOMBSTONE: Final = "SELECT revision, nonce FROM tombstone WHERE id = ?"
_SELECT_TOMBSTONES: Final = "SELECT id, revision, nonce FROM tombstone WHERE id"
_SELECT_NONCE: Final = (
    "SELECT nonce FROM entity WHERE id = ?1 UNION ALL SELECT nonce FROM tombstone WHERE id = ?1"
)
_DELETE_TOMBSTONE: Final = "DELETE FROM tombstone WHERE id = ?"
_INSERT_TOMBSTONE: Final = insert("tombstone", ("id", "type", "origin", "revision", "time", "nonce"))
_DELETE_FINGERPRINTS: Final = "DELETE FROM entity_reference WHERE collection = ? AND entity = ?"
_DELETE_INDEX_ROW: Final = "DELETE FROM entity_index WHERE attribute = ? AND value = ? AND entity = ?"
_SET_CURSOR: Final = upsert("cursor", ("name", "position"), ("name",))

_REINDEXED_AT_ONCE: Final = 1000


class SqliteTransaction:
    """An open transaction (`hansa.store.interface.Transaction`), which is its own `SqlWrite`."""

    def __init__(self, group: CommitGroup, path: str, clock: Clock, indexes: Indexes) -> None:
        self._group = group
        self._connection = group.connection
        self._path = path
        self._clock = clock
        self._indexes = indexes
        self._time: str | None = None
        self.changes = group.new_changes()
        self.is_open = True
        self.failure: HansaError | None = None
        """The error of SQLite. It is final: SQLite may have undone what was written before."""

    @property
    def time(self) -> str:
        """When it wrote first; RFC 3339."""
        if self._time is None:
            self._time = rfc3339(self._clock.now())
        return self._time

    @property
    def last_change(self) -> int:
        """The newest row of the feed that this transaction wrote; 0 before the first."""
        return self.changes.last_change

    @property
    def has_run(self) -> bool:
        """Whether SQLite has to undo something when this transaction is undone."""
        return self.changes.executed > 0 or self._group.has_failed_insert

    @property
    def sql(self) -> SqlWrite:
        """The domain tables."""
        return self

    async def fetch(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """The rows of a SELECT, with what this transaction wrote; does not suspend."""
        return self.run(sql, parameters)

    async def execute(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run a statement that writes; does not suspend."""
        return self.run(sql, parameters)

    async def execute_many(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        """Run a statement that writes once for each tuple of parameters; does not suspend."""
        if runs:
            self._run_all(sql, runs)

    def run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run SQL at once."""
        self._check_open()
        try:
            self._group.flush()
            before = self._connection.total_changes()
            rows = self._connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise self._record_failure(error) from error
        if self._connection.total_changes() != before:
            self._record_statement(sql, (parameters,))
        return rows

    def _run_all(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        """Run SQL that writes, once for each tuple of parameters."""
        self._check_open()
        try:
            self._group.flush()
            self._connection.executemany(sql, runs)
        except apsw.Error as error:
            raise self._record_failure(error) from error
        self._record_statement(sql, runs)

    def _defer_insert(self, sql: str, *runs: tuple[Parameter, ...]) -> None:
        """Have rows inserted before they are read."""
        self._check_open()
        self._group.defer_insert(self.changes, sql, runs)

    def _select_entity(self, sql: str, entity_id: str) -> list[Row]:
        """Run SQL that reads the rows of one entity."""
        self._check_open()
        try:
            if self._group.collections.is_present(entity_id):  # else no deferred row is of it
                self._group.flush()
            return self._connection.execute(sql, (entity_id,)).fetchall()
        except apsw.Error as error:
            raise self._record_failure(error) from error

    def _check_open(self) -> None:
        assert self.is_open, "the transaction has ended"
        if self.failure is not None:
            raise self.failure

    def _record_statement(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        changes = self.changes
        assert changes.executed == len(changes.statements), "deferred rows are inserted before other SQL runs"
        changes.statements.append((sql, runs))
        changes.executed += 1

    def _record_failure(self, error: apsw.Error) -> HansaError | apsw.Error:
        known = as_ours(error, self._path)
        if isinstance(known, HansaError):
            self.failure = known
        return known

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity, with what this transaction wrote."""
        if self._group.collections.is_absent(entity_id):
            return None
        rows = self._select_entity(SELECT_ENTITY, entity_id)
        return entity_of(rows[0]) if rows else None

    async def nonce(self, entity_id: str) -> bytes | None:
        """What binds an identifier to this marketplace; also of an entity that was deleted."""
        rows = self._select_entity(_SELECT_NONCE, entity_id)
        return rows[0][0] if rows else None

    async def pending_among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of some entities that are pending."""
        cached = self._group.collections.pending
        candidates = cached.intersection(ids) if cached else ()
        if not candidates:
            return frozenset()
        statements = statements_for(
            "SELECT id FROM entity WHERE pending IS NOT NULL AND id", tuple(candidates)
        )
        pending = frozenset(row[0] for each in statements for row in self.run(*each))
        cached -= candidates - pending
        return pending

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist, by identifier."""
        self._check_open()
        try:
            return self._group.collections.collections_of(self._connection.execute, ids)
        except apsw.Error as error:
            raise self._record_failure(error) from error

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and its row of the feed, unless the entity is already as the draft says."""
        is_absent = self._group.collections.is_absent(draft.id)
        rows = [] if is_absent else self._select_entity(SELECT_CURRENT, draft.id)
        if not rows:
            return await self.add(draft)
        current = CurrentRow(*rows[0])
        if current[:6] == (
            draft.type,
            draft.body,
            draft.hashlink,
            draft.public,
            draft.origin,
            draft.parent,
        ) and draft.is_pending == (current.pending is not None):
            return stored(draft, current.revision, current.modified, current.nonce, current.pending)
        await announced.retain_replaced(self, current, draft)
        number, revision = current.number, current.revision + 1
        before = self._indexes.of(current.type).fields(decoded(current.body), current.parent)
        after = draft.indexed or indexed_fields(self._indexes, draft)
        has_same_state = (after.status, draft.type) == (current.status, current.type)
        operation: Operation = current.pending or ("change" if has_same_state else "state")
        pending = operation if draft.is_pending else None
        self.run(UPDATE_ENTITY, entity_row(number, draft, after, revision, self.time, current.nonce, pending))
        self._record_collection(draft.id, draft.type, is_pending=draft.is_pending)
        unchanged = set(before.index) & set(after.index) if current.public == draft.public else ()
        self._replace_index_rows(
            *(number, after.index, len(draft.body)),
            public=draft.public,
            before=before.index,
            unchanged=unchanged,
        )
        if (before.fingerprints, current.type, current.origin) != (
            *(after.fingerprints, draft.type, draft.origin),
        ):
            self._delete_fingerprints(current.type, number, before.fingerprints)
            self._insert_fingerprints(draft.type, number, after.fingerprints)
            if draft.origin is None and after.fingerprints:
                is_same_kind = (current.type, current.origin) == (draft.type, None)
                known = before.fingerprints if is_same_kind else b""
                self._index_fingerprints(draft.type, number, after.fingerprints, known)
        kind_before = (current.type, current.origin is None, current.public == 1, current.status)
        self.changes.deltas += (
            Delta(kind_before, before.postings, -1, number),
            Delta((draft.type, draft.origin is None, draft.public, after.status), after.postings, 1, number),
        )
        self._append_change(draft, operation, after.status, is_pending=draft.is_pending)
        return stored(draft, revision, self.time, current.nonce, pending)

    async def add(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier is known to be free now, but may have been used before."""
        revision, nonce = 1, draft.nonce
        if tombstones := self._select_entity(_SELECT_TOMBSTONE, draft.id):
            revision += tombstones[0][0]
            nonce = tombstones[0][1] or nonce
            self.run(_DELETE_TOMBSTONE, (draft.id,))
        return self._add(draft, revision, nonce)

    async def add_all(self, drafts: Sequence[EntityDraft]) -> None:
        """Write entities whose identifiers are known to be free now, and differ."""
        statements = statements_for(_SELECT_TOMBSTONES, [draft.id for draft in drafts])
        used = {entity_id: rest for each in statements for entity_id, *rest in self.run(*each)}
        if used:
            self._run_all(_DELETE_TOMBSTONE, [(entity_id,) for entity_id in used])
        for draft in drafts:
            revision, nonce = used.get(draft.id, (0, None))
            self._add(draft, revision + 1, nonce or draft.nonce)

    async def create(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier was made just now, so that nothing has to be read."""
        return self._add(draft, 1, draft.nonce)

    def _add(self, draft: EntityDraft, revision: int, nonce: bytes | None) -> Entity:
        self._check_open()
        return add_entity(self._group, self.changes, draft, self._indexes, self.time, revision, nonce)

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity, leaving a tombstone and a row of the feed; the entity as it was, or None."""
        rows = self.run(_DELETE_ENTITY, (entity_id,))
        if not rows:
            return None
        *columns, number = rows[0]
        entity = entity_of(tuple(columns))
        fields = self._indexes.of(entity.type).fields(decoded(entity.body), entity.parent)
        self._replace_index_rows(number, (), 0, public=entity.public, before=fields.index)
        self._delete_fingerprints(entity.type, number, fields.fingerprints)
        kind = (entity.type, entity.origin is None, entity.public, fields.status)
        self.changes.deltas.append(Delta(kind, fields.postings, -1, number))
        self.run(
            _INSERT_TOMBSTONE,
            (entity.id, entity.type, entity.origin, entity.revision, self.time, entity.nonce),
        )
        self._record_collection(entity_id, None, is_pending=False)
        self._append_change(entity, "delete", fields.status, is_pending=entity.pending == "create")
        return entity

    async def referrers(
        self,
        collections: Sequence[str],
        target_id: str,
        limit: int,
        offset: int = 0,
        size_max_bytes: int = READ_AT_ONCE_MAX_BYTES,
    ) -> tuple[Referrer, ...]:
        """Entities of this marketplace that have the fingerprint of an identifier."""
        if offset:
            await self._clock.sleep(0)  # let others in
        numbers = self._indexes.numbers_of(tuple(collections))
        fingerprint = fingerprint_of(target_id)
        place = (numbers, fingerprint, target_id)
        has_tail = self._group.reference_tail.may_have(fingerprint)
        statement = partial(reference_index.referrers, has_tail=has_tail)
        sizes = self.run(*statement("length(e.body)", *place, limit, offset))
        count = fitting((size for (size,) in sizes), size_max_bytes)
        if not count:
            return ()
        rows = self.run(*statement("e.id, e.type, e.body", *place, count, offset))
        return tuple(Referrer(*row) for row in rows)

    async def below(self, collections: Sequence[str], parent_id: str, limit: int) -> tuple[str, ...]:
        """Identifiers of the sub-resources of an entity, in some collections; `limit` at most."""
        rows = self.run(
            f"SELECT id FROM entity WHERE type IN ({placeholders(len(collections))}) "  # noqa: S608 - placeholders only
            "AND parent = ? LIMIT ?",
            (*collections, parent_id, limit),
        )
        return tuple(row[0] for row in rows)

    async def feed_end(self) -> int:
        """Number of the newest row of the feed, of this transaction or before it."""
        return int(self.run("SELECT ifnull(max(seq), 0) FROM change")[0][0])

    async def cursor(self, name: str) -> int:
        """Position of a cursor."""
        rows = self.run("SELECT position FROM cursor WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    async def set_cursor(self, name: str, position: int) -> None:
        """Move a cursor."""
        self.run(_SET_CURSOR, (name, position))

    def reindex(self, collection: str, indexed_by: str) -> None:
        """Fill the columns and the index of a collection anew, for another plan than they were filled for.

        For opening a store, before the totals are read.

        Args:
            collection: Its name.
            indexed_by: The description of the plan that it was filled for.
        """
        index = self._indexes.of(collection)
        for number in described_numbers(collection, indexed_by):
            self.run("DELETE FROM entity_index WHERE attribute = ?", (number,))
        self.run("DELETE FROM entity_reference WHERE collection = ?", (index.number,))
        for sql in reference_index.CLEAR:
            self.run(sql)
        last = 0
        counts: dict[tuple[bool, bool, str | None], int] = {}
        while rows := self.run(
            "SELECT number, public, origin, parent, body FROM entity WHERE type = ? AND number > ? "
            "ORDER BY number LIMIT ?",
            (collection, last, _REINDEXED_AT_ONCE),
        ):
            for number, public, origin, parent, body in rows:
                fields = index.fields(decoded(body), parent)
                self.run(
                    "UPDATE entity SET status = ?, name = ?, last_update = ? WHERE number = ?",
                    (fields.status, fields.name, fields.last_update, number),
                )
                self._replace_index_rows(number, fields.index, len(body), public=public == 1)
                self._insert_fingerprints(collection, number, fields.fingerprints)
                kind = (origin is None, public == 1, fields.status)
                counts[kind] = counts.get(kind, 0) + 1
                last = number
        self.run("DELETE FROM entity_count WHERE type = ?", (collection,))
        for (own, public, status), count in counts.items():
            self.run(
                "INSERT INTO entity_count VALUES (?, ?, ?, ?, ?)",
                (collection, own, public, msgspec.json.encode(status).decode(), count),
            )

    def index_after(self, after: int, last: int, excluded: Collection[str]) -> None:
        """Fill the index with the entities after a number, but for some collections; for opening a store.

        Args:
            after: The number.
            last: That of the last entity; there is no tail of the index afterwards.
            excluded: The collections.
        """
        self.run(MOVE_TAIL, (last,))
        self._group.tail_after = last
        while rows := self.run(
            "SELECT number, type, public, parent, body FROM entity WHERE number > ? ORDER BY number LIMIT ?",
            (after, _REINDEXED_AT_ONCE),
        ):
            for number, collection, public, parent, body in rows:
                after = number
                if collection not in excluded:
                    postings = self._indexes.of(collection).fields(decoded(body), parent).index
                    self._replace_index_rows(number, postings, len(body), public=public == 1)

    def index_part(self, index_tail: IndexTail, part: Sequence[IndexRow]) -> None:
        """Put a part of the tail of the index into its table."""
        self._group.tail_filled_to = index_tail.filled_to
        if excluded := index_tail.changed_in_filling(self._group.tail_rows):
            part = [row for row in part if row[2] not in excluded]
        single = len(part) % ROWS_TOGETHER
        together = [part[at : at + ROWS_TOGETHER] for at in range(single, len(part), ROWS_TOGETHER)]
        if single:
            self._run_all(INSERT_ROW, part[:single])
        if together:
            self._run_all(INSERT_ROWS, [tuple(chain.from_iterable(each)) for each in together])

    def end_filling(self, index_tail: IndexTail) -> None:
        """All parts are in the table: the tail begins behind them."""
        if rows := index_tail.rows_of_changed(self._group.tail_rows):
            self._run_all(INSERT_ROW, rows)
        self.run(MOVE_TAIL, (index_tail.filled_to,))
        self._group.tail_after = self.changes.tail_moved_to = index_tail.filled_to

    def index_references(self, blocks: Sequence[reference_index.Block]) -> None:
        """Put some blocks into the index of references."""
        self._run_all(reference_index.INSERT_BLOCK, blocks)

    def move_reference_tail(self, after: int) -> None:
        """All blocks up to a number are in the index of references."""
        self.run(reference_index.MOVE_TAIL, (after,))

    def _append_change(
        self, of: Entity | EntityDraft, operation: Operation, status: str | None, *, is_pending: bool
    ) -> None:
        seq = self._group.numbers.next_change(self.changes)
        self._defer_insert(
            INSERT_CHANGE,
            (seq, self.time, of.id, of.type, operation, of.origin, status, of.parent, is_pending),
        )
        assert seq > self.changes.last_change, "rows of the feed are numbered upwards"
        self.changes.last_change = seq

    def _record_collection(self, entity_id: str, collection: str | None, *, is_pending: bool) -> None:
        """An entity is in a collection, or in none; discarded when this transaction is undone."""
        self.changes.entity_ids.append(entity_id)
        self._group.collections.put(entity_id, collection, is_pending=is_pending)

    def _replace_index_rows(
        self,
        number: int,
        postings: Sequence[IndexKey],
        size_bytes: int,
        *,
        public: bool,
        before: Sequence[IndexKey] = (),
        unchanged: Collection[IndexKey] = (),
    ) -> None:
        """An entity has some postings, where it had others before; rows of unchanged ones stay."""
        if number > self._group.tail_after:
            self._check_open()
            if before and number <= self._group.tail_filled_to:
                keys = [(attribute, value, number) for attribute, value in before]
                self._run_all(_DELETE_INDEX_ROW, keys)
            self.changes.index_rows[number] = TailEntity(
                index_rows(number, postings, public=public), size_bytes
            )
            return
        if removed := [
            (attribute, value, number) for attribute, value in before if (attribute, value) not in unchanged
        ]:
            self._run_all(_DELETE_INDEX_ROW, removed)
        if rows := index_rows(number, [one for one in postings if one not in unchanged], public=public):
            self._defer_insert(INSERT_ROW, *rows)

    def _insert_fingerprints(self, collection: str, number: int, fingerprints: bytes) -> None:
        if fingerprints:
            self._defer_insert(
                INSERT_FINGERPRINTS, (self._indexes.of(collection).number, number, fingerprints)
            )

    def _index_fingerprints(self, collection: str, number: int, fingerprints: bytes, known: bytes) -> None:
        """An own entity that is here already has fingerprints, of which it had the known ones before."""
        place, in_memory = (self._indexes.of(collection).number, number), self._group.reference_tail
        in_memory.add(*place, fingerprints)
        if number <= in_memory.filling_to and (
            rows := reference_index.added_blocks(*place, fingerprints, known)
        ):
            self._run_all(reference_index.INSERT_SINGLE, rows)

    def _delete_fingerprints(self, collection: str, number: int, fingerprints: bytes) -> None:
        if fingerprints:
            self.run(_DELETE_FINGERPRINTS, (self._indexes.of(collection).number, number))
