"""Bodies that hold every attribute which a model has, for tests that need whole records of any type."""

from __future__ import annotations

from typing import Any, Final

from hansa.business.models import Api, Attribute, Resource
from hansa.core.visibility import ATTRIBUTE as VISIBLE_TO

DEPTH_MAX: Final = 6
START: Final = "2026-01-01T00:00:00Z"
END: Final = "2027-01-01T00:00:00Z"
CURRENCY: Final = "EUR"
MONEY_TYPES: Final = frozenset({"Money", "Price"})
META: Final = frozenset({"@baseType", "@schemaLocation", "@valueSchemaLocation"})
VALUES: Final[dict[str, object]] = {
    "uri": "https://provider.example/thing",
    "base64": "aGFuc2E=",
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "object": {},
}


def full_body(api: Api, resource: Resource, number: int = 1, *, server_set: bool = False) -> dict[str, Any]:
    """The body of a create with everything that it may hold.

    `number` tells the texts of one body from another's.

    `server_set` adds what only the marketplace's own systems may say.
    """
    access = {"any", "create-only"} | ({"read-only", "update-only"} if server_set else set())
    body = _object(api, resource.type, (), number)
    attributes = api.attributes_of(resource.type)
    return {
        name: value
        for name, value in body.items()
        if name not in {"id", "href"} and attributes[name].access in access
    }


def _object(api: Api, type_name: str, above: tuple[str, ...], number: int) -> dict[str, Any]:
    path = (*above, type_name)
    body: dict[str, Any] = {}
    for name, attribute in api.attributes_of(type_name).items():
        if (name in META and not attribute.is_required) or (
            (attribute.type in path or len(path) >= DEPTH_MAX)
            and attribute.type in api.types
            and not attribute.is_required
        ):
            continue
        if name == "@type":
            body[name] = type_name
        elif name == "@referredType":
            body[name] = type_name.removesuffix("RefOrValue").removesuffix("Ref")
        elif name == VISIBLE_TO:
            body[name] = ["everyone"]
        elif name in {"unit", "units"} and type_name in MONEY_TYPES:
            body[name] = CURRENCY
        else:
            value = _value(api, attribute, path, number)
            body[name] = [value] * max(1, attribute.items_min) if attribute.is_list else value
    return body


def _value(api: Api, attribute: Attribute, path: tuple[str, ...], number: int) -> object:
    kind, name = attribute.type, attribute.name
    if kind in api.types:
        return _object(api, kind, path, number)
    if kind in api.lists:
        positions = api.lists[kind]
        return [_value(api, positions, path, number)] * max(1, positions.items_min)
    if values := api.enumerations.get(kind):
        return values[(number - 1) % len(values)]
    if kind == "date-time":
        return END if "end" in name.lower() else START
    return VALUES.get(kind, f"{name}-{number}")
