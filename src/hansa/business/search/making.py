"""Makes documents of the entities that the store has now, and reads what is folded in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeVar

from hansa.business.models import Models
from hansa.business.search.documents import decoded, document_of, further_targets, targets_of
from hansa.business.search.folding import ANCESTORS_MAX, FOLDED_TYPES, Fields, Folded, folded
from hansa.business.visibility import PublicParts
from hansa.core.cache import Cache
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.store import Entity, Store
from hansa.store.search.records import SearchDocument

FOLDED_CACHED_MAX: Final = 4096
"""Entities of which what is folded is remembered."""
ENTITIES_AT_ONCE: Final = 25
"""So many are in memory together, each with a megabyte at most."""
FOLDED_MAX_BYTES: Final = 262_144
"""Of a larger entity, nothing is folded into others."""

T = TypeVar("T")


class Made(NamedTuple):
    """What became of some entities."""

    documents: Mapping[str, SearchDocument | None]
    """By identifier; None: it is not there, or is not searched."""
    parts: tuple[tuple[str, str], ...]
    """Of those that are folded into others, digests of what is."""


class DocumentMaker:
    """Makes documents.

    Args:
        store: Where entities are.
        models: Which types are catalogue types.
    """

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._types = models.catalogue_types
        self._parts = PublicParts(models)
        self.cache: Final[Cache[tuple[str, int], Folded]] = Cache("search_folded", FOLDED_CACHED_MAX)
        """By identifier and revision."""

    def is_searched(self, collection: str) -> bool:
        """Whether entities of a collection have documents."""
        return collection in self._types

    @property
    def rule(self) -> str:
        """Another one, where other entities or other parts of them are public."""
        return self._parts.rule()

    async def make(self, ids: Sequence[str]) -> Made:
        """The documents of entities, as they are now."""
        documents: dict[str, SearchDocument | None] = {}
        parts: list[tuple[str, str]] = []
        for start in range(0, len(ids), ENTITIES_AT_ONCE):
            made = await self._made(ids[start : start + ENTITIES_AT_ONCE])
            documents.update(made.documents)
            parts += made.parts
        return Made(documents, tuple(parts))

    async def _made(self, ids: Sequence[str]) -> Made:
        entities = await self._store.entities(ids)
        present = [one for one in entities.values() if one.type in self._types]
        size_bytes = sum(len(one.body) for one in present)
        fields = await _beside(size_bytes, partial(self._decoded, present))
        find = await self._find(present, fields)
        made = await _beside(
            size_bytes, lambda: {one.id: document_of(one, fields[one.id], find) for one in present}
        )
        documents: dict[str, SearchDocument | None] = {each: made.get(each) for each in ids}
        return Made(documents, tuple(self._digests(ids, entities, fields)))

    def _decoded(self, entities: Iterable[Entity]) -> dict[str, Fields]:
        return {one.id: decoded(self._parts.body(one.type, one.body)) for one in entities}

    def _digests(
        self, ids: Iterable[str], entities: Mapping[str, Entity], fields: Mapping[str, Fields]
    ) -> Iterable[tuple[str, str]]:
        for each in ids:
            entity = entities.get(each)
            if entity is None:
                yield each, ""
            elif entity.type in FOLDED_TYPES:
                is_folded = entity.public and len(entity.body) <= FOLDED_MAX_BYTES
                yield each, self._folded(entity, fields[each]).digest if is_folded else ""

    def folded_of(self, entities: Iterable[Entity]) -> dict[str, Folded]:
        """What is folded of entities into others, by identifier; nothing of what is not public, or large."""
        return {
            one.id: self._folded(one)
            for one in entities
            if one.public and one.type in FOLDED_TYPES and len(one.body) <= FOLDED_MAX_BYTES
        }

    def _folded(self, entity: Entity, fields: Fields | None = None) -> Folded:
        key = entity.id, entity.revision
        known = self.cache.get(key)
        if known is None:
            if fields is None:
                fields = decoded(self._parts.body(entity.type, entity.body))
            known = folded(entity.type, fields)
            self.cache.put(key, known)
        return known

    async def _find(self, entities: Sequence[Entity], fields: Mapping[str, Fields]) -> dict[str, Folded]:
        """What is folded into some entities: what they refer to, and what that refers to."""
        find: dict[str, Folded] = {}
        requested: set[str] = set()
        missing = {target for one in entities for target in targets_of(one.type, fields[one.id])}
        missing.update(one.id for one in entities if one.type == "Category")
        for _ in range(ANCESTORS_MAX):
            missing -= requested
            if not missing:
                break
            requested |= missing
            read = await self._store.entities(sorted(missing))
            new = self.folded_of(read.values())
            find.update(new)
            missing = further_targets(new.values())
        return find


async def _beside(size_bytes: int, work: Callable[[], T]) -> T:
    """What some work returns; of large entities, in a thread."""
    return work() if size_bytes <= SMALL_MAX_BYTES else await asyncio.to_thread(work)
