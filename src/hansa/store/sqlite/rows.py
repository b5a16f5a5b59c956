"""Rows of entities and of the feed: their columns, each named once, and the statements made of them."""

from __future__ import annotations

from typing import Final, NamedTuple

from hansa.store.index.extraction import IndexedFields
from hansa.store.records import Change, Entity, EntityDraft
from hansa.store.sql import Row, insert


class EntityRow(NamedTuple):
    """A row of `entity`: the parameters of `INSERT_ENTITY` and `UPDATE_ENTITY`."""

    number: int
    id: str
    type: str
    parent: str | None
    origin: str | None
    public: bool
    revision: int
    modified: str
    hashlink: str
    status: str | None
    name: str | None
    last_update: str | None
    body: bytes


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


_UPDATED: Final = tuple(
    [
        f"{column} = ?{place}"
        for place, column in enumerate(EntityRow._fields, 1)
        if column not in {"number", "id"}
    ]
)
ENTITY_COLUMNS: Final = ", ".join(Entity.__struct_fields__)
INSERT_ENTITY: Final = insert("entity", EntityRow._fields)
UPDATE_ENTITY: Final = f"UPDATE entity SET {', '.join(_UPDATED)} WHERE number = ?1"  # noqa: S608 - constants
SELECT_ENTITY: Final = f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?"  # noqa: S608 - constants
SELECT_CURRENT: Final = f"SELECT {', '.join(CurrentRow._fields)} FROM entity WHERE id = ?"  # noqa: S608 - constants

CHANGE_COLUMNS: Final = Change.__struct_fields__
INSERT_CHANGE: Final = insert("change", CHANGE_COLUMNS)
SELECT_CHANGES: Final = f"SELECT {', '.join(CHANGE_COLUMNS)} FROM change WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constants

assert UPDATE_ENTITY.endswith("body = ?13 WHERE number = ?1"), "each parameter has the place of its column"


def entity_row(
    number: int, draft: EntityDraft, fields: IndexedFields, revision: int, modified: str
) -> EntityRow:
    """The row of a draft."""
    return EntityRow(
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
    )


def entity_of(row: Row) -> Entity:
    """An entity from a row of `ENTITY_COLUMNS`."""
    identifier, type_name, body, hashlink, public, origin, revision, parent, modified = row
    return Entity(identifier, type_name, body, hashlink, public == 1, origin, revision, parent, modified)


def stored(draft: EntityDraft, revision: int, modified: str) -> Entity:
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
    )
