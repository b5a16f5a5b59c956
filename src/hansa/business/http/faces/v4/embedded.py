"""GET of sub-resources that stand in an attribute of their parent."""

from __future__ import annotations

import msgspec

from hansa.business.context import Context
from hansa.business.http.faces.v4.requested import requested_fields
from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.operations.embedded import EmbeddedReadOperation
from hansa.business.query import list_request
from hansa.business.served_resource import ServedResource


class EmbeddedReadHandler:
    """Answers GET for one such sub-resource."""

    def __init__(self, served: ServedResource, operation: EmbeddedReadOperation, context: Context) -> None:
        self._served = served
        self._operation = operation
        self._authenticate = context.authenticate
        self._limits = context.limits

    async def list(self, request: Request, _: str) -> Response:
        """GET of the collection: 200, 206, 400, 401, 404 or 406. In the parent's order, unless sorted."""
        request.accept_json()
        scope = await self._operation.scope(self._authenticate(request.headers), request.parent_id)
        representation = self._served.representation(request.parent_id)
        requested = list_request(
            request.query_string,
            self._served.api,
            self._served.resource,
            representation.collection,
            self._limits,
            public_only=scope.public_only,
            parent=request.parent_id,
        )
        page = await self._operation.page(scope, requested.query)
        headers = (
            CONTENT_TYPE,
            (b"x-total-count", b"%d" % page.total),
            (b"x-result-count", b"%d" % len(page.elements)),
        )
        body = representation.listed(
            [element["id"] for element in page.elements],
            [msgspec.json.encode(element) for element in page.elements],
            requested.fields,
        )
        is_part = 0 < len(page.elements) < page.total
        return Response(206 if requested.is_paged and is_part else 200, body, headers)

    async def retrieve(self, request: Request, entity_id: str) -> Response:
        """GET of one: 200, 400, 401, 404 or 406."""
        request.accept_json()
        scope = await self._operation.scope(self._authenticate(request.headers), request.parent_id)
        fields = requested_fields(self._served, request)
        element = await self._operation.one(scope, entity_id)
        representation = self._served.representation(request.parent_id)
        body = representation.listed([entity_id], [msgspec.json.encode(element)], fields)[1:-1]
        return Response(200, body, (CONTENT_TYPE,))
