"""The attributes that a registered schema gives a type, as far as queries need them.

A type that extends another has its attributes and some of its own (TMF630 Part 2); filters and sorting name
them as the entity's own (Part 1, section 4.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hansa.business.models import Attribute

DEPTH_MAX: Final = 8
"""Of parts of a schema within each other."""
_TYPES: Final = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
}
_LOCAL: Final = "#/"


def attributes_of_schema(root: Mapping[str, Any]) -> dict[str, Attribute]:
    """The attributes that a schema declares at its top, by name; what it says in another way is `any`."""
    attributes: dict[str, Attribute] = {}
    for part in _parts(root, root, DEPTH_MAX):
        properties = part.get("properties")
        if isinstance(properties, Mapping):
            for name, schema in properties.items():
                attributes.setdefault(name, _attribute(name, schema, root))
    return attributes


def bases_of_schema(root: Mapping[str, Any]) -> frozenset[str]:
    """Names of the types that a schema says to extend: what it refers to elsewhere, or its `@baseType`."""
    names = set()
    for part in _parts(root, root, DEPTH_MAX):
        reference = part.get("$ref")
        if isinstance(reference, str):
            last = reference.rpartition("/")[2].rpartition("#")[2] or reference.rpartition("/")[2]
            names.add(last.removesuffix(".json").removesuffix(".schema"))
        base = (
            (part.get("properties") or {}).get("@baseType")
            if isinstance(part.get("properties"), Mapping)
            else None
        )
        if isinstance(base, Mapping):
            names |= {one for one in (base.get("const"), *(base.get("enum") or ())) if isinstance(one, str)}
    return frozenset(names)


def _parts(schema: Any, root: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """A schema and those of which it consists."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_LOCAL):
        yield from _parts(_at(root, reference), root, depth - 1)
    for keyword in ("allOf", "anyOf", "oneOf"):
        several = schema.get(keyword)
        for one in several if isinstance(several, list) else ():
            yield from _parts(one, root, depth - 1)


def _at(root: Mapping[str, Any], reference: str) -> Any:
    current: Any = root
    for step in reference.removeprefix(_LOCAL).split("/"):
        current = current.get(step) if isinstance(current, Mapping) else None
    return current


def _attribute(name: str, schema: Any, root: Mapping[str, Any]) -> Attribute:
    declared = next((part for part in _parts(schema, root, DEPTH_MAX) if "type" in part), {})
    kind = declared.get("type")
    if kind == "array":
        one = _attribute(name, declared.get("items"), root)
        return Attribute(name, one.type if not one.is_list else "any", is_list=True)
    if kind == "string" and declared.get("format") == "date-time":
        return Attribute(name, "date-time")
    return Attribute(name, _TYPES.get(kind, "any") if isinstance(kind, str) else "any")
