"""Reading: one entity, and pages of lists (TMF630 Part 1, chapter 4).

Entities of private types, and drafts of types with a lifecycle, exist only for callers that may read them;
for others they are neither found nor listed nor counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from hansa.business.context import Context
from hansa.business.operations.expansion import Path, ReferenceExpander
from hansa.business.rights.bound import BoundRule, condition_of
from hansa.business.rights.reading import EntityReader
from hansa.business.served_resource import ServedResource
from hansa.business.visibility import PublicParts
from hansa.core.access import Action, Caller, Grant, ReadReach
from hansa.core.cache import Cache
from hansa.core.thread_work import CHEAP
from hansa.store import Condition, Entity, ListCaller, Page, Query
from hansa.store.records import tail_of
from hansa.store.tables import publications

_READ: Final = Action.READ
CONDITIONS_MAX: Final = 256
"""Of callers with rights to some entities, for one collection."""


class ReadScope(msgspec.Struct, frozen=True):
    """What a caller may read: a collection; of a sub-resource, the part below one parent."""

    grant: Grant
    public_only: bool
    """Whether the caller sees only what is public."""
    parent_id: str | None = None
    parent: Entity | None = None
    bound: BoundRule | None = None
    """Which entities, when it is not all of them."""
    reach: ReadReach | None = None
    """The same, as it can be looked up."""

    @property
    def reader(self) -> str | None:
        """Another text for another part of the same collection; None: there is one for everybody."""
        return None if self.reach is None else self.reach.key


async def scope_below(served: ServedResource, grant: Grant, parent_id: str | None) -> ReadScope:
    """What a caller may read below a parent.

    Raises:
        Refused: `Code.NOT_FOUND`, when there is no such parent.
    """
    public_only = grant.public_only and grant.rule is None
    parent = await served.check_parent(parent_id, public_only=public_only)
    if grant.rule is None or parent is None:
        return ReadScope(grant, grant.public_only, parent_id, parent)
    public_only = not await served.sees_all_below(grant.caller, parent)
    return ReadScope(grant, public_only, parent_id, parent)


class ReadOperation:
    """Reads the entities of one resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._store = context.store
        self._collection = served.resource.collection
        self._has_parent = served.parent is not None
        self._expander = ReferenceExpander(context)
        self._large_work = context.large_work
        self._context = context
        self._conditions: Cache[str, Condition] = Cache("access_conditions", CONDITIONS_MAX)
        parts = PublicParts(context.models)
        self._parts = parts if parts.has_private(self._collection) else None

    async def scope(self, caller: Caller, parent_id: str | None = None) -> ReadScope:
        """What a caller may read, of a sub-resource below that parent.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`; `Code.NOT_FOUND`, when there is no such parent.
        """
        grant = self._served.authorize(caller, _READ)
        if not self._has_parent:
            if grant.rule is None:
                return ReadScope(grant, grant.public_only)
            bound = await self._served.bound(grant)
            assert bound is not None, "the grant has a rule"
            return ReadScope(grant, public_only=False, bound=bound, reach=bound.reach())
        return await scope_below(self._served, grant, parent_id)

    def scope_at_once(self, caller: Caller) -> ReadScope | None:
        """What a caller may read, if that is decided by nothing that is stored; else None.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`.
        """
        if self._has_parent or caller.organization is not None:
            return None
        grant = self._served.authorize(caller, _READ)
        return ReadScope(grant, grant.public_only) if grant.rule is None else None

    async def one(self, scope: ReadScope, entity_id: str) -> Entity:
        """An entity, as the caller may see it.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        return self.shown(scope, entity_id, await self._store.entity(entity_id))

    def cached(self, entity_id: str) -> Entity | None:
        """The entity of that identifier, of whatever type, if it is in memory; for `shown` alone."""
        return self._store.cached_entity(entity_id)

    def shown(self, scope: ReadScope, entity_id: str, entity: Entity | None) -> Entity:
        """What the caller may see of the entity that has this identifier; None: there is none.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        assert scope.grant.collection == self._collection, "a scope is used where it was made"
        if (
            entity is None
            or entity.type != self._collection
            or entity.parent != scope.parent_id
            or (scope.public_only and not entity.public)
        ):
            raise self._served.not_found(entity_id)
        if scope.bound is not None and not scope.bound.admits(entity):
            raise self._served.not_found(entity_id)
        if self._parts is not None and not self._sees_private_part(scope, entity.body):
            return self._parts.public_part(entity)
        return entity

    def _sees_private_part(self, scope: ReadScope, body: bytes) -> bool:
        if scope.bound is None:
            return not scope.public_only
        return scope.bound.sees_private_part(body)

    async def refusal(self, entity: Entity) -> str | None:
        """Code of the reason why a pending entity does not become public; None while it only waits."""
        assert entity.pending is not None, "what is public was not refused"
        return (await publications.claim_state(self._store, entity.id)).refusal

    def revision(self) -> int:
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
        is_whole = not scope.public_only and scope.bound is None
        parts = None if is_whole else self._parts
        if parts is not None:
            query = parts.confined(query)
        if scope.bound is not None and scope.reach is not None:
            readable = self._condition(scope.reach, scope.bound)
            query = msgspec.structs.replace(query, filters=(*query.filters, readable))
        page = await self._store.list(query, caller)
        if parts is None:
            return page
        size_bytes = sum(map(len, page.tails)) // CHEAP

        def shown() -> tuple[bytes, ...]:
            return tuple(
                body if self._sees_private_part(scope, body) else parts.body(self._collection, body)
                for body in page.bodies
            )

        bodies = await self._large_work.run(size_bytes, shown, is_stranger=caller.is_stranger)
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
        caller = scope.grant.caller
        reader = None
        if scope.grant.rule is not None:
            aliases = await self._served.aliases_of(caller)
            reader = EntityReader(caller, aliases, self._context, self._expander.parts)
        return await self._expander.expand(
            bodies,
            paths,
            depth,
            public_only=scope.public_only,
            is_stranger=not caller.is_authenticated,
            reader=reader,
        )

    def _condition(self, reach: ReadReach, bound: BoundRule) -> Condition:
        """What a caller may read, the same object for the same reach: what is planned for it is cached."""
        condition = self._conditions.get(reach.key)
        if condition is None:
            condition = condition_of(reach, bound.target)
            self._conditions.put(reach.key, condition)
        return condition
