"""What can be written within a transaction."""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from hansa.core.errors import HansaError
from hansa.store.attributes import AttributePath, indexed_attribute, indexed_values
from hansa.store.database import Parameter, Row, as_ours
from hansa.store.records import Entity, EntityDraft, Operation

ENTITY_COLUMNS: Final = "id, type, body, hashlink, public, origin, revision"
_INDEX_ROWS_PER_STATEMENT: Final = 32


def entity_of(row: Row) -> Entity:
    """An entity from a row of `ENTITY_COLUMNS`."""
    identifier, type_name, body, hashlink, public, origin, revision = row
    return Entity(identifier, type_name, body, hashlink, public == 1, origin, revision)


class Transaction:
    """An open transaction. Made by `Store.transaction`; not to be used after it ended."""

    def __init__(
        self, connection: apsw.Connection, path: str, time: str, indexed_paths: tuple[AttributePath, ...]
    ) -> None:
        self._connection = connection
        self._path = path
        self._indexed_paths = indexed_paths
        self.time = time
        """When it began; RFC 3339."""
        self.is_open = True
        self.failure: HansaError | None = None
        """What SQLite failed with. It is final: SQLite may have undone what was written before."""
        self.last_change = 0
        """The newest row of the feed that this transaction wrote."""

    def execute(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run SQL; for modules of `hansa.store` alone."""
        assert self.is_open, "the transaction has ended"
        if self.failure is not None:
            raise self.failure
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            known = as_ours(error, self._path)
            if isinstance(known, HansaError):
                self.failure = known
            raise known from error

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity, with what this transaction wrote."""
        rows = self.execute(f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?", (entity_id,))  # noqa: S608 - a constant
        return entity_of(rows[0]) if rows else None

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and the row of the feed that tells of it; writes nothing when it stands there already."""
        found = self.execute(
            "SELECT rowid, type, body, hashlink, public, origin, revision, lifecycle_status FROM entity WHERE id = ?",
            (draft.id,),
        )
        if not found:
            return self._insert(draft)
        rowid, *before, revision, status_before = found[0]
        if before == [draft.type, draft.body, draft.hashlink, draft.public, draft.origin]:
            return _stored(draft, revision)
        fields = _fields(draft.body)
        status, *columns = _columns(fields)
        self.execute(
            "UPDATE entity SET type = ?, origin = ?, public = ?, revision = ?, hashlink = ?, "
            "lifecycle_status = ?, name = ?, last_update = ?, body = ? WHERE rowid = ?",
            (
                *(draft.type, draft.origin, draft.public, revision + 1, draft.hashlink),
                *(status, *columns, draft.body, rowid),
            ),
        )
        type_before, body_before, _, public_before, _ = before
        old = self._index_rows(type_before, _fields(body_before), public=public_before == 1)
        new = self._index_rows(draft.type, fields, public=draft.public)
        self._change_index(rowid, old - new, new - old)
        self._append_change(
            draft.id, draft.type, "change" if status == status_before else "state", draft.origin
        )
        return _stored(draft, revision + 1)

    def _insert(self, draft: EntityDraft) -> Entity:
        revision = 1
        if buried := self.execute("SELECT revision FROM tombstone WHERE id = ?", (draft.id,)):
            revision += buried[0][0]
            self.execute("DELETE FROM tombstone WHERE id = ?", (draft.id,))
        fields = _fields(draft.body)
        self.execute(
            "INSERT INTO entity (id, type, origin, public, revision, hashlink, lifecycle_status, name, last_update, "
            "body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(draft.id, draft.type, draft.origin, draft.public, revision, draft.hashlink),
                *(*_columns(fields), draft.body),
            ),
        )
        rowid = self._connection.last_insert_rowid()
        self._change_index(rowid, set(), self._index_rows(draft.type, fields, public=draft.public))
        self._append_change(draft.id, draft.type, "create", draft.origin)
        return _stored(draft, revision)

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity, leaving a tombstone and a row of the feed; what it was, or None."""
        rows = self.execute(
            f"DELETE FROM entity WHERE id = ? RETURNING {ENTITY_COLUMNS}, rowid",  # noqa: S608 - a constant
            (entity_id,),
        )
        if not rows:
            return None
        *columns, rowid = rows[0]
        entity = entity_of(tuple(columns))
        self._change_index(
            rowid, self._index_rows(entity.type, _fields(entity.body), public=entity.public), set()
        )
        self.execute(
            "INSERT INTO tombstone VALUES (?, ?, ?, ?, ?)",
            (entity.id, entity.type, entity.origin, entity.revision, self.time),
        )
        self._append_change(entity.id, entity.type, "delete", entity.origin)
        return entity

    async def set_cursor(self, name: str, position: int) -> None:
        """Move a cursor."""
        self.execute(
            "INSERT INTO cursor VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position",
            (name, position),
        )

    def reindex(self) -> None:
        """Fill the index anew, for other paths than it was filled for."""
        self.execute("DELETE FROM entity_index")
        self.execute("DELETE FROM indexed_path")
        for path in self._indexed_paths:
            self.execute("INSERT INTO indexed_path VALUES (?)", (".".join(path),))
        last = 0
        while rows := self.execute(
            "SELECT rowid, type, public, body FROM entity WHERE rowid > ? ORDER BY rowid LIMIT 1000", (last,)
        ):
            for rowid, type_name, public, body in rows:
                self._change_index(
                    rowid, set(), self._index_rows(type_name, _fields(body), public=public == 1)
                )
                last = rowid

    def _append_change(
        self, entity_id: str, type_name: str, operation: Operation, origin: str | None
    ) -> None:
        self.execute(
            "INSERT INTO change (time, entity_id, type, operation, origin) VALUES (?, ?, ?, ?, ?)",
            (self.time, entity_id, type_name, operation, origin),
        )
        self.last_change = self._connection.last_insert_rowid()

    def _index_rows(
        self, type_name: str, fields: dict[str, Any], *, public: bool
    ) -> set[tuple[str, str, bool]]:
        return {
            (indexed_attribute(type_name, path), value, public)
            for path in self._indexed_paths
            if path[0] in fields
            for value in indexed_values(fields, path)
        }

    def _change_index(
        self, rowid: int, gone: set[tuple[str, str, bool]], come: set[tuple[str, str, bool]]
    ) -> None:
        for attribute, value, _ in gone:
            self.execute(
                "DELETE FROM entity_index WHERE attribute = ? AND value = ? AND entity = ?",
                (attribute, value, rowid),
            )
        rows = sorted(come)
        for start in range(0, len(rows), _INDEX_ROWS_PER_STATEMENT):
            part = rows[start : start + _INDEX_ROWS_PER_STATEMENT]
            self.execute(
                f"INSERT INTO entity_index VALUES {', '.join(['(?, ?, ?, ?)'] * len(part))}",  # noqa: S608 - placeholders only
                tuple(
                    item for attribute, value, public in part for item in (attribute, value, rowid, public)
                ),
            )


def _stored(draft: EntityDraft, revision: int) -> Entity:
    return Entity(draft.id, draft.type, draft.body, draft.hashlink, draft.public, draft.origin, revision)


def _fields(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])


def _columns(fields: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Values of lifecycle_status, name and last_update."""
    return _text(fields.get("lifecycleStatus")), _text(fields.get("name")), _text(fields.get("lastUpdate"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
