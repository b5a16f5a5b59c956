"""The routes below `/docs`: pages about the APIs, made when they are first asked for."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.business.models import Api, Models
from hansa.business.openapi import openapi_document
from hansa.core.error_response import REASONS
from hansa.core.errors import HTTP_STATUS, Code, Refused
from hansa.portal import ApiEntry, ErrorCode, api_page, docs_headers, errors_page, index_page


class DocsRoutes:
    """Handlers of these paths."""

    def __init__(self, name: str, models: Models, endpoint: str) -> None:
        self._name = name
        self._apis = {api.id.lower(): api for api in models.apis}
        self._endpoint = endpoint
        self._pages: dict[str, bytes] = {}
        """At most one for each API."""

    def routes(self) -> list[BaseRoute]:
        """Everything that this object answers."""
        return [
            Route("/docs", self.index),
            Route("/docs/errors", self.errors),
            Route("/docs/{api}", self.api),
        ]

    async def index(self, _: Request) -> Response:
        """All APIs."""
        apis = (
            ApiEntry(api.id, api.title, api.version, api.base_path, tuple(one.name for one in api.resources))
            for api in self._apis.values()
        )
        return _page(index_page(self._name, apis))

    async def errors(self, _: Request) -> Response:
        """What the codes of errors mean; error bodies refer to it."""
        codes = (ErrorCode(str(code), status, REASONS[code]) for code, status in HTTP_STATUS.items())
        return _page(errors_page(self._name, codes))

    async def api(self, request: Request) -> Response:
        """One API, by its name, as `TMF620`."""
        name = request.path_params["api"].lower()
        api = self._apis.get(name)
        if api is None:
            raise Refused(Code.NOT_FOUND, "No API of that name is served; /docs lists them.")
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = await asyncio.to_thread(self._made, api)
        return _page(page)

    def _made(self, api: Api) -> bytes:
        return api_page(self._name, msgspec.json.decode(openapi_document(api, self._endpoint)))


def _page(body: bytes) -> Response:
    return Response(body, media_type="text/html", headers=docs_headers())
