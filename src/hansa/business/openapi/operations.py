"""The operations at the paths of one resource: parameters, bodies, and every response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hansa.business.models import Api, Resource
from hansa.business.models.records import Method
from hansa.business.openapi.examples import create_example
from hansa.business.openapi.filters import filters
from hansa.business.openapi.parts import (
    ACCEPTED,
    JSON_PATCH_SCHEMA,
    Part,
    error_references,
    json_response,
    parameter_reference,
    response,
)
from hansa.business.openapi.schemas import Schemas
from hansa.business.patches import JSON_PATCH, JSON_PATCH_QUERY, MERGE_PATCH
from hansa.core.access import OPERATOR
from hansa.core.http import JSON

BEARER: Final[Part] = {"bearer": []}
_FAILURES: Final = (429, 500, 503)
_BODY_ERRORS: Final = (400, 401, 403, 404, 406, 409, 413, 414, 415, 422, 501, *_FAILURES)
_AT_VERSION: Final = ("If-Match", "If-Unmodified-Since")
_REMARKS: Final = ("Hansa-Missing", "Hansa-Publication", "Hansa-Words", "Hansa-Unresolved")
_WRITTEN: Final = ("ETag", "Last-Modified", "Hansa-Position", *_REMARKS)
MONITOR: Final = "Monitor"
"""In an API with a resource of this type, writes can be asynchronous (TMF630 Part 1, chapter 9)."""

OPERATION_TEXTS: Final[Mapping[str, str]] = {
    "list": "Returns the entities that the caller may see and that meet all conditions, a page at a time. Parameters "
    "with the name of an attribute are conditions. Without `limit` the operator's default bounds the page; `Link` leads "
    "to the others.",
    "retrieve": "Returns one entity, with an `ETag` for conditional requests. An entity that the caller may not see is "
    "answered like one that does not exist.",
    "create": "Creates an entity. What the standard requires and this marketplace can tell is completed; everything "
    "that is wrong with the body is reported at once. When the response is sent, the entity is stored for good.",
    "createSeveral": "Creates several entities in one transaction (TMF630 Part 1, section 6.2).",
    "patch": "Changes attributes of an entity by a merge patch (RFC 7396), where null removes an attribute, or by a JSON "
    "Patch (RFC 6902), also one whose paths have conditions (TMF630 Part 1). With `If-Match` it applies to that version "
    "only.",
    "replace": "Replaces all attributes of an entity but those that only this marketplace, or only a create, can set.",
    "delete": "Deletes an entity. A public one is withdrawn from the other members as well.",
    "readContent": "Returns the file that an export wrote, an entity a line or as one array.",
    "bringContent": "Uploads the file that an import reads, an entity a line or as one array; the import starts with it.",
}
"""What an operation does, by the beginning of its identifier."""


class Operations:
    """Describes the operations of one resource."""

    def __init__(self, api: Api, resource: Resource, schemas: Schemas) -> None:
        self._api = api
        self._resource = resource
        self._schemas = schemas
        self._type = resource.type
        self._is_monitored = any(one.type == MONITOR for one in api.resources)

    def at_collection(self) -> dict[str, Part]:
        """Operations by HTTP method."""
        return self._offered(
            ("get", ("list",), self._list),
            ("post", ("create",), self._create),
            ("patch", ("create",), self._create_several),
        )

    def at_item(self) -> dict[str, Part]:
        """Operations by HTTP method."""
        return self._offered(
            ("get", ("retrieve",), self._retrieve),
            ("patch", ("patch",), self._patch),
            ("put", ("patch", "replace"), self._replace),
            ("delete", ("delete",), self._delete),
        )

    def _offered(self, *ways: tuple[str, tuple[Method, ...], Callable[[], Part]]) -> dict[str, Part]:
        operations: dict[str, Part] = {}
        for verb, methods, describe in ways:
            if not {*self._resource.methods, *self._resource.operator_methods}.isdisjoint(methods):
                operations[verb] = describe()
                if set(self._resource.methods).isdisjoint(methods):
                    operations[verb] = _operators_only(operations[verb])
        return operations

    def _list(self) -> Part:
        """GET of the collection."""
        page = {"type": "array", "items": self._schemas.response(self._resource)}
        counted = (
            "X-Total-Count",
            "X-Result-Count",
            "Accept-Ranges",
            "Content-Range",
            "Link",
            "Hansa-Unindexed",
        )
        shared = ("fields", "offset", "limit", "sort", "filter", "expand", "depth", "min-position", "Range")
        below = (404,) if self._resource.parent_name is not None else ()
        return self._operation(
            "list",
            f"List {self._type} entities",
            parameters=[*map(parameter_reference, shared), *filters(self._api, self._resource)],
            responses={
                "200": json_response("Entities: all, or as many as one response holds.", page, counted),
                "206": json_response("The requested part of the list.", page, counted),
                **error_references((400, 401, 403, 406, 414, 416, 501, *_FAILURES, *below)),
            },
        )

    def _retrieve(self) -> Part:
        """GET of one entity."""
        return self._operation(
            "retrieve",
            f"Read {self._type}",
            parameters=[
                *map(parameter_reference, ("fields", "expand", "depth", "min-position")),
                *map(parameter_reference, ("If-None-Match", "If-Modified-Since")),
            ],
            responses={
                "200": json_response(
                    "The entity.",
                    self._schemas.response(self._resource),
                    ("ETag", "Last-Modified", "Hansa-Closure", "Hansa-Origin-Status"),
                ),
                "304": response(
                    "The entity is still in the version that the client has.",
                    None,
                    ("ETag", "Last-Modified", "Hansa-Closure", "Hansa-Origin-Status"),
                ),
                **error_references((400, 401, 403, 404, 406, 414, 501, *_FAILURES)),
            },
        )

    def _create(self) -> Part:
        """POST to the collection."""
        body = {
            "schema": self._schemas.create_body(self._resource),
            "example": create_example(self._api, self._resource),
        }
        entity = self._schemas.response(self._resource)
        return self._write(
            "create",
            f"Create {self._type}",
            {JSON: body},
            {"201": json_response("The new entity.", entity, (*_WRITTEN, "Location"))},
        )

    def _create_several(self) -> Part:
        """PATCH of the collection (TMF630 Part 1, section 6.2)."""
        created = self._schemas.create_body(self._resource)
        patch = {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["op", "path", "value"],
                "properties": {
                    "op": {"const": "add", "description": "Always `add`: each operation creates an entity."},
                    "path": {
                        "type": "string",
                        "const": "/",
                        "description": "Always `/`: the collection itself.",
                    },
                    "value": {**created, "description": "The entity that is created."},
                },
            },
        }
        entities = {"type": "array", "items": self._schemas.response(self._resource)}
        created_all = json_response("The new entities, in the order of the operations.", entities, _REMARKS)
        return self._operation(
            "createSeveral",
            f"Create several {self._type} entities, all of them or none",
            parameters=[*map(parameter_reference, ("fields", "Idempotency-Key"))],
            body={JSON_PATCH: {"schema": patch}},
            responses={"200": created_all, **error_references(_BODY_ERRORS)},
        )

    def _patch(self) -> Part:
        """PATCH of one entity."""
        update = {"schema": self._schemas.update_body(self._resource)}
        operations = {"schema": self._schemas.add("JsonPatch", JSON_PATCH_SCHEMA)}
        body = {MERGE_PATCH: update, JSON: update, JSON_PATCH: operations, JSON_PATCH_QUERY: operations}
        return self._write("patch", f"Change {self._type}", body, self._changed(), _AT_VERSION)

    def _replace(self) -> Part:
        """PUT of one entity."""
        body = {JSON: {"schema": self._schemas.create_body(self._resource)}}
        return self._write("replace", f"Replace {self._type}", body, self._changed(), _AT_VERSION)

    def _changed(self) -> dict[str, Part]:
        entity = self._schemas.response(self._resource)
        return {"200": json_response("The entity after the change.", entity, _WRITTEN)}

    def _delete(self) -> Part:
        """DELETE of one entity."""
        deleted = {"204": response("The entity was deleted.", None, ("Hansa-Position",))}
        return self._write("delete", f"Delete {self._type}", None, deleted, _AT_VERSION)

    def _write(
        self,
        name: str,
        summary: str,
        body: dict[str, Part] | None,
        responses: dict[str, Part],
        conditions: tuple[str, ...] = (),
    ) -> Part:
        names = (*(() if body is None else ("fields",)), *conditions, "Idempotency-Key")
        if self._is_monitored or self._is_forwarded(name):
            names = (*names, "Prefer")
            responses = {**responses, "202": ACCEPTED}
        errors = (*_BODY_ERRORS, 412) if conditions else _BODY_ERRORS
        return self._operation(
            name,
            summary,
            parameters=[*map(parameter_reference, names)],
            body=body,
            responses={**responses, **error_references(errors)},
        )

    def _is_forwarded(self, name: str) -> bool:
        """Whether an operation can be about a replica, so that it can wait for the origin of that."""
        resource = self._resource
        return name != "create" or resource.task is not None or resource.parent_name is not None

    def _operation(
        self,
        name: str,
        summary: str,
        parameters: list[Part],
        responses: dict[str, Part],
        body: dict[str, Part] | None = None,
    ) -> Part:
        is_open = name in {"list", "retrieve"} and self._resource.visibility == "catalogue"
        return {
            "operationId": operation_id(name, self._resource),
            "summary": summary,
            "description": OPERATION_TEXTS[name],
            "tags": [self._resource.name],
            "security": [{}, BEARER] if is_open else [BEARER],
            "parameters": parameters,
            **({"requestBody": {"required": True, "content": body}} if body is not None else {}),
            "responses": dict(sorted(responses.items())),
        }


def operation_id(name: str, resource: Resource) -> str:
    """As `listCatalog`; of a sub-resource with its parent, as `listTopicEvent`."""
    parts = [part for part in resource.path.split("/") if not part.startswith("{")]
    return name + "".join(part[:1].upper() + part[1:] for part in parts)


def _operators_only(operation: Part) -> Part:
    """An operation for the marketplace's own systems alone: others get 405."""
    responses = dict(sorted({**operation["responses"], **error_references((405,))}.items()))
    return {**operation, "x-hansa-role": OPERATOR, "responses": responses}
