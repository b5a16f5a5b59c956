"""The description of an API, at its base path (OpenAPI 3.1)."""

from __future__ import annotations

import hashlib

from hansa.business.http.conditional import is_named
from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.models import Api
from hansa.business.openapi import openapi_document
from hansa.business.openapi.entry_points import DOCUMENT_NAME
from hansa.core.thread_work import MadeOnce


class Description:
    """Serves the document of one API, which is made on the first request, beside the event loop."""

    def __init__(self, api: Api, endpoint: str) -> None:
        self.path = api.base_path + DOCUMENT_NAME
        self._api = api
        self._endpoint = endpoint.rstrip("/")
        self._response = MadeOnce(self._make)

    async def retrieve(self, request: Request, _: str) -> Response:
        """GET: 200, 304 or 406. It needs no token."""
        request.accept_json()
        request.check_no_parameters()
        response = await self._response.value()
        tag = dict(response.headers)[b"etag"]
        if is_named(request.headers.get(b"if-none-match", b""), tag):
            return Response(304, b"", ((b"etag", tag),))
        return response

    def _make(self) -> Response:
        body = openapi_document(self._api, self._endpoint)
        tag = b'"%b"' % hashlib.sha256(body).hexdigest().encode()
        return Response(200, body, (CONTENT_TYPE, (b"etag", tag)))
