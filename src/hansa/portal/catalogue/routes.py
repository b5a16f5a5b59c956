"""Which page of the catalogue is at which path.

/                       the front page
/search                 hits and facets; JSON by `hansa.api.search`
/offerings/{id}         an offering; `quantity.ID=` of its prices for a preview
/offerings/{id}/pictures/{number}
                        a picture of it (`hansa.portal.catalogue.pictures`)
/providers/{id}         who offers
/categories             the tree; /categories/{id} one of them
/specifications/{id}, /catalogues/{id}, /prices/{id}
                        what offerings are made of; /entities/{id} of any type
                        (`hansa.portal.catalogue.details`)
/compare, /favourites   the offerings of `pick=`, side by side or as a list; `q=` finds another one to add
/feed.atom              what is new
/sitemap.xml, /robots.txt
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.query.paging import number
from hansa.business.search.request import OFFSET_MAX, search_request
from hansa.business.search.results import FacetSelection, Named, SearchPage, SearchRequest
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.portal.catalogue.categories import (
    CategoriesPage,
    CategoryPage,
    category_tree,
    lone_category,
    search_in,
)
from hansa.portal.catalogue.comparison import COMPARED_MAX, ComparisonPage, comparison_page, picks
from hansa.portal.catalogue.details.routes import DetailPages
from hansa.portal.catalogue.favourites import FAVOURITES_PATH, Favourites
from hansa.portal.catalogue.feeds import (
    ATOM_MEDIA_TYPE,
    SITEMAP_MAX,
    XML_MEDIA_TYPE,
    FeedEntry,
    atom_feed,
    sitemap,
)
from hansa.portal.catalogue.fields import NO_FIELDS, Fields, path_of, text_in
from hansa.portal.catalogue.home import HomePage, home_page, newest_offerings
from hansa.portal.catalogue.offering.page import ALIKE_MAX, Offering, OfferingPage, alike, offering_of
from hansa.portal.catalogue.offering.prices import preview, quantities_in, unusable
from hansa.portal.catalogue.offering.structured import structured_data
from hansa.portal.catalogue.origins import KnownOrigins, Provenance
from hansa.portal.catalogue.page_cache import PageCache
from hansa.portal.catalogue.pictures.loading import SERVED_TYPE, Pictures
from hansa.portal.catalogue.providers import OFFERINGS_SHOWN, provider_page
from hansa.portal.catalogue.reading import OFFERING, ORGANIZATION, CatalogueReads, fields_of
from hansa.portal.catalogue.search_page import (
    PICKED_MAX,
    SearchView,
    ShownHit,
    failed_search,
    search_parts,
    search_view,
)
from hansa.portal.frame import Frame
from hansa.store import Entity, Filter, Query, SortKey

PICTURE_HEADERS: Final = {
    "Cache-Control": "private, max-age=600",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
CATEGORIES_CACHED_MAX: Final = 512
FEED_MAX: Final = 50
FEW: Final = 12
"""Offerings on the page of a category or a provider; the others are a search away."""
SHOWN_MAX: Final = 70
"""Favourites on their page: those that are stored, and those of its address."""
ADDABLE_MAX: Final = 8
"""Offerings among which one is chosen to add."""


class CatalogueSearch(Protocol):
    """What answers searches."""

    async def page(
        self, caller: Caller, request: SearchRequest, left: Callable[[], Awaitable[object]] | None = None
    ) -> SearchPage:
        """See `hansa.business.search.answering.Search.page`."""


class CataloguePages:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        reads: The entities.
        searches: Answers searches.
        origins: Knows where entities come from.
        endpoint: Where this marketplace is reached.
        limits: Of queries.
        version: A number that every change of the store changes.
        clock: For the age of pages that are there.
        favourites: Of whoever is logged in; None: lists are in URLs alone.
        pictures: Loads those of offerings; None: none are shown.
    """

    def __init__(
        self,
        frame: Frame,
        reads: CatalogueReads,
        searches: CatalogueSearch,
        origins: KnownOrigins,
        endpoint: str,
        limits: Limits,
        version: Callable[[], Awaitable[int]],
        clock: Clock,
        favourites: Favourites | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self._pictures = pictures
        self._favourites = favourites
        self._frame = frame
        self._pages = PageCache(frame, reads.caller, version, clock)
        self.cache: Final = self._pages.cache
        self.search: Final = self._pages.handler(self._search)
        """`GET /search`, for people."""
        self.alike_cache: Final[Cache[str, tuple[int, tuple[Named, ...]]]] = Cache(
            "alike_offerings", CATEGORIES_CACHED_MAX
        )
        """Some offerings of a category, as strangers see them; each with the revision of the collection."""
        self._reads = reads
        self._searches = searches
        self._origins = origins
        self._endpoint = endpoint
        self._limits = limits
        self._details = DetailPages(frame, reads, origins, self._few)

    def routes(self) -> list[BaseRoute]:
        """All of them but `/search`, which is also JSON."""
        handler = self._pages.handler
        return [
            Route("/", handler(self.home)),
            Route("/offerings/{id}", handler(self.offering)),
            *([Route("/offerings/{id}/pictures/{number}", self.picture)] if self._pictures else ()),
            Route("/providers/{id}", handler(self.provider)),
            Route("/categories", handler(self.categories)),
            Route("/categories/{id}", handler(self.category)),
            *self._details.routes(handler),
            Route("/compare", handler(self.compare)),
            Route("/favourites", handler(self.favourites)),
            *(self._favourites.routes() if self._favourites else ()),
            Route("/feed.atom", handler(self.feed)),
            Route("/sitemap.xml", handler(self.sitemap)),
            Route("/robots.txt", self.robots),
        ]

    async def home(self, request: Request) -> Response:
        """`GET /`."""
        try:
            newest = await self._searches.page(self._reads.caller(request), newest_offerings())
            page = home_page(newest, self._origins, await self._favourites_of(request))
        except Unavailable as error:
            page = HomePage(0, (), (), (), problem=error.message)
        return self._frame.negotiated(request, "home.html", page, remember=True)

    async def _search(self, request: Request) -> Response:
        query, pairs, picked = search_parts(request.scope["query_string"])
        status = 200
        try:
            search = search_request(query, self._limits)
            result = await self._searches.page(self._reads.caller(request), search)
            page: SearchView = search_view(
                result, pairs, picked, self._origins, await self._favourites_of(request)
            )
        except (Refused, Unavailable) as error:
            wait_s = round(error.retry_after_s) if isinstance(error, Unavailable) else None
            page, status = failed_search(pairs, picked, error.message, wait_s), error.http_status or 400
        return self._frame.response(request, "search.html", page, status=status, remember=True)

    async def offering(self, request: Request) -> Response:
        """`GET /offerings/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller = self._reads.caller(request)
        entity = await self._reads.one(caller, OFFERING, request.path_params["id"])
        quantities = quantities_in(request.query_params)
        fields = fields_of(entity)
        offering = await offering_of(self._reads, caller, entity.id, fields, quantities)
        provenance = await self._origins.provenance(entity)
        canonical = (provenance.endpoint or self._endpoint) + offering.path
        page = OfferingPage(
            offering=offering,
            provenance=provenance,
            history=await self._origins.history(entity),
            alike=await self._alike(caller, offering),
            totals=preview(offering.plans),
            unusable=unusable(offering.plans),
            canonical=canonical,
            structured=structured_data(offering, canonical) if entity.public else {},
            api=self._reads.address(entity),
            is_favourite=await self._is_favourite(request, entity.id),
            pictures=await self._pictures.shown(entity.id, fields) if self._pictures else (),
        )
        return self._frame.negotiated(request, "offering.html", page, remember=True)

    async def picture(self, request: Request) -> Response:
        """`GET /offerings/{id}/pictures/{number}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: `Code.OVERLOADED`.
        """
        assert self._pictures is not None, "there is a route only with it"
        text = request.path_params["number"]
        index = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
        caller = self._reads.caller(request)
        entity = await self._reads.one(caller, OFFERING, request.path_params["id"])
        content = await self._pictures.picture(fields_of(entity), index)
        return Response(content, media_type=SERVED_TYPE, headers=PICTURE_HEADERS)

    async def _is_favourite(self, request: Request, entity_id: str) -> bool | None:
        """Whether an offering is one of whoever looks; None: that is not known here."""
        stored = await self._favourites_of(request)
        return None if stored is None else entity_id in stored

    async def _favourites_of(self, request: Request) -> tuple[str, ...] | None:
        """The favourites of whoever looks; None: they are in URLs alone."""
        return await self._favourites.of(request) if self._favourites else None

    async def provider(self, request: Request) -> Response:
        """`GET /providers/{id}`: also of organisations that are only referred to.

        Raises:
            Refused: `Code.NOT_FOUND`, when nothing is known of it.
        """
        caller, entity_id = self._reads.caller(request), request.path_params["id"]
        entity: Entity | None = None
        fields: Fields = NO_FIELDS
        try:
            entity = await self._reads.one(caller, ORGANIZATION, entity_id)
            fields = fields_of(entity)
        except Refused as error:
            if error.code is not Code.NOT_FOUND:
                raise
        offset = number("offset", request.query_params.getlist("offset") or None, 0, OFFSET_MAX)
        selection = FacetSelection("provider", (entity_id,))
        hits, result = await self._selected(request, selection, offset, OFFERINGS_SHOWN)
        if entity is None and not result.total:
            raise Refused(Code.NOT_FOUND, "No organisation of this identifier offers anything here.")
        if entity is None:
            fields = {"tradingName": _provider_name(hits, entity_id)}
        provenance: Provenance | None = await self._origins.provenance(entity) if entity else None
        certificates = await self._origins.certificates(provenance.did) if provenance else None
        page = provider_page(entity_id, fields, hits, result, provenance, certificates)
        return self._frame.negotiated(request, "provider.html", page, remember=True)

    async def categories(self, request: Request) -> Response:
        """`GET /categories`."""
        tree = await category_tree(self._reads, self._reads.caller(request))
        page = CategoriesPage(tree.roots, tree.total, tree.total > len(tree.by_id))
        return self._frame.negotiated(request, "categories.html", page, remember=True)

    async def category(self, request: Request) -> Response:
        """`GET /categories/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        caller, entity_id = self._reads.caller(request), request.path_params["id"]
        tree = await category_tree(self._reads, caller)
        node = tree.by_id.get(entity_id)
        if node is None:
            node = await lone_category(self._reads, caller, entity_id)
        hits, total = await self._few(request, FacetSelection("category", (entity_id,)))
        above = tree.by_id.get(tree.parents.get(entity_id, ""))
        page = CategoryPage(node, above, hits, total, search_in(entity_id))
        return self._frame.negotiated(request, "category.html", page, remember=True)

    async def compare(self, request: Request) -> Response:
        """`GET /compare`."""
        page = await self._picked(request, COMPARED_MAX, "/compare", "/favourites")
        return self._frame.negotiated(request, "comparison.html", page)

    async def favourites(self, request: Request) -> Response:
        """`GET /favourites`."""
        stored = await self._favourites_of(request)
        if stored is None:
            page = await self._picked(request, PICKED_MAX, FAVOURITES_PATH, "/compare")
        else:
            page = await self._picked(request, SHOWN_MAX, FAVOURITES_PATH, "/compare", stored)
            page = msgspec.structs.replace(page, stored=stored)
        return self._frame.negotiated(request, "favourites.html", page)

    async def feed(self, _: Request) -> Response:
        """`GET /feed.atom`."""
        result = await self._searches.page(ANONYMOUS, newest_offerings(FEED_MAX))
        entries = [
            FeedEntry(
                hit.id,
                hit.name.text,
                self._endpoint + path_of("offerings", hit.id),
                hit.updated or "",
                hit.description.text if hit.description else "",
                hit.provider.name if hit.provider else self._origins.name(hit.origin),
            )
            for hit in result.hits
        ]
        title = self._frame.branding.name
        return Response(atom_feed(title, self._endpoint, entries), media_type=ATOM_MEDIA_TYPE)

    async def sitemap(self, _: Request) -> Response:
        """`GET /sitemap.xml`: the newest offerings; each page names that of its origin as canonical."""
        launched = Filter(("lifecycleStatus",), ("Launched",))
        newest = SortKey(("lastUpdate",), descending=True)
        query = Query(OFFERING, (launched,), (newest,), limit=SITEMAP_MAX)
        fields, _total = await self._reads.page(ANONYMOUS, query)
        pages = ["/", "/categories", *(path_of("offerings", text_in(one, "id")) for one in fields)]
        return Response(sitemap(self._endpoint + path for path in pages), media_type=XML_MEDIA_TYPE)

    async def robots(self, _: Request) -> Response:
        """`GET /robots.txt`."""
        rules = "User-agent: *\nDisallow: /search?\nDisallow: /compare?\nDisallow: /favourites?\nDisallow: /preferences\n"
        return Response(f"{rules}Sitemap: {self._endpoint}/sitemap.xml\n", media_type="text/plain")

    async def _few(self, request: Request, selection: FacetSelection) -> tuple[tuple[ShownHit, ...], int]:
        """Some offerings of a selection, and how many there are."""
        hits, result = await self._selected(request, selection)
        return hits, result.total

    async def _selected(
        self, request: Request, selection: FacetSelection, offset: int = 0, limit: int = FEW
    ) -> tuple[tuple[ShownHit, ...], SearchPage]:
        """Some offerings of a selection, to be shown, and what the search brought."""
        only = (FacetSelection("type", (OFFERING,)), selection)
        search = SearchRequest(selections=only, sort="newest", offset=offset, limit=limit)
        result = await self._searches.page(self._reads.caller(request), search)
        favourites = await self._favourites_of(request)
        return search_view(result, (), (), self._origins, favourites).hits, result

    async def _alike(self, caller: Caller, offering: Offering) -> tuple[Named, ...]:
        if not offering.categories:
            return ()
        category = offering.categories[0].id
        try:
            revision = await self._reads.revision(OFFERING)
            known = self.alike_cache.get(category) if caller == ANONYMOUS else None
            if known is None or known[0] != revision:
                known = revision, await alike(self._reads, caller, category)
                if caller == ANONYMOUS:
                    self.alike_cache.put(category, known)
        except Unavailable:
            return ()  # the page is about another offering, and is whole without them
        return tuple(one for one in known[1] if one.id != offering.id)[:ALIKE_MAX]

    async def _picked(
        self, request: Request, count_max: int, path: str, other: str, stored: tuple[str, ...] = ()
    ) -> ComparisonPage:
        """The offerings that a request names, and those that are stored; and what matches to add one."""
        caller = self._reads.caller(request)
        _, _, named = search_parts(request.scope["query_string"])
        picked = tuple(dict.fromkeys((*named, *stored)))
        columns = []
        for entity_id in picked[:count_max]:
            try:
                entity = await self._reads.one(caller, OFFERING, entity_id)
            except Refused:
                continue  # the page says how many are not here
            offering = await offering_of(self._reads, caller, entity.id, fields_of(entity))
            columns.append((offering, self._origins.name(entity.origin)))
        page = comparison_page(columns, picked[:count_max], path, other)
        text = request.query_params.get("q", "")[:200]
        if not text:
            return page
        try:
            only = (FacetSelection("type", (OFFERING,)),)
            search = SearchRequest(text, only, limit=ADDABLE_MAX, is_typing=True)
            result = await self._searches.page(caller, search)
        except HansaError:
            return msgspec.structs.replace(page, text=text)
        hits = search_view(result, (), picked, self._origins).hits
        adding = tuple((one, picks(path, (*named, one.hit.id))) for one in hits if not one.is_picked)
        return msgspec.structs.replace(page, text=text, hits=adding)


def _provider_name(hits: tuple[ShownHit, ...], entity_id: str) -> str:
    named = (one.hit.provider for one in hits)
    return next((one.name for one in named if one is not None and one.id == entity_id), entity_id)
