"""All routes of the portal.

    /              the front page
    /docs          all APIs
    /docs/errors   what the codes of errors mean
    /docs/{api}    one API, to read and to try

A page about an API is made when it is first requested, and stays in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.models import Api, Models
from hansa.business.openapi import openapi_document
from hansa.core.error_meanings import MEANINGS
from hansa.core.errors import HTTP_STATUS, Code, Refused
from hansa.portal.docs import DOCS, ApiEntry, ErrorEntry, api_page, errors_page, index_page
from hansa.portal.front_page import FRONT, Overview, front_page


class PortalRoutes:
    """Handlers of these paths.

    Args:
        name: Of the marketplace.
        models: The APIs that it serves.
        endpoint: Where it serves them.
        overview: Its state now.
    """

    def __init__(
        self, name: str, models: Models, endpoint: str, overview: Callable[[], Awaitable[Overview]]
    ) -> None:
        self._name = name
        self._apis = {api.id.lower(): api for api in models.apis}
        self._endpoint = endpoint
        self._overview = overview
        self._api_pages: dict[str, bytes] = {}
        """At most one for each API."""

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/", self.front),
            Route("/docs", self.index),
            Route("/docs/errors", self.errors),
            Route("/docs/{api}", self.api),
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
        page = self._api_pages.get(name)
        if page is None:
            page = self._api_pages[name] = await asyncio.to_thread(self._api_page, api)
        return DOCS.response(page)

    def _api_page(self, api: Api) -> bytes:
        return api_page(self._name, msgspec.json.decode(openapi_document(api, self._endpoint)))
