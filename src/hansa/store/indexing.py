"""What of an entity is in columns and in the index, by the plan of its collection.

`name`, `lastUpdate` and the status have columns of strings; where an entity has something else there, it counts as
absent. `lastUpdate` is held as `hansa.core.instants.comparable` writes it, so that moments order and compare. Every
scalar that an indexed path reaches is a row of `entity_index`, in canonical JSON. The index calls an attribute by a
number, made from the names of its collection and its path: 47 bits of a hash, which no two attributes of a
marketplace share (among ten thousand of them the chance is one in three million).

A *posting* is an attribute (column or path) with one of its values: what entities are found by, and what totals are
kept of.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from hansa.core.instants import comparable
from hansa.store.attributes import AttributePath, indexed_values
from hansa.store.plan import DEFAULT_PLAN, TYPE_PATH, CollectionPlan, IndexPlan

Column = str
Posting = tuple[int, str]
"""Number of an attribute, and a value: canonical JSON in the index, the text itself in a column."""

NAME: Final[AttributePath] = ("name",)
LAST_UPDATE: Final[AttributePath] = ("lastUpdate",)
_PARENT: Final[AttributePath] = ("", "parent")


class IndexedFields(msgspec.Struct, frozen=True):
    """What of one entity is in columns and in the index."""

    status: str | None
    name: str | None
    last_update: str | None
    index: tuple[Posting, ...]
    """Its rows of `entity_index`."""
    postings: tuple[Posting, ...]
    """All of them: of the columns too, but for the status."""


class CollectionIndex:
    """The columns and indexed paths of one collection."""

    def __init__(self, collection: str, plan: CollectionPlan) -> None:
        self.collection = collection
        self.status = plan.status
        self.columns: dict[AttributePath, Column] = {NAME: "name", LAST_UPDATE: "last_update"}
        if plan.status is not None:
            self.columns[(plan.status,)] = "status"
        paths = dict.fromkeys((TYPE_PATH, *plan.indexed))
        self.numbers = {
            path: attribute_number(collection, path)
            for path in paths
            if path not in self.columns and path != ("id",)
        }
        """Of the indexed paths."""
        self.column_numbers = {
            "name": attribute_number(collection, NAME),
            "last_update": attribute_number(collection, LAST_UPDATE),
            "parent": attribute_number(collection, _PARENT),
        }

    @property
    def description(self) -> str:
        """Of what the index was made; the same text means the same index."""
        return msgspec.json.encode((self.status, sorted(self.numbers))).decode()

    def fields(self, entity: dict[str, Any], parent: str | None) -> IndexedFields:
        """What of an entity is in columns and in the index."""
        name, updated = _text(entity.get("name")), _text(entity.get("lastUpdate"))
        if updated is not None:
            updated = comparable(updated)
        index = [
            (number, value)
            for path, number in self.numbers.items()
            if path[0] in entity
            for value in indexed_values(entity, path)
        ]
        postings = index.copy()
        numbers = self.column_numbers
        if name is not None:
            postings.append((numbers["name"], name))
        if updated is not None:
            postings.append((numbers["last_update"], updated))
        if parent is not None:
            postings.append((numbers["parent"], parent))
        status = None if self.status is None else _text(entity.get(self.status))
        return IndexedFields(status, name, updated, tuple(index), tuple(postings))


class Indexes:
    """The indexes of all collections."""

    def __init__(self, plan: IndexPlan) -> None:
        self._plan = plan
        self._made: dict[str, CollectionIndex] = {}

    def of(self, collection: str) -> CollectionIndex:
        """The indexes of a collection."""
        made = self._made.get(collection)
        if made is None:
            made = self._made[collection] = CollectionIndex(
                collection, self._plan.get(collection, DEFAULT_PLAN)
            )
        return made

    @property
    def planned(self) -> tuple[str, ...]:
        """The collections that the plan names."""
        return tuple(self._plan)


def attribute_number(collection: str, path: AttributePath) -> int:
    """What the index calls an attribute."""
    name = msgspec.json.encode([collection, *path])
    return int.from_bytes(hashlib.sha256(name).digest()[:6]) >> 1


def described_numbers(collection: str, description: str) -> tuple[int, ...]:
    """The numbers of the attributes in a description."""
    _, paths = msgspec.json.decode(description, type=tuple[str | None, tuple[AttributePath, ...]])
    return tuple(attribute_number(collection, path) for path in paths)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
