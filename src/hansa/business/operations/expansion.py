"""`expand` and `depth`: references in a body filled with what they refer to (TMF630 Part 2).

`expand=category,productSpecification` fills the references at these paths, `depth=2` all references in two
rounds: those of the entity, then those of the entities filled in. A reference keeps its own attributes and
gains those of the entity; one whose entity is not here, or not for this caller, stays as it is. The number of
entities filled in is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hansa.business.context import Context
from hansa.business.representation import Representation, collection_address
from hansa.business.visibility import PublicParts
from hansa.store import Entity

Path = tuple[str, ...]
_encode = msgspec.json.Encoder().encode


class ReferenceExpander:
    """Fills references from the store."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._models = context.models
        self._limits = context.limits
        self._endpoint = context.endpoint
        self._parts = PublicParts(context.models)

    async def expand(
        self, bodies: Sequence[bytes], paths: Sequence[Path], depth: int, *, public_only: bool
    ) -> tuple[bytes, ...]:
        """Stored bodies with their references filled."""
        values = [msgspec.json.decode(body) for body in bodies]
        room = self._limits.expanded_entities_max
        at_paths = [ref for value in values for path in paths for ref in _at(value, path)]
        room -= len(await self._fill(at_paths[:room], public_only=public_only))
        frontier: list[Any] = values
        for _ in range(depth):
            refs = [ref for value in frontier for ref in _references(value)][: max(0, room)]
            frontier = await self._fill(refs, public_only=public_only)
            room -= len(frontier)
            if not frontier:
                break
        return tuple(map(_encode, values))

    async def _fill(self, refs: list[dict[str, Any]], *, public_only: bool) -> list[dict[str, Any]]:
        """Fill references in place; returns those that were filled."""
        entities = await self._store.entities(list({ref["id"] for ref in refs}))
        filled: list[dict[str, Any]] = []
        for ref in refs:
            entity = entities.get(ref["id"])
            if entity is None or not (entity.public or not public_only):
                continue
            own_attributes = dict(ref)
            body = self._parts.body(entity.type, entity.body) if public_only else entity.body
            ref.clear()
            ref.update({**msgspec.json.decode(body), "href": self._address(entity), **own_attributes})
            filled.append(ref)
        return filled

    def _address(self, entity: Entity) -> str:
        api, resource = self._models.served(entity.type)
        collection = collection_address(self._endpoint, api, resource, entity.parent)
        return Representation(collection).address(entity.id)


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
