"""What can be written within a transaction."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from hansa.core.errors import HansaError
from hansa.store.database import translated
from hansa.store.query import REFERENCE_PATHS, Parameter
from hansa.store.records import Entity, EntityDraft, Operation

ENTITY_COLUMNS = "id, type, body, hashlink, public, origin, revision"


def entity_of(row: tuple[Any, ...]) -> Entity:
    """An entity from a row of `ENTITY_COLUMNS`."""
    identifier, type_name, body, hashlink, public, origin, revision = row
    return Entity(identifier, type_name, body, hashlink, bool(public), origin, revision)


class Transaction:
    """An open transaction. Made by `Store.transaction`; not to be used after it ended."""

    def __init__(self, connection: apsw.Connection, path: str, time: str) -> None:
        self._connection = connection
        self._path = path
        self.time = time
        """When it began; RFC 3339."""
        self.failure: HansaError | None = None
        self.last_change = 0
        """The newest row of the feed that this transaction wrote."""

    def execute(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[tuple[Any, ...]]:
        """Run SQL; for modules of `hansa.store` alone."""
        try:
            with translated(self._path):
                return self._connection.execute(sql, parameters).fetchall()
        except HansaError as error:
            self.failure = error
            raise

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity, with what this transaction wrote."""
        rows = self.execute(f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?", (entity_id,))  # noqa: S608 - a constant
        return entity_of(rows[0]) if rows else None

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and the row of the feed that tells of it; writes nothing when it stands there already."""
        found = self.execute(
            "SELECT rowid, type, hashlink, public, origin, revision, lifecycle_status FROM entity WHERE id = ?",
            (draft.id,),
        )
        fields = msgspec.json.decode(draft.body)
        status, name, last_update = (_text(fields.get(k)) for k in ("lifecycleStatus", "name", "lastUpdate"))
        operation: Operation
        if found:
            rowid, *before, revision, status_before = found[0]
            if before == [draft.type, draft.hashlink, int(draft.public), draft.origin]:
                return Entity(*_flat(draft), revision)
            revision += 1
            operation = "change" if status == status_before else "state"
            self.execute(
                "UPDATE entity SET type = ?, origin = ?, public = ?, revision = ?, hashlink = ?, "
                "lifecycle_status = ?, name = ?, last_update = ?, body = ? WHERE rowid = ?",
                (draft.type, draft.origin, int(draft.public), revision, draft.hashlink)
                + (status, name, last_update, draft.body, rowid),
            )
            self.execute("DELETE FROM entity_reference WHERE entity = ?", (rowid,))
        else:
            revision = 1 + self._buried_revision(draft.id)
            operation = "create"
            ((rowid,),) = self.execute(
                "INSERT INTO entity (id, type, origin, public, revision, hashlink, lifecycle_status, name, "
                "last_update, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING rowid",
                (draft.id, draft.type, draft.origin, int(draft.public), revision, draft.hashlink)
                + (status, name, last_update, draft.body),
            )
        self._index_references(rowid, fields)
        self._append_change(draft.id, draft.type, operation, draft.origin)
        return Entity(*_flat(draft), revision)

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity, leaving a tombstone and a row of the feed; what it was, or None."""
        entity = await self.entity(entity_id)
        if entity is None:
            return None
        self.execute("DELETE FROM entity WHERE id = ?", (entity_id,))
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

    def _buried_revision(self, entity_id: str) -> int:
        rows = self.execute("DELETE FROM tombstone WHERE id = ? RETURNING revision", (entity_id,))
        return int(rows[0][0]) if rows else 0

    def _append_change(self, entity_id: str, type_name: str, operation: Operation, origin: str | None) -> None:
        ((self.last_change,),) = self.execute(
            "INSERT INTO change (time, entity_id, type, operation, origin) VALUES (?, ?, ?, ?, ?) RETURNING seq",
            (self.time, entity_id, type_name, operation, origin),
        )

    def _index_references(self, rowid: int, fields: dict[str, Any]) -> None:
        for path in REFERENCE_PATHS:
            for value in set(_texts_at(fields, path)):
                self.execute("INSERT INTO entity_reference VALUES (?, ?, ?)", (".".join(path), value, rowid))


def _flat(draft: EntityDraft) -> tuple[str, str, bytes, str, bool, str | None]:
    return draft.id, draft.type, draft.body, draft.hashlink, draft.public, draft.origin


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts_at(value: object, path: tuple[str, ...]) -> list[str]:
    if isinstance(value, list):
        return [text for element in value for text in _texts_at(element, path)]
    if not path:
        return [value] if isinstance(value, str) else []
    return _texts_at(value.get(path[0]), path[1:]) if isinstance(value, dict) else []
