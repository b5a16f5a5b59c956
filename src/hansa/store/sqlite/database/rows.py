"""Rows of entities and of the feed: their columns, each named once, and the statements made of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hansa.store.index.extraction import IndexedFields
from hansa.store.records import Change, Entity, EntityDraft, Operation
from hansa.store.sql import Parameter, Row, insert

ENTITY_ROW: Final = (
    "number", "id", "type", "parent", "origin", "public", "revision", "modified", "hashlink", "status", "name",
    "last_update", "body", "nonce", "pending",
)  # fmt: skip
"""The columns of `entity`, in the order of `entity_row`, `INSERT_ENTITY` and `UPDATE_ENTITY`."""


UNCHANGED_COLUMNS: Final = frozenset({"number", "id", "nonce"})
"""Columns that an update leaves as they are."""


class CurrentRow(NamedTuple):
    """What of an entity is compared with a draft of it."""

    type: str
    body: bytes
    hashlink: str
    public: bool
    origin: str | None
    parent: str | None
    revision: int
    status: str | None
    number: int
    modified: str
    nonce: bytes | None
    pending: Operation | None


_UPDATED: Final = tuple(
    [f"{column} = ?{place}" for place, column in enumerate(ENTITY_ROW, 1) if column not in UNCHANGED_COLUMNS]
)
ENTITY_COLUMNS: Final = ", ".join(Entity.__struct_fields__)
INSERT_ENTITY: Final = insert("entity", ENTITY_ROW)
UPDATE_ENTITY: Final = f"UPDATE entity SET {', '.join(_UPDATED)} WHERE number = ?1"  # noqa: S608 - constants
SELECT_ENTITY: Final = f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?"  # noqa: S608 - constants
SELECT_CURRENT: Final = f"SELECT {', '.join(CurrentRow._fields)} FROM entity WHERE id = ?"  # noqa: S608 - constants

CHANGE_COLUMNS: Final = Change.__struct_fields__
INSERT_CHANGE: Final = insert("change", CHANGE_COLUMNS)
SELECT_CHANGES: Final = f"SELECT {', '.join(CHANGE_COLUMNS)} FROM change WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constants

assert UPDATE_ENTITY.endswith("body = ?13, pending = ?15 WHERE number = ?1"), (
    "each parameter has the place of its column"
)


def entity_row(
    number: int,
    draft: EntityDraft,
    fields: IndexedFields,
    revision: int,
    modified: str,
    nonce: bytes | None,
    pending: Operation | None,
) -> tuple[Parameter, ...]:
    """The row of a draft: plain, since every create makes one."""
    return (
        number,
        draft.id,
        draft.type,
        draft.parent,
        draft.origin,
        draft.public,
        revision,
        modified,
        draft.hashlink,
        fields.status,
        fields.name,
        fields.last_update,
        draft.body,
        nonce,
        pending,
    )


def _named_row() -> tuple[Parameter, ...]:
    """A row in which every value is the name of what it was taken from."""
    draft: Any = EntityDraft(**{name: name for name in EntityDraft.__struct_fields__})  # type: ignore[arg-type]
    fields: Any = IndexedFields(**{name: name for name in IndexedFields.__struct_fields__})  # type: ignore[arg-type]
    number: Any = "number"
    revision: Any = "revision"
    pending: Any = "pending"
    return entity_row(number, draft, fields, revision, "modified", draft.nonce, pending)


assert _named_row() == ENTITY_ROW, "each value has the place of its column"


def change_of(row: Row) -> Change:
    """A row of the feed from a row of `CHANGE_COLUMNS`."""
    seq, time, entity_id, type_name, operation, origin, status, parent, is_pending = row
    return Change(seq, time, entity_id, type_name, operation, origin, status, parent, is_pending == 1)


def entity_of(row: Row) -> Entity:
    """An entity from a row of `ENTITY_COLUMNS`."""
    identifier, type_name, body, hashlink, public, origin, revision, parent, modified, nonce, pending = row
    return Entity(
        identifier, type_name, body, hashlink, public == 1, origin, revision, parent, modified, nonce, pending
    )


def stored(
    draft: EntityDraft, revision: int, modified: str, nonce: bytes | None, pending: Operation | None
) -> Entity:
    """What a draft is as a stored entity."""
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
        nonce,
        pending,
    )
