"""The OpenAPI document of one API: its paths, components, and general parts."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hansa.business.descriptions import Descriptions
from hansa.business.models import Api, Resource
from hansa.business.openapi.entry_points import entry_paths
from hansa.business.openapi.hubs import HubPaths
from hansa.business.openapi.job_contents import content_paths
from hansa.business.openapi.links import add_links
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
ABOUT: Final = (
    "What this marketplace serves of the TM Forum Open API. HEAD works wherever GET does, and OPTIONS everywhere. "
    "In bodies, an attribute that is null counts as not set. What is required and left out is completed where the "
    "marketplace can tell it; what its meaning hangs on is demanded; the rest is accepted, and `Hansa-Missing` names "
    "it, unless the operator demands everything. A path that has no method of that name answers 405."
)
BEARER_SCHEME: Final[Part] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of this marketplace, as `hansa token` makes it; its role decides what it may do.",
}
HUB_TEXT: Final = (
    "Listeners to which this marketplace posts events, their delivery, and what was not delivered."
)
API_TEXT: Final = "The API itself: where everything is, and this description."
_encode = msgspec.json.Encoder().encode


def openapi_document(api: Api, endpoint: str) -> bytes:
    """The OpenAPI 3.1 document of what is served of an API; the same bytes for the same model.

    `endpoint` is the address of this marketplace, without a trailing slash.
    """
    schemas = Schemas(api)
    error = schemas.add("Error", ERROR_SCHEMA)
    paths = entry_paths()
    for resource in api.resources:
        paths.update(_paths(api, resource, schemas))
    paths.update(content_paths(api))
    paths.update(HubPaths(api, schemas).paths())
    add_links(paths)
    document = {
        "openapi": VERSION,
        "info": {
            "title": f"{api.id} {api.title}",
            "version": api.version,
            "description": ABOUT,
        },
        "servers": [{"url": endpoint + api.base_path.rstrip("/")}],
        "security": [BEARER],
        "tags": _tags(api),
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": BEARER_SCHEME},
            "parameters": dict(PARAMETERS),
            "headers": dict(HEADERS),
            "responses": error_responses(error),
            "schemas": schemas.components(),
        },
    }
    return _encode(document)


def _tags(api: Api) -> list[Part]:
    """A tag for each resource, which says what it is, one for the hub, and one for the API itself."""
    texts = Descriptions(api)
    about = {resource.name: texts.of_type(resource.type) for resource in api.resources}
    about |= {"hub": HUB_TEXT, "api": API_TEXT}
    return [{"name": name, **({"description": text} if text else {})} for name, text in about.items()]


def _paths(api: Api, resource: Resource, schemas: Schemas) -> dict[str, Part]:
    """The paths of a resource: of the collection, and of one entity."""
    operations = Operations(api, resource, schemas)
    parents = [
        path_parameter(name, f"Identifier of the {resource.parent_name}.")
        for name in re.findall(r"\{(\w+)\}", resource.path)
    ]
    own = path_parameter("id", f"Identifier of the {resource.name}.")
    paths: dict[str, Part] = {}
    for path, parameters, served in (
        (f"/{resource.path}", parents, operations.at_collection()),
        (f"/{resource.path}/{{id}}", [*parents, own], operations.at_item()),
    ):
        if served:
            paths[path] = {**({"parameters": parameters} if parameters else {}), **served}
    return paths
