"""All routes of the portal.

    /              the front page
    /docs          all APIs
    /docs/errors   what the codes of errors mean
    /docs/league   `/league/v1`, health and figures
    /docs/streams  what this marketplace sends
    /docs/{api}    one API, to read and to try
    /favicon.svg   the icon of every page, and at `/favicon.ico`

A page about an API is made when it is requested, beside the event loop; the latest stay in memory.
"""

from __future__ import annotations

import asyncio
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
from hansa.portal.docs import DOCS, ApiEntry, ErrorEntry, api_page, errors_page, index_page, streams_page
from hansa.portal.front_page import FRONT, Overview, front_page
from hansa.portal.html import static

ICON_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'"}


PAGES_MAX_BYTES: Final = 8 * 1024 * 1024
"""Of the pages about APIs that stay in memory."""


class LeagueDocuments(Protocol):
    """The descriptions of what is no TM Forum API, as the pages need them."""

    async def openapi(self) -> bytes:
        """OpenAPI, of the league."""

    async def asyncapi(self) -> bytes:
        """AsyncAPI, of the streams."""


class PortalRoutes:
    """Handlers of these paths.

    Args:
        name: Of the marketplace.
        models: The APIs that it serves.
        endpoint: Where it serves them.
        overview: Its state now.
        descriptions: Of the league and of the streams.
    """

    def __init__(
        self,
        name: str,
        models: Models,
        endpoint: str,
        overview: Callable[[], Awaitable[Overview]],
        descriptions: LeagueDocuments,
    ) -> None:
        self._name = name
        self._apis = {api.id.lower(): api for api in models.apis}
        self._endpoint = endpoint
        self._overview = overview
        self._descriptions = descriptions
        self.cache: Final[Cache[str, bytes]] = Cache("docs_pages", PAGES_MAX_BYTES, size_of=len)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/", self.front),
            Route("/docs", self.index),
            Route("/docs/errors", self.errors),
            Route("/docs/league", self.league),
            Route("/docs/streams", self.streams),
            Route("/docs/{api}", self.api),
            Route("/favicon.svg", self.icon),
            Route("/favicon.ico", self.icon),
        ]

    async def front(self, _: Request) -> Response:
        """`GET /`."""
        return FRONT.response(front_page(await self._overview(), len(self._apis)))

    async def index(self, _: Request) -> Response:
        """`GET /docs`."""
        apis = (
            ApiEntry(api.id, api.title, api.version, api.base_path, tuple(one.name for one in api.resources))
            for api in self._apis.values()
        )
        return DOCS.response(index_page(self._name, apis))

    async def errors(self, _: Request) -> Response:
        """`GET /docs/errors`: the `referenceError` of error bodies leads here."""
        codes = (ErrorEntry(code.value, status, MEANINGS[code]) for code, status in HTTP_STATUS.items())
        return DOCS.response(errors_page(self._name, codes))

    async def api(self, request: Request) -> Response:
        """`GET /docs/{api}`: one API by its number, as `TMF620`, in any case.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        name = request.path_params["api"].lower()
        api = self._apis.get(name)
        if api is None:
            raise Refused(Code.NOT_FOUND, "No API with this number is served; /docs lists those that are.")
        return await self._cached(name, lambda: self._api_page(api))

    async def league(self, _: Request) -> Response:
        """`GET /docs/league`: `/league/v1`, health and figures."""
        document = await self._descriptions.openapi()
        return await self._cached(
            "league", lambda: api_page(self._name, msgspec.json.decode(document), "/league/v1/openapi.json")
        )

    async def streams(self, _: Request) -> Response:
        """`GET /docs/streams`: what this marketplace sends."""
        document = await self._descriptions.asyncapi()
        return await self._cached(
            "streams",
            lambda: streams_page(self._name, msgspec.json.decode(document), "/league/v1/asyncapi.json"),
        )

    async def icon(self, _: Request) -> Response:
        """`GET /favicon.svg`."""
        return Response(static("favicon.svg"), media_type="image/svg+xml", headers=ICON_HEADERS)

    async def _cached(self, name: str, make: Callable[[], bytes]) -> Response:
        page = self.cache.get(name)
        if page is None:
            page = await asyncio.to_thread(make)
            self.cache.put(name, page)
        return DOCS.response(page)

    def _api_page(self, api: Api) -> bytes:
        return api_page(self._name, msgspec.json.decode(openapi_document(api, self._endpoint)))
