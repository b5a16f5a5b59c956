"""Reading of sub-resources that stand in an attribute of their parent, as parts of a geographic address."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from hansa.business.operations.read import ReadScope, scope_below
from hansa.business.served_resource import ServedResource
from hansa.core.access import Action, Caller
from hansa.core.thread_work import LargeWork
from hansa.store import Query
from hansa.store.evaluation import matches, ordered

Fields = dict[str, Any]
T = TypeVar("T")


class ElementPage(msgspec.Struct, frozen=True):
    """A page of a list of elements."""

    elements: tuple[Fields, ...]
    """Without `href`."""
    total: int
    """All matches."""


class EmbeddedReadOperation:
    """Reads the elements of one such sub-resource."""

    def __init__(self, served: ServedResource, large_work: LargeWork) -> None:
        assert served.resource.embedded is not None, "the elements stand in an attribute"
        self._served = served
        self._large_work = large_work
        self._attribute = served.resource.embedded

    async def scope(self, caller: Caller, parent_id: str | None) -> ReadScope:
        """What a caller may read below a parent.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`; `Code.NOT_FOUND`, when there is no such parent.
        """
        return await scope_below(self._served, self._served.authorize(caller, Action.READ), parent_id)

    async def one(self, scope: ReadScope, entity_id: str) -> Fields:
        """One element.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        for element in await self._of_parent(scope, self._elements):
            if element["id"] == entity_id:
                return element
        raise self._served.not_found(entity_id)

    async def page(self, scope: ReadScope, query: Query) -> ElementPage:
        """A page of the elements that a query selects; in the parent's order, unless the query sorts."""

        def page(scope: ReadScope) -> ElementPage:
            selected = ordered(
                (element for element in self._elements(scope) if matches(element, query.filters)), query.sort
            )
            return ElementPage(tuple(selected[query.offset : query.offset + query.limit]), len(selected))

        return await self._of_parent(scope, page)

    async def _of_parent(self, scope: ReadScope, work: Callable[[ReadScope], T]) -> T:
        """What is made of a parent; of a large one, in a thread."""
        assert scope.parent is not None, "an embedded sub-resource has a parent"
        is_stranger = not scope.grant.caller.is_authenticated
        size_bytes = len(scope.parent.body)
        return await self._large_work.run(size_bytes, partial(work, scope), is_stranger=is_stranger)

    def _elements(self, scope: ReadScope) -> list[Fields]:
        """What the parent holds, as far as it has an identifier."""
        assert self._served.is_granted(scope.grant, Action.READ), "a scope is used where it was made"
        assert scope.parent is not None, "an embedded sub-resource has a parent"
        value = msgspec.json.decode(scope.parent.body).get(self._attribute, [])
        return [
            {name: inner for name, inner in element.items() if name != "href"}
            for element in (value if isinstance(value, list) else [value])
            if isinstance(element, dict) and isinstance(element.get("id"), str)
        ]
