"""Reads entities on behalf of whoever looks at a page: what a person may not see does not exist for them.

A page can be made of hundreds of entities, each as large as one may be. After each that is large others are
let in, so that no page has all of its entities decoded in one turn of the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request

from hansa.business.operations.api_operations import ApiOperations
from hansa.core.access import ANONYMOUS, Authenticate, Caller
from hansa.core.errors import Code, Refused
from hansa.core.http import headers_of
from hansa.core.lazy_mapping import LazyMapping
from hansa.core.yielding import Yielding
from hansa.portal.catalogue.fields import ITEMS_MAX, Fields
from hansa.store import Entity, Query

OFFERING: Final = "ProductOffering"
PRICE: Final = "ProductOfferingPrice"
SPECIFICATION: Final = "ProductSpecification"
CATEGORY: Final = "Category"
ORGANIZATION: Final = "Organization"
SPECIFICATIONS: Final = (SPECIFICATION, "ServiceSpecification", "ResourceSpecification")
CATALOGUES: Final = ("Catalog", "ServiceCatalog", "ResourceCatalog")
SHOWN_COLLECTIONS: Final = frozenset({OFFERING, PRICE, CATEGORY, ORGANIZATION, *SPECIFICATIONS, *CATALOGUES})


class CatalogueReads:
    """The entities that the pages show.

    Args:
        operations: Of all APIs.
        authenticate: Finds out who looks.
        entity: An entity by its identifier, whoever may see it; to learn of which type it is.
    """

    def __init__(
        self,
        operations: Iterable[ApiOperations],
        authenticate: Authenticate,
        entity: Callable[[str], Awaitable[Entity | None]],
    ) -> None:
        apis = {collection: api for api in operations for collection in api.by_collection}
        self._operations = LazyMapping(apis, lambda collection: apis[collection][collection])
        self._reads = LazyMapping(apis, lambda collection: self._operations[collection].read)
        assert self._reads.keys() >= SHOWN_COLLECTIONS, "the catalogue has all of them"
        self._authenticate = authenticate
        self._entity = entity
        self._yielding = Yielding()

    def caller(self, request: Request) -> Caller:
        """Who looks; whoever has a token or session that is over is a stranger, and sees what all see."""
        try:
            return self._authenticate(headers_of(request.headers.raw))
        except Refused:
            return ANONYMOUS

    def address(self, entity: Entity) -> str:
        """The path of an entity in the TM Forum API."""
        return self._operations[entity.type].served.path_of(entity.id, entity.parent)

    async def one(self, caller: Caller, collection: str, entity_id: str) -> Entity:
        """An entity.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        read = self._reads[collection]
        entity = await read.one(await read.scope(caller), entity_id)
        await self._yielding.after(len(entity.body))
        return entity

    async def anything(self, caller: Caller, entity_id: str) -> Entity:
        """An entity of whatever type.

        Raises:
            Refused: `Code.NOT_FOUND`; also when whoever looks may see none of its type.
        """
        known = await self._entity(entity_id)
        read = self._reads.get(known.type) if known is not None else None
        try:
            if known is not None and read is not None:
                entity = await read.one(await read.scope(caller, known.parent), entity_id)
                await self._yielding.after(len(entity.body))
                return entity
        except Refused as error:
            if error.code not in {Code.NOT_FOUND, Code.UNAUTHENTICATED, Code.FORBIDDEN}:
                raise
        raise Refused(Code.NOT_FOUND, "There is nothing of this identifier here, or you may not see it.")

    async def some(self, caller: Caller, collection: str, ids: Iterable[str]) -> dict[str, Fields]:
        """Those of some entities that are here and that the caller may see."""
        read = self._reads[collection]
        scope = await read.scope(caller)
        fields: dict[str, Fields] = {}
        for entity_id in tuple(dict.fromkeys(ids))[:ITEMS_MAX]:
            try:
                entity = await read.one(scope, entity_id)
                fields[entity_id] = fields_of(entity)
                await self._yielding.after(len(entity.body))
            except Refused as error:
                if error.code is not Code.NOT_FOUND:
                    raise
        return fields

    async def page(self, caller: Caller, query: Query) -> tuple[tuple[Fields, ...], int]:
        """Entities that a query selects, and how many there are in all.

        Raises:
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """
        read = self._reads[query.type]
        page = await read.page(await read.scope(caller), query)
        return await decoded_one_by_one(page.bodies, self._yielding), page.total

    async def revision(self, collection: str) -> int:
        """A number that changes whenever the entities of a collection may have."""
        return self._reads[collection].revision()


async def decoded_one_by_one(bodies: Iterable[bytes], yielding: Yielding) -> tuple[Fields, ...]:
    """The attributes of stored bodies; others are let in between large ones."""
    decoded: list[Fields] = []
    for body in bodies:
        decoded.append(decoded_fields(body))
        await yielding.after(len(body))
    return tuple(decoded)


def fields_of(entity: Entity) -> Fields:
    """The attributes of an entity."""
    return decoded_fields(entity.body)


def decoded_fields(body: bytes) -> Fields:
    """The attributes of a stored body."""
    fields: Mapping[str, Any] = msgspec.json.decode(body)
    return fields
