"""Reading: one entity, and pages of lists (TMF630 Part 1, chapter 4).

Entities of private types, and drafts of types with a lifecycle, exist only for callers that may read them;
for others they are neither found nor listed nor counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from hansa.business.context import Context
from hansa.business.operations.expansion import Path, ReferenceExpander
from hansa.business.served_resource import ServedResource
from hansa.business.visibility import PublicParts
from hansa.core.access import Action, Caller, Grant
from hansa.core.thread_work import CHEAP
from hansa.store import Entity, ListCaller, Page, Query
from hansa.store.records import tail_of
from hansa.store.tables import publications

_READ: Final = Action.READ


class ReadScope(msgspec.Struct, frozen=True):
    """What a caller may read: a collection; of a sub-resource, the part below one parent."""

    grant: Grant
    public_only: bool
    """Whether the caller sees only what is public."""
    parent_id: str | None = None
    parent: Entity | None = None


async def scope_below(served: ServedResource, grant: Grant, parent_id: str | None) -> ReadScope:
    """What a caller may read below a parent.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no such parent.
    """
    parent = await served.check_parent(parent_id, public_only=grant.public_only)
    return ReadScope(grant, grant.public_only, parent_id, parent)


class ReadOperation:
    """Reads the entities of one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._store = context.store
        self._collection = served.resource.collection
        self._has_parent = served.parent is not None
        self._expander = ReferenceExpander(context)
        self._large_work = context.large_work
        parts = PublicParts(context.models)
        self._parts = parts if parts.has_private(self._collection) else None

    async def scope(self, caller: Caller, parent_id: str | None = None) -> ReadScope:
        """What a caller may read, of a sub-resource below that parent.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`; `Code.NOT_FOUND`, when there is no such parent.
        """
        grant = self._served.authorize(caller, _READ)
        if not self._has_parent:
            return ReadScope(grant, grant.public_only)
        return await scope_below(self._served, grant, parent_id)

    async def one(self, scope: ReadScope, entity_id: str) -> Entity:
        """An entity, as the caller may see it.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        assert scope.grant.collection == self._collection, "a scope is used where it was made"
        entity = await self._store.entity(entity_id)
        if (
            entity is None
            or entity.type != self._collection
            or entity.parent != scope.parent_id
            or (scope.public_only and not entity.public)
        ):
            raise self._served.not_found(entity_id)
        if self._parts is not None and scope.public_only:
            return self._parts.public_part(entity)
        return entity

    async def refusal(self, entity: Entity) -> str | None:
        """Code of the reason why a pending entity does not become public; None while it only waits."""
        assert entity.pending is not None, "what is public was not refused"
        return (await publications.claim_state(self._store, entity.id)).refusal

    def revision(self) -> Awaitable[int]:
        """A number that changes whenever a list of this collection may."""
        return self._store.revision(self._collection)

    async def page(
        self, scope: ReadScope, query: Query, left: Callable[[], Awaitable[object]] | None = None
    ) -> Page:
        """A page of the entities that a query selects, as the caller may see them.

        Args:
            scope: What is listed; its limits hold whatever the query says of them.
            query: Filters, order and page.
            left: Waits until the caller has left, and raises what is to end the search then.

        Raises:
            Refused: `Code.INVALID`, when it filters or sorts by an attribute that the caller may not see.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """
        assert scope.grant.collection == self._collection, "a scope is used where it was made"
        assert query.type == self._collection, "a query is of this collection"
        if query.public_only is not scope.public_only or query.parent != scope.parent_id:
            query = msgspec.structs.replace(query, public_only=scope.public_only, parent=scope.parent_id)
        caller = ListCaller(is_stranger=not scope.grant.caller.is_authenticated, left=left)
        if self._parts is None or not scope.public_only:
            return await self._store.list(query, caller)
        page = await self._store.list(self._parts.confined(query), caller)
        size_bytes = sum(map(len, page.tails)) // CHEAP
        bodies = await self._large_work.run(
            size_bytes,
            partial(self._parts.bodies, self._collection, page.bodies),
            is_stranger=caller.is_stranger,
        )
        return msgspec.structs.replace(page, tails=tuple(map(tail_of, page.ids, bodies)))

    async def expand(
        self, scope: ReadScope, bodies: Sequence[bytes], paths: Sequence[Path], depth: int
    ) -> tuple[bytes, ...]:
        """Bodies that were read, with references filled with what the caller may see of their entities.

        Args:
            scope: As for reading them.
            bodies: Stored bodies.
            paths: Where the references are, as `("category",)`.
            depth: How many rounds of all references are filled beside these.
        """
        is_stranger = not scope.grant.caller.is_authenticated
        return await self._expander.expand(
            bodies, paths, depth, public_only=scope.public_only, is_stranger=is_stranger
        )
