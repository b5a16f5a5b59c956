"""The description of an API, at its base path (OpenAPI 3.1)."""

from __future__ import annotations

import hashlib
from typing import Final

from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.models import Api
from hansa.business.openapi import openapi_document

DOCUMENT_NAME: Final = "openapi.json"


class Description:
    """Serves the document of one API, which is made on the first request."""

    def __init__(self, api: Api, endpoint: str) -> None:
        self.path = api.base_path + DOCUMENT_NAME
        self._api = api
        self._endpoint = endpoint.rstrip("/")
        self._response: Response | None = None

    async def retrieve(self, request: Request, _: str) -> Response:
        """GET: 200, 304 or 406. It needs no token."""
        request.accept_json()
        request.check_no_parameters()
        if self._response is None:
            body = openapi_document(self._api, self._endpoint)
            tag = b'"%b"' % hashlib.sha256(body).hexdigest().encode()
            self._response = Response(200, body, (CONTENT_TYPE, (b"etag", tag)))
        tag = dict(self._response.headers)[b"etag"]
        if request.headers.get(b"if-none-match") == tag:
            return Response(304, b"", ((b"etag", tag),))
        return self._response
