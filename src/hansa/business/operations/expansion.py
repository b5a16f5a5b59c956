"""`expand` and `depth`: references in a body filled with what they refer to (TMF630 Part 2).

`expand=category,productSpecification` fills the references at these paths, `depth=2` all references in two
rounds: those of the entity, then those of the entities filled in. A reference keeps its own attributes and
gains those of the entity; one whose entity is not here, or not for this caller, stays as it is. So does one
for which there is no room: the number of entities filled in is bounded, and so are the bytes of an answer.
What is large is decoded, filled and encoded in a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec

from hansa.business.context import Context
from hansa.business.representation import Representation, collection_address
from hansa.business.rights.reading import EntityReader
from hansa.business.visibility import PublicParts
from hansa.core.limits import Limits
from hansa.core.thread_work import CHEAP
from hansa.store import Entity

Path = tuple[str, ...]
Run: TypeAlias = Callable[[int, Callable[[], Any]], Awaitable[Any]]
"""`LargeWork.run` on behalf of one caller."""
Shown: TypeAlias = Callable[[Entity], bytes | None]
"""The part of an entity that the caller may see; None: nothing."""
READ_AT_ONCE: Final = 20
"""Entities that are read within one turn of the event loop."""
_encode = msgspec.json.Encoder().encode


class _Room:
    """What an answer may still be filled with."""

    def __init__(self, limits: Limits, taken_bytes: int) -> None:
        self.entities = limits.expanded_entities_max
        self.taken_bytes = taken_bytes
        self._size_max_bytes = limits.answer_size_max_bytes

    @property
    def left_bytes(self) -> int:
        """Bytes of entities that may still be filled in."""
        return self._size_max_bytes - self.taken_bytes

    def take(self, size_bytes: int) -> bool:
        """Take the room for an entity; False when there is not enough."""
        if self.entities <= 0 or size_bytes > self.left_bytes:
            return False
        self.entities -= 1
        self.taken_bytes += size_bytes
        return True


class ReferenceExpander:
    """Fills references from the store."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._models = context.models
        self._clock = context.clock
        self._large_work = context.large_work
        self._limits = context.limits
        self._endpoint = context.endpoint
        self.parts: Final = PublicParts(context.models)

    async def expand(
        self,
        bodies: Sequence[bytes],
        paths: Sequence[Path],
        depth: int,
        *,
        public_only: bool,
        is_stranger: bool,
        reader: EntityReader | None = None,
    ) -> tuple[bytes, ...]:
        """Stored bodies with their references filled.

        Args:
            bodies: Of the entities.
            paths: Where references are.
            depth: How many rounds of all references are filled beside these.
            public_only: Whether only what is public is filled in.
            is_stranger: Nobody knows who reads.
            reader: Decides about each entity, where it is not the same about all.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many large answers are being made.
        """

        def run(size_bytes: int, work: Callable[[], Any]) -> Awaitable[Any]:
            return self._large_work.run(size_bytes // CHEAP, work, is_stranger=is_stranger)

        def shown(entity: Entity) -> bytes | None:
            if reader is not None:
                return reader.shown(entity)
            if not public_only:
                return entity.body
            return self.parts.body(entity.type, entity.body) if entity.public else None

        size_bytes = sum(map(len, bodies))
        room = _Room(self._limits, size_bytes)
        values = await run(size_bytes, lambda: [msgspec.json.decode(body) for body in bodies])
        if paths:
            at_paths = await run(size_bytes, lambda: _all_at(values, paths, room.entities))
            await self._fill(at_paths, room, run, shown)
        frontier: list[Any] = values
        for _ in range(depth):
            frontier_bytes, now = room.taken_bytes, frontier
            refs = await run(frontier_bytes, lambda: _all_below(now, room.entities))  # noqa: B023 - awaited here
            frontier = await self._fill(refs, room, run, shown)
            if not frontier:
                break
        encoded: tuple[bytes, ...] = await run(room.taken_bytes, lambda: tuple(map(_encode, values)))
        return encoded

    async def _fill(
        self, refs: list[dict[str, Any]], room: _Room, run: Run, shown: Shown
    ) -> list[dict[str, Any]]:
        """Fill references in place, as far as there is room; returns those that were filled."""
        ids = list(dict.fromkeys(ref["id"] for ref in refs))
        entities: dict[str, Entity] = {}
        for start in range(0, len(ids), READ_AT_ONCE):
            part = await self._store.entities(ids[start : start + READ_AT_ONCE])
            entities.update(part)
            if sum(len(one.body) for one in entities.values()) > room.left_bytes:
                break
            await self._clock.sleep(0)  # let others in

        def filled() -> list[dict[str, Any]]:
            return [ref for ref in refs if self._fill_one(ref, entities, room, shown)]

        result: list[dict[str, Any]] = await run(sum(len(one.body) for one in entities.values()), filled)
        return result

    def _fill_one(self, ref: dict[str, Any], entities: dict[str, Entity], room: _Room, shown: Shown) -> bool:
        entity = entities.get(ref["id"])
        body = None if entity is None else shown(entity)
        if entity is None or body is None or not room.take(len(entity.body)):
            return False
        own_attributes = dict(ref)
        ref.clear()
        ref.update({**msgspec.json.decode(body), "href": self._address(entity), **own_attributes})
        return True

    def _address(self, entity: Entity) -> str:
        api, resource = self._models.served(entity.type)
        collection = collection_address(self._endpoint, api, resource, entity.parent)
        return Representation(collection).address(entity.id)


def _all_at(values: Sequence[Any], paths: Sequence[Path], count_max: int) -> list[dict[str, Any]]:
    """The first references at some paths of some entities."""
    return list(islice((ref for value in values for path in paths for ref in _at(value, path)), count_max))


def _all_below(values: Sequence[Any], count_max: int) -> list[dict[str, Any]]:
    """The first references anywhere in some entities."""
    return list(islice((ref for value in values for ref in _references(value)), max(0, count_max)))


def _at(value: Any, path: Path) -> Iterator[dict[str, Any]]:
    """The references at a path; arrays on the way stand for their elements."""
    for element in value if isinstance(value, list) else (value,):
        if not isinstance(element, dict):
            continue
        if path:
            if path[0] in element:
                yield from _at(element[path[0]], path[1:])
        elif isinstance(element.get("id"), str):
            yield element


def _references(value: Any) -> Iterator[dict[str, Any]]:
    """Everything below the top that has an identifier."""
    todo = list(value.values())
    while todo:
        current = todo.pop()
        if isinstance(current, list):
            todo += current
        elif isinstance(current, dict):
            todo += current.values()
            if isinstance(current.get("id"), str):
                yield current
