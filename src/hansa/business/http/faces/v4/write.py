"""POST, PUT, PATCH and DELETE of version 4 (TMF630 Part 1, chapters 5 to 7)."""

from __future__ import annotations

from hansa.business.context import Context
from hansa.business.http.conditional import preconditions
from hansa.business.http.faces.v4.requested import requested_fields
from hansa.business.http.faces.v4.response import WriteResponses, position_headers
from hansa.business.http.faces.v4.terms import write_terms
from hansa.business.http.messages import JSON_TYPES, Request, Response
from hansa.business.operations.api_operations import ResourceOperations
from hansa.business.patches import JSON_PATCH, MEDIA_TYPES, created_entities


class WriteHandler:
    """Answers the writes of one resource."""

    def __init__(self, operations: ResourceOperations, context: Context) -> None:
        self._served = operations.served
        self._create = operations.create
        self._update = operations.update
        self._delete = operations.delete
        self._authenticate = context.authenticate
        self._responses = WriteResponses(operations.served, context.withheld_by)

    async def create(self, request: Request, _: str) -> Response:
        """POST to the collection: 201, 400, 401, 403, 404, 409, 413 or 415."""
        grant = self._create.authorize(self._authenticate(request.headers))
        request.accept_json()
        fields = requested_fields(self._served, request)
        request.media_type(JSON_TYPES)
        present = self._responses.created if fields is None else self._responses.created_with(fields)
        content = await request.content()
        terms = write_terms(request)
        return await self._create.one_as(grant, content, request.parent_id, present, terms)

    async def create_several(self, request: Request, _: str) -> Response:
        """PATCH of the collection, a JSON Patch that adds entities: all or none (TMF630 Part 1, 6.2)."""
        grant = self._create.authorize(self._authenticate(request.headers))
        request.accept_json()
        fields = requested_fields(self._served, request)
        request.media_type((JSON_PATCH,))
        bodies = created_entities(await request.value(), request.limits)
        terms = write_terms(request)
        results = await self._create.several(grant, bodies, request.parent_id, terms)
        return self._responses.several(results, request.parent_id, fields)

    async def replace(self, request: Request, entity_id: str) -> Response:
        """PUT of one entity: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        grant = self._update.authorize(self._authenticate(request.headers))
        request.accept_json()
        fields = requested_fields(self._served, request)
        body = await request.json()
        result = await self._update.replace(
            *(grant, entity_id, body, request.parent_id),
            *(preconditions(request.headers), write_terms(request)),
        )
        return self._responses.changed(result, fields)

    async def patch(self, request: Request, entity_id: str) -> Response:
        """PATCH of one entity, in any of four forms: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        grant = self._update.authorize(self._authenticate(request.headers))
        request.accept_json()
        fields = requested_fields(self._served, request)
        form = request.media_type(MEDIA_TYPES)
        patch = await request.value()
        result = await self._update.patch(
            *(grant, entity_id, form, patch, request.parent_id),
            *(preconditions(request.headers), write_terms(request)),
        )
        return self._responses.changed(result, fields)

    async def delete(self, request: Request, entity_id: str) -> Response:
        """DELETE of one entity: 204, 400, 401, 403, 404, 409 or 412."""
        grant = self._delete.authorize(self._authenticate(request.headers))
        request.check_no_parameters()
        position = await self._delete.delete(
            *(grant, entity_id, request.parent_id),
            *(preconditions(request.headers), write_terms(request)),
        )
        return Response(204, b"", position_headers(position))
