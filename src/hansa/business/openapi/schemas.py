"""JSON schemas of the bodies of an API's requests and responses, made from its model.

A type has up to four forms, named as TM Forum names them:

    Category          in a response; only `id` and `href` are required, since `fields` can omit the others
    Category_Create   the body of a create, and of a replacement
    Category_Update   the body of a merge patch: nothing is required, and null removes an attribute
    CategoryRef_FVO   a whole value within such a body, where the document requires parts of it

Objects may have further attributes: types are extended (TMF630 Part 2), and unknown attributes are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hansa.business.descriptions import Descriptions
from hansa.business.models import Api, Attribute, Resource
from hansa.business.validation.shapes import NO_URI

Schema = dict[str, Any]

PRIMITIVE_SCHEMAS: Final[Mapping[str, Schema]] = {
    "string": {"type": "string"},
    "uri": {"type": "string", "pattern": f"^[^{NO_URI}]*$"},
    "date-time": {"type": "string", "format": "date-time"},
    "base64": {"type": "string", "contentEncoding": "base64"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "object": {"type": "object"},
    "any": {},
}
ADDRESSED: Final = ("id", "href")
"""Attributes of every entity in a response."""


def reference(name: str) -> Schema:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


class Schemas:
    """The component schemas of one API; each is made when something refers to it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._texts = Descriptions(api)
        self._made: dict[str, Schema] = {}
        self._strict = _strict(api)
        self._served = frozenset(resource.type for resource in api.resources)
        self._nested = {item.type for name in api.types for item in api.attributes_of(name).values()} | {
            item.type for item in api.lists.values()
        }

    def components(self) -> dict[str, Schema]:
        """All schemas that were referred to, by name."""
        return dict(sorted(self._made.items()))

    def add(self, name: str, schema: Schema) -> Schema:
        """A reference to a schema of our own; the name of a type of the API is left to that type."""
        while name in self._api.types or name in self._api.enumerations or name in self._api.lists:
            name += "_"
        self._made.setdefault(name, schema)
        return reference(name)

    def response(self, resource: Resource) -> Schema:
        """An entity in a response."""
        schema = self._response_type(resource.type)
        if resource.type in self._nested:  # as a value in another entity it has no address
            return {**schema, "required": list(ADDRESSED)}
        self._made[resource.type].setdefault("required", list(ADDRESSED))
        return schema

    def create_body(self, resource: Resource) -> Schema:
        """The body of a create."""
        attributes = self._settable(resource, {"read-only", "update-only"}, {"href"}, {"id"})
        demanded = self._api.demanded_in_create(resource)
        required = [item.name for item in attributes if item.name in demanded]
        schema: Schema = {
            "type": "object",
            **self._about(resource.type),
            "properties": {
                item.name: self._described(resource.type, item, self._value(item, whole=True))
                for item in attributes
            },
        }
        return self.add(f"{resource.type}_Create", {**schema, **({"required": required} if required else {})})

    def update_body(self, resource: Resource) -> Schema:
        """The body of a merge patch (RFC 7396)."""
        attributes = self._settable(resource, {"read-only", "create-only"}, {"id", "href"}, set())
        properties = {
            item.name: self._described(
                resource.type,
                item,
                _nullable(self._value(item, whole=item.is_list or item.type in self._api.lists)),
            )
            for item in attributes
        }
        schema = {"type": "object", **self._about(resource.type), "properties": properties}
        return self.add(f"{resource.type}_Update", schema)

    def _settable(
        self, resource: Resource, closed: set[str], never: set[str], always: set[str]
    ) -> list[Attribute]:
        stamped = {*resource.stamped_on_create, *resource.stamped_on_write}
        return [
            item
            for item in self._api.attributes_of(resource.type).values()
            if item.name in always
            or (item.access not in closed and item.name not in stamped and item.name not in never)
        ]

    def _response_type(self, name: str) -> Schema:
        """A type in a response."""
        if name not in self._made:
            self._made[name] = {}  # types refer to each other, and to themselves
            self._made[name] = self._definition(name, whole=False)
        return reference(name)

    def _request_type(self, name: str) -> Schema:
        """The type as a whole value within the body of a request."""
        if name not in self._strict or name in self._served:  # attributes of a create are not required there
            return self._response_type(name)
        component = f"{name}_FVO"
        if component not in self._made:
            self._made[component] = {}
            self._made[component] = self._definition(name, whole=True)
        return reference(component)

    def _definition(self, name: str, *, whole: bool) -> Schema:
        about = self._about(name)
        if name in self._api.enumerations:
            values = self._api.enumerations[name]
            return {"type": "string", **about, **({"enum": list(values)} if values else {})}
        if name in self._api.lists:
            return {**self._value(self._api.lists[name], whole=whole), **about}
        attributes = self._api.attributes_of(name)
        properties = {
            item.name: self._described(name, item, self._attribute(item, whole=whole))
            for item in attributes.values()
        }
        required = [item.name for item in attributes.values() if item.is_required] if whole else []
        return {
            "type": "object",
            **about,
            "properties": properties,
            **({"required": required} if required else {}),
        }

    def _about(self, name: str) -> Schema:
        """The description of a type; nothing for a type without one."""
        text = self._texts.of_type(name)
        return {"description": text} if text is not None else {}

    def _described(self, type_name: str, item: Attribute, schema: Schema) -> Schema:
        """The schema of an attribute with what the attribute means."""
        text = self._texts.of_attribute(type_name, item)
        if text is None:
            return schema
        examples: Schema = {"examples": list(text.examples)} if text.examples else {}
        return {**schema, "description": text.description, **examples}

    def _attribute(self, item: Attribute, *, whole: bool) -> Schema:
        schema = self._value(item, whole=whole)
        if whole:
            return schema
        more: Schema = {"readOnly": True} if item.access == "read-only" else {}
        if item.default is not None:
            more["default"] = item.default
        return {**schema, **more}

    def _value(self, item: Attribute, *, whole: bool) -> Schema:
        """The value of an attribute; only whole values bound arrays, since `fields` can omit elements."""
        primitive = PRIMITIVE_SCHEMAS.get(item.type)
        if primitive is not None:
            one = dict(primitive)
        else:
            one = self._request_type(item.type) if whole else self._response_type(item.type)
        if not item.is_list:
            return one
        schema: Schema = {"type": "array", "items": one}
        if whole and item.items_min:
            schema["minItems"] = item.items_min
        if item.items_max is not None:
            schema["maxItems"] = item.items_max
        return schema


def _nullable(schema: Schema) -> Schema:
    if not schema:
        return schema
    if "type" in schema and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _strict(api: Api) -> frozenset[str]:
    """Types of which a whole value has required parts."""
    strict = {
        name
        for name in api.types
        if any(item.is_required or item.items_min for item in api.attributes_of(name).values())
    } | {name for name, item in api.lists.items() if item.items_min}
    uses: dict[str, Iterable[str]] = {
        **{name: {item.type for item in api.attributes_of(name).values()} for name in api.types},
        **{name: {item.type} for name, item in api.lists.items()},
    }
    while True:
        more = {name for name, used in uses.items() if name not in strict and not strict.isdisjoint(used)}
        if not more:
            return frozenset(strict)
        strict |= more
