"""All routes of the portal.

    /about         this marketplace and its league
    /preferences   sets language and theme
    /static/…      style, script and pictures
    /docs          all APIs
    /docs/errors   what the codes of errors mean
    /docs/league   `/league/v1`, health and figures
    /docs/streams  what this marketplace sends
    /docs/{api}    one API, to read and to try
    /favicon.svg   the icon of every page, and at `/favicon.ico`

Those of the catalogue are in `hansa.portal.catalogue.routes`. What a page about an API holds is made when
it is requested, beside the event loop and once for all who request it meanwhile; the latest stay in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.models import Api, Models
from hansa.business.openapi import openapi_document
from hansa.core.cache import Cache
from hansa.core.error_meanings import MEANINGS
from hansa.core.errors import HTTP_STATUS, Code, Refused
from hansa.core.thread_work import MadeOnce
from hansa.portal.about import AboutPage, Overview
from hansa.portal.docs import ApiEntry, DocsPage, DocsPages, ErrorEntry
from hansa.portal.frame import Frame
from hansa.portal.frame.assets import ASSETS_PATH

PAGES_MAX_BYTES: Final = 8 * 1024 * 1024
"""Of the pages of documentation that stay in memory."""


class LeagueDocuments(Protocol):
    """The descriptions of what is no TM Forum API, as the pages need them."""

    async def openapi(self) -> bytes:
        """OpenAPI, of the league."""

    async def asyncapi(self) -> bytes:
        """AsyncAPI, of the streams."""


class PortalRoutes:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        models: The APIs that are served.
        endpoint: Where they are served.
        overview: The state of the marketplace now.
        descriptions: Of the league and of the streams.
    """

    def __init__(
        self,
        frame: Frame,
        models: Models,
        endpoint: str,
        overview: Callable[[], Awaitable[Overview]],
        descriptions: LeagueDocuments,
    ) -> None:
        self._frame = frame
        self._name = frame.branding.name
        self._docs = DocsPages(frame.plain_environment())
        self._apis = {api.id.lower(): api for api in models.apis}
        self._endpoint = endpoint
        self._overview = overview
        self._descriptions = descriptions
        self.cache: Final[Cache[str, DocsPage]] = Cache(
            "docs_pages", PAGES_MAX_BYTES, size_of=lambda page: len(page.content)
        )
        self._making: dict[str, MadeOnce[DocsPage]] = {}
        """Pages that are being made, each once for all who wait for it; no more than there are pages."""

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/about", self.about),
            Route("/preferences", self._frame.preferences),
            Route(ASSETS_PATH, self._frame.assets.serve),
            Route("/docs", self.index),
            Route("/docs/errors", self.errors),
            Route("/docs/league", self.league),
            Route("/docs/streams", self.streams),
            Route("/docs/{api}", self.api),
            Route("/favicon.svg", self._frame.assets.icon),
            Route("/favicon.ico", self._frame.assets.icon),
        ]

    async def about(self, request: Request) -> Response:
        """`GET /about`."""
        state = msgspec.structs.asdict(await self._overview())
        return self._frame.negotiated(request, "about.html", AboutPage(**state, apis=len(self._apis)))

    async def index(self, request: Request) -> Response:
        """`GET /docs`."""
        apis = (
            ApiEntry(api.id, api.title, api.version, api.base_path, tuple(one.name for one in api.resources))
            for api in self._apis.values()
        )
        return await self._cached(request, "index", lambda: self._docs.index(self._name, apis))

    async def errors(self, request: Request) -> Response:
        """`GET /docs/errors`: the `referenceError` of error bodies leads here."""
        codes = (ErrorEntry(code.value, status, MEANINGS[code]) for code, status in HTTP_STATUS.items())
        return await self._cached(request, "errors", lambda: self._docs.errors(codes))

    async def api(self, request: Request) -> Response:
        """`GET /docs/{api}`: one API by its number, as `TMF620`, in any case.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        name = request.path_params["api"].lower()
        api = self._apis.get(name)
        if api is None:
            raise Refused(Code.NOT_FOUND, "No API with this number is served; /docs lists those that are.")
        return await self._cached(request, name, lambda: self._api_page(api))

    async def league(self, request: Request) -> Response:
        """`GET /docs/league`: `/league/v1`, health and figures."""
        document = await self._descriptions.openapi()
        address = "/league/v1/openapi.json"
        return await self._cached(
            request, "league", lambda: self._docs.api(msgspec.json.decode(document), address)
        )

    async def streams(self, request: Request) -> Response:
        """`GET /docs/streams`: what this marketplace sends."""
        document = await self._descriptions.asyncapi()
        address = "/league/v1/asyncapi.json"
        return await self._cached(
            request, "streams", lambda: self._docs.streams(msgspec.json.decode(document), address)
        )

    async def _cached(self, request: Request, name: str, make: Callable[[], DocsPage]) -> Response:
        page = self.cache.get(name)
        if page is None:
            page = await self._making.setdefault(name, MadeOnce(make)).value()
            self._making.pop(name, None)
            self.cache.put(name, page)
        return self._frame.response(request, "docs/page.html", page)

    def _api_page(self, api: Api) -> DocsPage:
        return self._docs.api(msgspec.json.decode(openapi_document(api, self._endpoint)))
