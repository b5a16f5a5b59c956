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
FOLDED_AT_ONCE: Final = 50
"""Likewise, of those that are folded into others; most are small."""
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
        return Made(documents, tuple(await self._digests(ids, entities, fields)))

    def _decoded(self, entities: Iterable[Entity]) -> dict[str, Fields]:
        return {one.id: decoded(self._parts.body(one.type, one.body)) for one in entities}

    async def _digests(
        self, ids: Iterable[str], entities: Mapping[str, Entity], fields: Mapping[str, Fields]
    ) -> list[tuple[str, str]]:
        folded_in = await self._folded(entities.values(), fields)
        return [
            (each, folded_in[each].digest if each in folded_in else "")
            for each in ids
            if each not in entities or entities[each].type in FOLDED_TYPES
        ]

    async def folded_of(self, ids: Iterable[str]) -> dict[str, Folded]:
        """What is folded of entities into others, by identifier; nothing of what is not public, or large."""
        requested = tuple(ids)
        result: dict[str, Folded] = {}
        for start in range(0, len(requested), FOLDED_AT_ONCE):
            entities = await self._store.entities(requested[start : start + FOLDED_AT_ONCE])
            result |= await self._folded(entities.values(), {})
        return result

    async def _folded(self, entities: Iterable[Entity], fields: Mapping[str, Fields]) -> dict[str, Folded]:
        """What is folded of those of some entities that are, by identifier.

        Args:
            entities: Not many.
            fields: Of those that have been decoded.
        """
        chosen = [
            one
            for one in entities
            if one.public and one.type in FOLDED_TYPES and len(one.body) <= FOLDED_MAX_BYTES
        ]
        known = {one.id: self.cache.get((one.id, one.revision)) for one in chosen}
        unknown = [one for one in chosen if known[one.id] is None]

        def fold() -> list[Folded]:
            read = {**self._decoded(one for one in unknown if one.id not in fields), **fields}
            return [folded(one.type, read[one.id]) for one in unknown]

        made = await _beside(sum(len(one.body) for one in unknown), fold)
        for one, new in zip(unknown, made, strict=True):
            known[one.id] = new
            self.cache.put((one.id, one.revision), new)
        return {each: one for each, one in known.items() if one is not None}

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
            new = await self.folded_of(sorted(missing))
            find.update(new)
            missing = further_targets(new.values())
        return find


async def _beside(size_bytes: int, work: Callable[[], T]) -> T:
    """What some work returns; of large entities, in a thread."""
    return work() if size_bytes <= SMALL_MAX_BYTES else await asyncio.to_thread(work)
