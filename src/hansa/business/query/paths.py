"""Attribute paths: a dotted name in a query, resolved in the model.

A path may go through arrays. Below an attribute of type `any` or `object` it may have any names, since the
model does not say what is there. Every object may have `@type` and its companions (TMF630 Part 2,
polymorphism), and every entity has `id` and `href`, whether or not the document lists them. What a type that
extends another has beyond that is an attribute too: an entity of the collection may be of that type.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final, NamedTuple

from hansa.business.models import Api, Attribute, Resource
from hansa.core.errors import Code, Refused

Path = tuple[str, ...]

OPEN_TYPES: Final = frozenset({"any", "object"})
"""Types below which a path may have any names."""

_OF_EVERY_OBJECT: Final = {
    name: Attribute(name, "string") for name in ("@type", "@baseType", "@schemaLocation", "@referredType")
}
_OF_EVERY_ENTITY: Final = {"id": Attribute("id", "string"), "href": Attribute("href", "uri")}


class ResolvedPath(NamedTuple):
    """A path in the model."""

    path: Path
    type: str
    """Type of the attribute at its end; `any` below an attribute of an open type."""
    lists: tuple[bool, ...]
    """For each name of the path, whether it holds an array; ends where the path goes beyond the model."""
    is_declared: bool
    """Whether the model has every name of the path."""


class NoSuchAttribute(Exception):
    """A path has a name that the model does not."""

    def __init__(self, name: str, where: str, nearest: list[str]) -> None:
        super().__init__(name)
        self.name = name
        self.where = where
        self.nearest = nearest

    def __str__(self) -> str:
        suggestion = f" Did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        return f"{self.where} has no {self.name!r}.{suggestion}"


def resolve_path(text: str, api: Api, type_name: str) -> ResolvedPath:
    """Resolve a dotted name, from an entity of that type.

    Raises:
        NoSuchAttribute: The model has no such path.
    """
    path = tuple(text.split("."))
    current = type_name
    lists: list[bool] = []
    for depth, name in enumerate(path):
        attribute = _attribute(name, api, current, is_top=not depth)
        if attribute is None:
            raise _no_such(path, depth, api, current)
        lists.append(attribute.is_list or attribute.type in api.lists)
        current = attribute.type
        if current in OPEN_TYPES:
            is_end = depth == len(path) - 1
            if not is_end and ("" in path or not text.isprintable()):
                # Paths appear in headers and metrics.
                raise NoSuchAttribute(text[-60:], ".".join(path[: depth + 1]), [])
            return ResolvedPath(path, current if is_end else "any", tuple(lists), is_declared=is_end)
    return ResolvedPath(path, current, tuple(lists), is_declared=True)


def attribute_path(text: str, api: Api, resource: Resource, parameter: str) -> ResolvedPath:
    """Resolve a dotted name in a directive.

    Raises:
        Refused: `Code.INVALID`, naming the part that is no attribute.
    """
    try:
        return resolve_path(text, api, resource.type)
    except NoSuchAttribute as error:
        raise Refused(Code.INVALID, f"{parameter}: {text[:60]!r} is no attribute path: {error}") from None


def _attributes(api: Api, type_name: str) -> Mapping[str, Attribute]:
    while type_name in api.lists:
        type_name = api.lists[type_name].type
    return api.attributes_of(type_name) if type_name in api.types else {}


def _attribute(name: str, api: Api, type_name: str, *, is_top: bool) -> Attribute | None:
    attributes = _attributes(api, type_name)
    attribute = attributes.get(name)
    if attribute is None and (attributes or is_top):
        attribute = _OF_EVERY_OBJECT.get(name)
        if attribute is None and is_top:
            attribute = _OF_EVERY_ENTITY.get(name)
        if attribute is None and (is_top or type_name in api.types):
            attribute = api.further_attributes_of(type_name).get(name) if is_top or attributes else None
    return attribute


def _no_such(path: Path, depth: int, api: Api, type_name: str) -> NoSuchAttribute:
    known = list(_attributes(api, type_name))
    nearest = difflib.get_close_matches(path[depth][:60], known, n=3)
    return NoSuchAttribute(path[depth][:60], ".".join(path[:depth])[:120] or type_name, nearest)
