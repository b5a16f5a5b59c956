"""Which page of what offerings are made of is at which path.

/specifications/{id}   of a product, a service or a resource
/catalogues/{id}       of products, services or resources
/prices/{id}
/entities/{id}         of any type; leads to the page that the type has of its own
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.search.results import FacetSelection, Named
from hansa.core.access import Caller
from hansa.core.errors import Code, Refused, Unavailable
from hansa.portal.catalogue.details.anything import entity_page
from hansa.portal.catalogue.details.pages import (
    catalogue_page,
    price_page,
    specification_page,
)
from hansa.portal.catalogue.fields import named, path_of, references_in
from hansa.portal.catalogue.offering.prices import component_references
from hansa.portal.catalogue.origins import KnownOrigins
from hansa.portal.catalogue.reading import (
    CATALOGUES,
    OFFERING,
    PRICE,
    SPECIFICATION,
    SPECIFICATIONS,
    CatalogueReads,
    fields_of,
)
from hansa.portal.catalogue.search_page import PAGE_PATHS, ShownHit
from hansa.portal.frame import Frame
from hansa.portal.frame.people import see
from hansa.store import Entity, Filter, Query

USERS_MAX: Final = 50
SELECTED_MAX: Final = 40
"""Categories of a catalogue by which its offerings are searched."""

Handler = Callable[[Request], Awaitable[Response]]
Few = Callable[[Request, FacetSelection], Awaitable[tuple[tuple[ShownHit, ...], int]]]


class DetailPages:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        reads: The entities.
        origins: Knows where entities come from.
        few: Some offerings of a selection, and how many there are.
    """

    def __init__(self, frame: Frame, reads: CatalogueReads, origins: KnownOrigins, few: Few) -> None:
        self._frame = frame
        self._reads = reads
        self._origins = origins
        self._few = few

    def routes(self, handler: Callable[[Handler], Handler]) -> list[BaseRoute]:
        """All of them, each behind the cache of pages."""
        return [
            Route("/specifications/{id}", handler(self.specification)),
            Route("/catalogues/{id}", handler(self.catalogue)),
            Route("/prices/{id}", handler(self.price)),
            Route("/entities/{id}", handler(self.anything)),
        ]

    async def specification(self, request: Request) -> Response:
        """`GET /specifications/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller = self._reads.caller(request)
        entity = await self._one(caller, SPECIFICATIONS, request.path_params["id"], "specification")
        if entity.type == SPECIFICATION:
            users, total = await self._using(caller, OFFERING, ("productSpecification", "id"), entity.id)
        else:
            attribute = entity.type[:1].lower() + entity.type[1:]
            users, total = await self._using(caller, SPECIFICATION, (attribute, "id"), entity.id)
        page = specification_page(
            *(entity.type, fields_of(entity), users, total),
            *(await self._origins.provenance(entity), self._reads.address(entity)),
        )
        return self._frame.negotiated(request, "catalogue/specification.html", page)

    async def catalogue(self, request: Request) -> Response:
        """`GET /catalogues/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller = self._reads.caller(request)
        entity = await self._one(caller, CATALOGUES, request.path_params["id"], "catalogue")
        fields = fields_of(entity)
        ids = tuple(one.id for one in references_in(fields, "category"))[:SELECTED_MAX]
        hits: tuple[ShownHit, ...] = ()
        total = 0
        if ids:
            with suppress(Unavailable):  # the page is about the catalogue, and its categories lead on
                hits, total = await self._few(request, FacetSelection("category", ids))
        search = f"/search?{urlencode([('type', OFFERING), *(('category', each) for each in ids)])}"
        provenance = await self._origins.provenance(entity)
        page = catalogue_page(fields, hits, total, search, provenance, self._reads.address(entity))
        return self._frame.negotiated(request, "catalogue/catalogue.html", page)

    async def price(self, request: Request) -> Response:
        """`GET /prices/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller = self._reads.caller(request)
        entity = await self._one(caller, (PRICE,), request.path_params["id"], "price")
        fields = fields_of(entity)
        components = await self._reads.some(caller, PRICE, component_references([fields]))
        offerings, total = await self._using(caller, OFFERING, ("productOfferingPrice", "id"), entity.id)
        page = price_page(
            *(fields, components, offerings, total),
            *(await self._origins.provenance(entity), self._reads.address(entity)),
        )
        return self._frame.negotiated(request, "catalogue/price.html", page)

    async def anything(self, request: Request) -> Response:
        """`GET /entities/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller = self._reads.caller(request)
        entity = await self._reads.anything(caller, request.path_params["id"])
        pages = PAGE_PATHS.get(entity.type)
        if pages is not None:
            return see(path_of(pages, entity.id))
        page = entity_page(
            *(entity.type, fields_of(entity)),
            *(await self._origins.provenance(entity), self._reads.address(entity)),
            is_public=entity.public,
        )
        return self._frame.negotiated(request, "catalogue/entity.html", page)

    async def _one(self, caller: Caller, collections: Iterable[str], entity_id: str, what: str) -> Entity:
        for collection in collections:
            try:
                return await self._reads.one(caller, collection, entity_id)
            except Refused as error:
                if error.code is not Code.NOT_FOUND:
                    raise
        raise Refused(Code.NOT_FOUND, f"There is no {what} of this identifier here, or you may not see it.")

    async def _using(
        self, caller: Caller, collection: str, path: tuple[str, ...], entity_id: str
    ) -> tuple[tuple[Named, ...], int]:
        """What refers to an entity, and how many there are; none where that cannot be looked up now."""
        try:
            query = Query(collection, (Filter(path, (entity_id,)),), limit=USERS_MAX)
            fields, total = await self._reads.page(caller, query)
        except Unavailable:
            return (), 0
        return tuple(map(named, fields)), total
