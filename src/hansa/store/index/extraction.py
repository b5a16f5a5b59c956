"""What of an entity is in columns and in the index, by the plan of its collection.

`name`, `lastUpdate` and the status have columns of strings; where an entity has something else there, it
counts as absent. `lastUpdate` is held as `hansa.core.instants.comparable` writes it, so that moments order
and compare. Every scalar that an indexed path reaches is a row of `entity_index`, in canonical JSON. The
index calls an attribute by a number, made from the names of its collection and its path: 47 bits of a hash,
which no two attributes of a marketplace share (among ten thousand of them the chance is one in three
million).

References have no index. A row for each identifier that an entity refers to would be a page to be written for
nearly each of them; yet referrers are looked up only when something is deleted. So there is one short row for
each entity that refers to any: the *fingerprints* of the identifiers to which it refers, a hash of eight
bytes each. An engine indexes them later, many together; the entities that have one are examined, since two
identifiers may have the same fingerprint.

A *posting* is an attribute (column or path) with one of its values: what entities are looked up by, and what
totals are counted of.
"""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec

from hansa.core.cache import FunctionCache
from hansa.core.instants import comparable
from hansa.store.index.paths import AttributePath, index_text, values_below
from hansa.store.index.plan import DEFAULT_PLAN, TYPE_PATH, CollectionPlan, IndexPlan

NUMBERS_REMEMBERED_MAX: Final = 1024
"""Tuples of collections, of which there is one for each collection that others refer to."""
COLLECTIONS_REMEMBERED_MAX: Final = 1024
"""Some times as many as the APIs have."""
FINGERPRINT_CACHED_MAX_CHARS: Final = 256
"""A text that is longer is no identifier of ours, and would take room."""

Column = str
IndexKey = tuple[int, str]
"""Number of an attribute, and a value: canonical JSON in the index, the text itself in a column."""

NAME: Final[AttributePath] = ("name",)
LAST_UPDATE: Final[AttributePath] = ("lastUpdate",)
_PARENT: Final[AttributePath] = ("", "parent")


class IndexedFields(msgspec.Struct, frozen=True):
    """What of one entity is in columns and in the index."""

    status: str | None
    name: str | None
    last_update: str | None
    index: tuple[IndexKey, ...]
    """Its rows of `entity_index`."""
    fingerprints: bytes
    """Of the identifiers to which it refers, one after the other."""
    postings: tuple[IndexKey, ...]
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
        self.references = plan.references
        self._walked = tuple(
            (path[0], path[1:], self.numbers.get(path), path in plan.references)
            for path in dict.fromkeys((*self.numbers, *plan.references))
        )
        self.number = attribute_number(collection, ())
        """The number of the collection in the table of fingerprints."""
        self.column_numbers = {
            "name": attribute_number(collection, NAME),
            "last_update": attribute_number(collection, LAST_UPDATE),
            "parent": attribute_number(collection, _PARENT),
        }

    @cached_property
    def description(self) -> str:
        """Of what the index was made; the same text means the same index."""
        return msgspec.json.encode((self.status, sorted(self.numbers), sorted(self.references))).decode()

    def fields(self, entity: dict[str, Any], parent: str | None) -> IndexedFields:
        """What of an entity is in columns and in the index."""
        index_keys: dict[IndexKey, None] = {}
        referenced: dict[str, None] = {}
        for name_at_top, rest, number, is_reference in self._walked:
            top = entity.get(name_at_top)
            if top is None:
                continue
            for value in values_below(top if type(top) is list else [top], rest):
                if number is not None and (text := index_text(value)) is not None:
                    index_keys[number, text] = None
                if is_reference and type(value) is str:
                    referenced[value] = None
        index = tuple(index_keys)
        name, updated = _text(entity.get("name")), _text(entity.get("lastUpdate"))
        postings = [*index]
        numbers = self.column_numbers
        if name is not None:
            postings.append((numbers["name"], name))
        if updated is not None:
            updated = comparable(updated)
            postings.append((numbers["last_update"], updated))
        if parent is not None:
            postings.append((numbers["parent"], parent))
        status = None if self.status is None else _text(entity.get(self.status))
        fingerprints = b"".join(map(fingerprint_of, referenced))
        return IndexedFields(status, name, updated, index, fingerprints, tuple(postings))


collection_index: Final = lru_cache(COLLECTIONS_REMEMBERED_MAX)(CollectionIndex)
"""The same one for all stores of a process: it says nothing but what its plan says."""


class Indexes:
    """The indexes of all collections."""

    def __init__(self, plan: IndexPlan) -> None:
        self._plan = plan
        self._made: dict[str, CollectionIndex] = {}
        self._numbers: dict[tuple[str, ...], tuple[int, ...]] = {}

    def of(self, collection: str) -> CollectionIndex:
        """The indexes of a collection."""
        made = self._made.get(collection)
        if made is None:
            made = self._made[collection] = collection_index(
                collection, self._plan.get(collection, DEFAULT_PLAN)
            )
        return made

    def numbers_of(self, collections: tuple[str, ...]) -> tuple[int, ...]:
        """The numbers of some collections in the table of fingerprints; remembered for each such tuple."""
        numbers = self._numbers.get(collections)
        if numbers is None:
            if len(self._numbers) >= NUMBERS_REMEMBERED_MAX:
                self._numbers.clear()
            numbers = self._numbers[collections] = tuple(self.of(one).number for one in collections)
        return numbers

    @property
    def planned(self) -> tuple[str, ...]:
        """The collections that the plan names."""
        return tuple(self._plan)


def attribute_number(collection: str, path: AttributePath) -> int:
    """What the index calls an attribute."""
    name = msgspec.json.encode([collection, *path])
    return int.from_bytes(hashlib.sha256(name).digest()[:6]) >> 1


def fingerprint_of(entity_id: str) -> bytes:
    """The hash of an identifier in the rows of the entities that refer to it."""
    if len(entity_id) <= FINGERPRINT_CACHED_MAX_CHARS:
        return FINGERPRINTS.value(entity_id)
    return _fingerprint(entity_id)


def _fingerprint(entity_id: str) -> bytes:
    return hashlib.blake2b(entity_id.encode(), digest_size=8).digest()


FINGERPRINTS: Final[FunctionCache[str, bytes]] = FunctionCache("fingerprints", 8192, _fingerprint)
"""Of identifiers, since many entities refer to a few others. Threads share it."""


def described_numbers(collection: str, description: str) -> tuple[int, ...]:
    """The numbers of the attributes in a description."""
    _, paths, _ = msgspec.json.decode(
        description, type=tuple[str | None, tuple[AttributePath, ...], tuple[AttributePath, ...]]
    )
    return tuple(attribute_number(collection, path) for path in paths)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
