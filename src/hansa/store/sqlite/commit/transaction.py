"""What can be written within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, Final

import apsw
import msgspec

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import HansaError
from hansa.store.index.extraction import IndexedFields, Indexes, IndexKey, described_numbers, mark_of
from hansa.store.records import Entity, EntityDraft, Operation, Referrer
from hansa.store.sql import Parameter, Row, SqlWrite, placeholders
from hansa.store.sqlite.commit.group import CommitGroup
from hansa.store.sqlite.connection import as_ours
from hansa.store.sqlite.index_tail import (
    INSERT_ROW,
    INSERT_ROWS,
    MOVE_TAIL,
    ROWS_TOGETHER,
    IndexTail,
    index_rows,
)
from hansa.store.sqlite.totals import Delta

ENTITY_COLUMNS: Final = "id, type, body, hashlink, public, origin, revision, parent, modified"

_SELECT: Final = f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?"  # noqa: S608 - a constant
_STANDING: Final = "SELECT type, body, hashlink, public, origin, parent, revision, status, number, modified FROM entity WHERE id = ?"
_BURIED: Final = "SELECT revision FROM tombstone WHERE id = ?"
_INSERT: Final = "INSERT INTO entity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE: Final = (
    "UPDATE entity SET type = ?, parent = ?, origin = ?, public = ?, revision = ?, modified = ?, hashlink = ?, "
    "status = ?, name = ?, last_update = ?, body = ? WHERE number = ?"
)
_REFER: Final = "INSERT INTO entity_reference VALUES (?, ?, ?)"
_UNREFER: Final = "DELETE FROM entity_reference WHERE collection = ? AND entity = ?"
_UNINDEX: Final = "DELETE FROM entity_index WHERE attribute = ? AND value = ? AND entity = ?"
_CHANGE: Final = "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

_REINDEXED_AT_ONCE: Final = 1000
_INDEXED_AT_ONCE: Final = 1000
"""Rows that are put into the index within one turn of the loop; some two milliseconds."""


def entity_of(row: Row) -> Entity:
    """An entity from a row of `ENTITY_COLUMNS`."""
    identifier, type_name, body, hashlink, public, origin, revision, parent, modified = row
    return Entity(identifier, type_name, body, hashlink, public == 1, origin, revision, parent, modified)


class SqliteTransaction:
    """An open transaction (`hansa.store.interface.Transaction`), which is its own `SqlWrite`."""

    def __init__(self, group: CommitGroup, path: str, clock: Clock, indexes: Indexes) -> None:
        self._group = group
        self._connection = group.connection
        self._path = path
        self._clock = clock
        self._indexes = indexes
        self._time: str | None = None
        self.written = group.began()
        self.is_open = True
        self.failure: HansaError | None = None
        """What SQLite failed with. It is final: SQLite may have undone what was written before."""

    @property
    def time(self) -> str:
        """Of its first write; RFC 3339."""
        if self._time is None:
            self._time = rfc3339(self._clock.now())
        return self._time

    @property
    def last_change(self) -> int:
        """The newest row of the feed that this transaction wrote; 0 before the first."""
        return self.written.last_change

    @property
    def has_run(self) -> bool:
        """Whether SQLite has anything to undo when this transaction is."""
        return self.written.run > 0 or self._group.is_spoilt

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

    def run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run SQL at once."""
        self._check_open()
        try:
            self._group.flush()
            before = self._connection.total_changes()
            rows = self._connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error
        if self._connection.total_changes() != before:
            self._note_run(sql, (parameters,))
        return rows

    def _run_all(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        """Run SQL that writes, once for each tuple of parameters."""
        self._check_open()
        try:
            self._group.flush()
            self._connection.executemany(sql, runs)
        except apsw.Error as error:
            raise self._failed(error) from error
        self._note_run(sql, runs)

    def _insert(self, sql: str, *runs: tuple[Parameter, ...]) -> None:
        """Have rows inserted before anybody looks for them."""
        self._check_open()
        self._group.insert(self.written, sql, runs)

    def _look(self, sql: str, entity_id: str) -> list[Row]:
        """Run SQL that reads what the tables have of one entity."""
        self._check_open()
        try:
            if self._group.known.is_here(entity_id):  # else no waiting row is of it
                self._group.flush()
            return self._connection.execute(sql, (entity_id,)).fetchall()
        except apsw.Error as error:
            raise self._failed(error) from error

    def _check_open(self) -> None:
        assert self.is_open, "the transaction has ended"
        if self.failure is not None:
            raise self.failure

    def _note_run(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        self.written.statements.append((sql, runs))
        self.written.run += 1

    def _failed(self, error: apsw.Error) -> HansaError | apsw.Error:
        known = as_ours(error, self._path)
        if isinstance(known, HansaError):
            self.failure = known
        return known

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity, with what this transaction wrote."""
        if self._group.known.is_absent(entity_id):
            return None
        rows = self._look(_SELECT, entity_id)
        return entity_of(rows[0]) if rows else None

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of the entities that are here, by identifier."""
        self._check_open()
        try:
            return self._group.known.of(self._connection.execute, ids)
        except apsw.Error as error:
            raise self._failed(error) from error

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and the row of the feed that tells of it; writes nothing when it stands there already."""
        found = [] if self._group.known.is_absent(draft.id) else self._look(_STANDING, draft.id)
        if not found:
            return await self.add(draft)
        *before, revision, status_before, number, modified = found[0]
        if before == [draft.type, draft.body, draft.hashlink, draft.public, draft.origin, draft.parent]:
            return _stored(draft, revision, modified)
        type_before, body_before, _, public_before, origin_before, parent_before = before
        old = self._indexes.of(type_before).fields(_decoded(body_before), parent_before)
        new = self._indexed(draft)
        self.run(
            _UPDATE,
            (
                *(draft.type, draft.parent, draft.origin, draft.public, revision + 1, self.time),
                draft.hashlink,
                *(new.status, new.name, new.last_update, draft.body, number),
            ),
        )
        self._note_place(draft.id, draft.type)
        standing = set(old.index) & set(new.index) if public_before == draft.public else ()
        self._index(number, new.index, public=draft.public, before=old.index, standing=standing)
        if (old.marks, type_before) != (new.marks, draft.type):
            self._unrefer(type_before, number, old.marks)
            self._refer(draft.type, number, new.marks)
        kind_before = (type_before, origin_before is None, public_before == 1, status_before)
        self.written.deltas += (
            Delta(kind_before, old.postings, -1),
            Delta((draft.type, draft.origin is None, draft.public, new.status), new.postings, 1),
        )
        is_same_state = (new.status, draft.type) == (status_before, type_before)
        self._append_change(draft, "change" if is_same_state else "state", new.status)
        return _stored(draft, revision + 1, self.time)

    async def add(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier is known to be free, and the row of the feed that tells of it."""
        revision = 1
        if buried := self._look(_BURIED, draft.id):
            revision += buried[0][0]
            self.run("DELETE FROM tombstone WHERE id = ?", (draft.id,))
        return self._add(draft, revision)

    async def create(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier can never have been used, because it was made just now: nothing is read."""
        return self.create_now(draft)

    def create_now(self, draft: EntityDraft) -> Entity:
        """The same, at once."""
        return self._add(draft, 1)

    def _add(self, draft: EntityDraft, revision: int) -> Entity:
        fields = self._indexed(draft)
        number = self._group.numbers.next_entity(self.written)
        self._insert(
            _INSERT,
            (
                *(
                    number,
                    draft.id,
                    draft.type,
                    draft.parent,
                    draft.origin,
                    draft.public,
                    revision,
                    self.time,
                ),
                draft.hashlink,
                *(fields.status, fields.name, fields.last_update, draft.body),
            ),
        )
        self._note_place(draft.id, draft.type)
        self._index(number, fields.index, public=draft.public)
        self._refer(draft.type, number, fields.marks)
        self.written.deltas.append(
            Delta((draft.type, draft.origin is None, draft.public, fields.status), fields.postings, 1)
        )
        self._append_change(draft, "create", fields.status)
        return _stored(draft, revision, self.time)

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity, leaving a tombstone and a row of the feed; what it was, or None."""
        rows = self.run(
            f"DELETE FROM entity WHERE id = ? RETURNING {ENTITY_COLUMNS}, number",  # noqa: S608 - a constant
            (entity_id,),
        )
        if not rows:
            return None
        *columns, number = rows[0]
        entity = entity_of(tuple(columns))
        fields = self._indexes.of(entity.type).fields(_decoded(entity.body), entity.parent)
        self._index(number, (), public=entity.public, before=fields.index)
        self._unrefer(entity.type, number, fields.marks)
        kind = (entity.type, entity.origin is None, entity.public, fields.status)
        self.written.deltas.append(Delta(kind, fields.postings, -1))
        self.run(
            "INSERT INTO tombstone VALUES (?, ?, ?, ?, ?)",
            (entity.id, entity.type, entity.origin, entity.revision, self.time),
        )
        self._note_place(entity_id, None)
        self._append_change(entity, "delete", fields.status)
        return entity

    async def referrers(self, collections: Sequence[str], target_id: str, limit: int) -> tuple[Referrer, ...]:
        """Entities of this marketplace with the mark of an identifier; see `hansa.store.index.extraction`."""
        numbers = [self._indexes.of(collection).number for collection in collections]
        rows = self.run(
            "SELECT entity.id, entity.type, entity.body FROM entity_reference "  # noqa: S608 - placeholders only
            "JOIN entity ON entity.number = entity_reference.entity "
            f"WHERE entity_reference.collection IN ({placeholders(len(numbers))}) "
            "AND instr(entity_reference.marks, ?) "
            "AND entity.origin IS NULL AND entity.id <> ? AND entity.parent IS NOT ? LIMIT ?",
            (*numbers, mark_of(target_id), target_id, target_id, limit),
        )
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
        self.run(
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position",
            (name, position),
        )

    def reindex(self, collection: str, standing: str) -> None:
        """Fill the columns and the index of a collection anew, for another plan than they were filled for.

        For opening a store, before the totals are read.

        Args:
            collection: Its name.
            standing: The description of what it was filled for.
        """
        index = self._indexes.of(collection)
        for number in described_numbers(collection, standing):
            self.run("DELETE FROM entity_index WHERE attribute = ?", (number,))
        self.run("DELETE FROM entity_reference WHERE collection = ?", (index.number,))
        last = 0
        counts: dict[tuple[bool, bool, str | None], int] = {}
        while rows := self.run(
            "SELECT number, public, origin, parent, body FROM entity WHERE type = ? AND number > ? "
            "ORDER BY number LIMIT ?",
            (collection, last, _REINDEXED_AT_ONCE),
        ):
            for number, public, origin, parent, body in rows:
                fields = index.fields(_decoded(body), parent)
                self.run(
                    "UPDATE entity SET status = ?, name = ?, last_update = ? WHERE number = ?",
                    (fields.status, fields.name, fields.last_update, number),
                )
                self._index(number, fields.index, public=public == 1)
                self._refer(collection, number, fields.marks)
                kind = (origin is None, public == 1, fields.status)
                counts[kind] = counts.get(kind, 0) + 1
                last = number
        self.run("DELETE FROM entity_count WHERE type = ?", (collection,))
        for (own, public, status), count in counts.items():
            self.run(
                "INSERT INTO entity_count VALUES (?, ?, ?, ?, ?)",
                (collection, own, public, msgspec.json.encode(status).decode(), count),
            )

    def index_after(self, after: int, last: int, left_out: Collection[str]) -> None:
        """Fill the index with the entities after a number, but for some collections; for opening a store.

        Args:
            after: The number.
            last: That of the last entity; there is no tail of the index afterwards.
            left_out: The collections.
        """
        self.run(MOVE_TAIL, (last,))
        self._group.tail_after = last
        while rows := self.run(
            "SELECT number, type, public, parent, body FROM entity WHERE number > ? ORDER BY number LIMIT ?",
            (after, _REINDEXED_AT_ONCE),
        ):
            for number, collection, public, parent, body in rows:
                after = number
                if collection not in left_out:
                    postings = self._indexes.of(collection).fields(_decoded(body), parent).index
                    self._index(number, postings, public=public == 1)

    async def index_tail(self, tail: IndexTail) -> None:
        """Put the tail of the index, as it is committed, into its table; others get their turn of the loop meanwhile."""
        rows, last = tail.rows(self._group.tail), tail.last
        for start in range(0, len(rows), _INDEXED_AT_ONCE):
            part = rows[start : start + _INDEXED_AT_ONCE]
            single = len(part) % ROWS_TOGETHER
            together = [part[at : at + ROWS_TOGETHER] for at in range(single, len(part), ROWS_TOGETHER)]
            self._run_all(INSERT_ROW, part[:single])
            self._run_all(INSERT_ROWS, [tuple(chain.from_iterable(each)) for each in together])
            await self._clock.sleep(0)
        self.run(MOVE_TAIL, (last,))
        self._group.tail_after = self.written.tail_after = last

    def _append_change(self, of: Entity | EntityDraft, operation: Operation, status: str | None) -> None:
        seq = self._group.numbers.next_change(self.written)
        self._insert(_CHANGE, (seq, self.time, of.id, of.type, operation, of.origin, status, of.parent))
        self.written.last_change = seq

    def _indexed(self, draft: EntityDraft) -> IndexedFields:
        if draft.indexed is not None:
            return draft.indexed
        return self._indexes.of(draft.type).fields(_decoded(draft.body), draft.parent)

    def _note_place(self, entity_id: str, collection: str | None) -> None:
        """An entity is in a collection, or gone; to be forgotten when this transaction is undone."""
        self.written.ids.append(entity_id)
        self._group.known.note(entity_id, collection)

    def _index(
        self,
        number: int,
        postings: Sequence[IndexKey],
        *,
        public: bool,
        before: Sequence[IndexKey] = (),
        standing: Collection[IndexKey] = (),
    ) -> None:
        """An entity has some postings, where it had others before; some rows stand as they are."""
        if number > self._group.tail_after:
            self._check_open()
            self.written.tail[number] = index_rows(number, postings, public=public)
            return
        if gone := [
            (attribute, value, number) for attribute, value in before if (attribute, value) not in standing
        ]:
            self._run_all(_UNINDEX, gone)
        if rows := index_rows(number, [one for one in postings if one not in standing], public=public):
            self._insert(INSERT_ROW, *rows)

    def _refer(self, collection: str, number: int, marks: bytes) -> None:
        if marks:
            self._insert(_REFER, (self._indexes.of(collection).number, number, marks))

    def _unrefer(self, collection: str, number: int, marks: bytes) -> None:
        if marks:
            self.run(_UNREFER, (self._indexes.of(collection).number, number))


def _stored(draft: EntityDraft, revision: int, modified: str) -> Entity:
    return Entity(
        draft.id,
        draft.type,
        draft.body,
        draft.hashlink,
        draft.public,
        draft.origin,
        revision,
        draft.parent,
        modified,
    )


def _decoded(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])
