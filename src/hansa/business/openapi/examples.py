"""An example body of a create: the required attributes, with plain values that are valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from hansa.business.models import Api, Attribute, Resource

DEPTH_MAX: Final = 6
"""Depth to which required attributes are filled in."""
READABLE: Final = ("name", "description")
"""Attributes that make an example readable although they are optional."""

_VALUES: Final[Mapping[str, Any]] = {
    "string": "example",
    "uri": "https://example.com/about",
    "date-time": "2026-01-31T12:00:00Z",
    "base64": "ZXhhbXBsZQ==",
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "object": {},
    "any": "example",
}


def create_example(api: Api, resource: Resource) -> dict[str, Any]:
    """A body that creates an entity of a resource."""
    writable = {
        name: item
        for name, item in api.attributes_of(resource.type).items()
        if item.access in {"any", "create-only"} and name not in {"id", "href"}
    }
    shown = [name for name in READABLE if name in writable and writable[name].type == "string"]
    names = [name for name, item in writable.items() if item.is_required or name in shown]
    return {name: _value(api, writable[name], 1) for name in names}


def _value(api: Api, item: Attribute, depth: int) -> Any:
    one = _one(api, item, depth)
    return [one] * max(1, item.items_min) if item.is_list else one


def _one(api: Api, item: Attribute, depth: int) -> Any:
    if item.type in _VALUES:
        return item.name if item.type == "string" and item.name.startswith("@") else _VALUES[item.type]
    if item.type in api.enumerations:
        return next(iter(api.enumerations[item.type]), "example")
    if item.type in api.lists:
        return _value(api, api.lists[item.type], depth + 1)
    if depth >= DEPTH_MAX:
        return {}
    attributes = api.attributes_of(item.type).values()
    required = {one.name: _value(api, one, depth + 1) for one in attributes if one.is_required}
    return required or {one.name: _value(api, one, depth + 1) for one in _one_plain(attributes)}


def _one_plain(attributes: Iterable[Attribute]) -> list[Attribute]:
    """One attribute for an object without required ones, so that it is not empty."""
    plain = (
        one for one in attributes if one.type == "string" and not one.name.startswith(("@", "id", "href"))
    )
    return list(islice(plain, 1))
