"""The description of one API as a document: paths, components, and what is said once for all of them."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from hansa.business.http import CONTENT_TYPE, JSON, Answer, Request
from hansa.business.models import Api, Resource
from hansa.business.openapi.operations import BEARER, Operations
from hansa.business.openapi.parts import (
    ERROR_SCHEMA,
    HEADERS,
    PARAMETERS,
    SUBSCRIPTION_INPUT_SCHEMA,
    SUBSCRIPTION_SCHEMA,
    Part,
    error_references,
    error_responses,
    header_reference,
    parameter_reference,
    path_parameter,
)
from hansa.business.openapi.schemas import Schemas, reference

VERSION: Final = "3.1.0"
DOCUMENT_NAME: Final = "openapi.json"
_encode = msgspec.json.Encoder().encode


def openapi_document(api: Api, endpoint: str) -> bytes:
    """The OpenAPI 3.1 document of what is served for an API, always the same bytes for the same model.

    `endpoint` is where this marketplace is reached, without a trailing slash.
    """
    schemas = Schemas(api)
    error = schemas.add("Error", ERROR_SCHEMA)
    paths: dict[str, Part] = {}
    for resource in api.resources:
        paths.update(_paths(api, resource, schemas))
    paths.update(_hub_paths(api, schemas))
    document = {
        "openapi": VERSION,
        "info": {
            "title": f"{api.id} {api.title}",
            "version": api.version,
            "description": "What this marketplace serves of the TM Forum Open API. HEAD works wherever GET does, and "
            "OPTIONS everywhere. In bodies, an attribute that is null counts as not set.",
        },
        "servers": [{"url": endpoint + api.base_path.rstrip("/")}],
        "security": [BEARER],
        "tags": [{"name": name} for name in dict.fromkeys([*(r.name for r in api.resources), "hub"])],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": dict(PARAMETERS),
            "headers": dict(HEADERS),
            "responses": error_responses(error),
            "schemas": schemas.components(),
        },
    }
    return _encode(document)


def _paths(api: Api, resource: Resource, schemas: Schemas) -> dict[str, Part]:
    """The path of the collection, and that of one entity, with the operations that are served there."""
    operations = Operations(api, resource, schemas)
    parents = [
        path_parameter(name, f"Identifier of the {resource.parent_name}.")
        for name in re.findall(r"\{(\w+)\}", resource.path)
    ]
    own = path_parameter("id", f"Identifier of the {resource.name}.")
    found: dict[str, Part] = {}
    for path, parameters, here in (
        (f"/{resource.path}", parents, operations.at_collection()),
        (f"/{resource.path}/{{id}}", [*parents, own], operations.at_item()),
    ):
        if here:
            found[path] = {**({"parameters": parameters} if parameters else {}), **here}
    return found


def _hub_paths(api: Api, schemas: Schemas) -> dict[str, Part]:
    """The hub, where listeners register."""
    one = schemas.add("EventSubscription", SUBSCRIPTION_SCHEMA)
    given = schemas.add("EventSubscriptionInput", SUBSCRIPTION_INPUT_SCHEMA)

    def operation(name: str, summary: str, responses: dict[str, Part], **more: Any) -> Part:
        return {"operationId": name, "summary": summary, "tags": ["hub"], **more, "responses": responses}

    def answer(text: str, schema: Part, *headers: str) -> Part:
        named = {name: header_reference(name) for name in headers}
        return {
            "description": text,
            **({"headers": named} if named else {}),
            "content": {JSON: {"schema": schema}},
        }

    usual = (401, 429, 500, 503)
    collection = {
        "get": operation(
            "listListeners",
            "List registrations",
            {
                "200": answer(
                    "Registrations of this caller; an operator sees all.",
                    {"type": "array", "items": one},
                    "X-Total-Count",
                    "X-Result-Count",
                ),
                **error_references((400, 406, *usual)),
            },
            parameters=[parameter_reference("offset"), parameter_reference("limit")],
        ),
        "post": operation(
            "registerListener",
            "Register a listener",
            {
                "201": answer("The registration.", one, "Location"),
                **error_references((400, 403, 406, 409, 413, 415, *usual)),
            },
            requestBody={"required": True, "content": {JSON: {"schema": given}}},
            callbacks={"event": {"{$request.body#/callback}": {"post": _event_operation(api, schemas)}}},
        ),
    }
    item = {
        "parameters": [path_parameter("id", "Identifier of the registration.")],
        "get": operation(
            "retrieveListener",
            "Read a registration",
            {"200": answer("The registration.", one), **error_references((400, 404, 406, *usual))},
        ),
        "delete": operation(
            "unregisterListener",
            "End a registration",
            {"204": {"description": "The registration is gone."}, **error_references((400, 404, *usual))},
        ),
    }
    return {"/hub": collection, "/hub/{id}": item}


def _event_operation(api: Api, schemas: Schemas) -> Part:
    """What a listener is sent."""
    names = [event for resource in api.resources for event in resource.events]
    contents = {resource.name: reference(resource.type) for resource in api.resources if resource.events}
    for resource in api.resources:
        schemas.answered(resource)
    schema = {
        "type": "object",
        "required": ["eventId", "eventTime", "eventType", "event"],
        "properties": {
            "eventId": {"type": "string"},
            "eventTime": {"type": "string", "format": "date-time"},
            "eventType": {"type": "string", **({"enum": list(dict.fromkeys(names))} if names else {})},
            "event": {"type": "object", "properties": contents},
        },
    }
    return {
        "operationId": "receiveEvent",
        "summary": "Take an event",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schemas.add("EventNotification", schema)}},
        },
        "responses": {"2XX": {"description": "The listener has it; anything else is sent again."}},
    }


class Description:
    """Serves the document of one API; it is made when it is first asked for."""

    def __init__(self, api: Api, endpoint: str) -> None:
        self.path = api.base_path + DOCUMENT_NAME
        self._api = api
        self._endpoint = endpoint.rstrip("/")
        self._answer: Answer | None = None

    async def retrieve(self, request: Request, _: str) -> Answer:
        """GET: 200, 304 or 406. It needs no token."""
        request.accept_json()
        if self._answer is None:
            body = openapi_document(self._api, self._endpoint)
            tag = b'"%b"' % hashlib.sha256(body).hexdigest().encode()
            self._answer = Answer(200, body, (CONTENT_TYPE, (b"etag", tag), (b"cache-control", b"no-cache")))
        tag = dict(self._answer.headers)[b"etag"]
        if request.headers.get(b"if-none-match") == tag:
            return Answer(304, b"", ((b"etag", tag),))
        return self._answer
