"""The description of one API as a document: paths, components, and what is said once for all of them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.models import Api, Resource
from hansa.business.openapi.hubs import HubPaths
from hansa.business.openapi.job_contents import content_paths
from hansa.business.openapi.operations import BEARER, Operations
from hansa.business.openapi.parts import (
    ERROR_SCHEMA,
    HEADERS,
    PARAMETERS,
    Part,
    error_responses,
    path_parameter,
)
from hansa.business.openapi.schemas import Schemas

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
    paths.update(content_paths(api))
    paths.update(HubPaths(api, schemas).paths())
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
        (f"/{resource.path}/{{id}}/content", [*parents, own], operations.at_content()),
    ):
        if here:
            found[path] = {**({"parameters": parameters} if parameters else {}), **here}
    return found


class Description:
    """Serves the document of one API; it is made when it is first asked for."""

    def __init__(self, api: Api, endpoint: str) -> None:
        self.path = api.base_path + DOCUMENT_NAME
        self._api = api
        self._endpoint = endpoint.rstrip("/")
        self._answer: Response | None = None

    async def retrieve(self, request: Request, _: str) -> Response:
        """GET: 200, 304 or 406. It needs no token."""
        request.accept_json()
        if self._answer is None:
            body = openapi_document(self._api, self._endpoint)
            tag = b'"%b"' % hashlib.sha256(body).hexdigest().encode()
            self._answer = Response(
                200, body, (CONTENT_TYPE, (b"etag", tag), (b"cache-control", b"no-cache"))
            )
        tag = dict(self._answer.headers)[b"etag"]
        if request.headers.get(b"if-none-match") == tag:
            return Response(304, b"", ((b"etag", tag),))
        return self._answer
