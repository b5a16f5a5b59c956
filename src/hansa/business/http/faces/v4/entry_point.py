"""The entry point of an API, at its base path: links to what is served, in the form of HAL."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hansa.business.http.conditional import is_named
from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.models import Api
from hansa.business.openapi.entry_points import DOCUMENT_NAME


class EntryPoint:
    """Serves the links of one API. Paths of sub-resources are templates (RFC 6570)."""

    def __init__(self, api: Api, endpoint: str) -> None:
        self.path = api.base_path
        base = endpoint.rstrip("/") + api.base_path
        links: dict[str, Any] = {
            "self": {"href": base},
            "describedby": {"href": base + DOCUMENT_NAME, "type": "application/json"},
            "hub": {"href": f"{base}hub"},
        }
        for resource in api.resources:
            link = {"href": base + resource.path}
            links[resource.name] = {**link, "templated": True} if "{" in resource.path else link
        body = msgspec.json.encode(
            {"id": api.id, "href": base, "name": api.title, "version": api.version, "_links": links}
        )
        self._tag = b'"%b"' % hashlib.sha256(body).hexdigest().encode()
        self._response = Response(200, body, (CONTENT_TYPE, (b"etag", self._tag)))

    async def retrieve(self, request: Request, _: str) -> Response:
        """GET: 200, 304, 400 or 406. It needs no token."""
        request.accept_json()
        request.check_no_parameters()
        unless = request.headers.get(b"if-none-match")
        if unless is not None and is_named(unless, self._tag):
            return Response(304, b"", ((b"etag", self._tag),))
        return self._response
