"""What an official document says, and what a model says, as sentences that can be compared one by one.

The documents are read here without the tool that derives models from them, so that a fault of the tool shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hansa.business.models import Api, Attribute, Resource

VERBS: Final = {
    "list": "GET",
    "create": "POST",
    "retrieve": "GET",
    "patch": "PATCH",
    "replace": "PUT",
    "delete": "DELETE",
}
ON_COLLECTIONS: Final = ("list", "create")
NOT_RESOURCES: Final = ("listener", "hub")

Raw = Mapping[str, Any]
Definitions = Mapping[str, Raw]


def documents(shared: Path) -> dict[str, Path]:
    """Official documents by API."""
    return {path.name[:6]: path for path in sorted((shared / "tmf" / "oas-v4").glob("TMF*.json"))}


def document(shared: Path, api_id: str) -> Raw:
    """One official document."""
    found: Raw = json.loads(documents(shared)[api_id].read_text(encoding="utf-8"))
    return found


def base_paths(shared: Path) -> dict[str, str]:
    """Base path by API."""
    raw = json.loads((shared / "tmf" / "basepaths-v4.json").read_text())
    return {f"TMF{number}": path for number, path in raw.items()}


# -- what documents say -----------------------------------------------------------------------------------------------


def said_by_document(raw: Raw, api: Api) -> Iterator[str]:
    """Sentences about paths, events and the types that the model has or should have."""
    for path, verbs in raw["paths"].items():
        yield from _said_of_path(path, verbs, raw["definitions"])
    definitions: Definitions = raw["definitions"]
    for name in definitions:
        if name in api.types:
            yield from _said_of_type(definitions, name)
        elif name in api.enumerations:
            yield f"{name} is one of {' | '.join(definitions[name].get('enum', ['any string']))}"
        elif _extends(definitions, name) in api.types and not name.endswith(("_Create", "_Update")):
            yield f"{name} is a type"


def _said_of_path(path: str, verbs: Raw, definitions: Definitions) -> Iterator[str]:
    first = path.strip("/").partition("/")[0]
    if first == "listener":  # the path says which events there are, the definition what they are called
        last = path.rpartition("/")[2].lower()
        yield f"event {next(name for name in definitions if name.lower() == last)}"
    if first in NOT_RESOURCES:
        return
    for verb in verbs.keys() & {known.lower() for known in VERBS.values()}:
        yield f"{verb.upper()} {path}"
        if verb == "post":
            good = sorted(status for status in verbs[verb]["responses"] if status < "300")
            yield f"POST {path} answers {' or '.join(good)}"


def _said_of_type(definitions: Definitions, name: str) -> Iterator[str]:
    yield f"{name} is a type"
    if (parent := _extends(definitions, name)) is not None:
        yield f"{name} extends {parent}"
    create = _properties(definitions, f"{name}_Create") if f"{name}_Create" in definitions else None
    update = _properties(definitions, f"{name}_Update") if f"{name}_Update" in definitions else None
    every = _properties(definitions, name) | (update or {}) | (create or {})
    answers = _required(definitions, name)
    creates = answers if create is None else _required(definitions, f"{name}_Create")
    for attribute, schema in every.items():
        where = f"{name}.{attribute}"
        yield f"{where} is {_type_said(definitions, schema)}"
        if "default" in schema:
            yield f"{where} is {json.dumps(schema['default'])} by default"
        if create is not None and attribute not in create:
            yield f"{where} is in no create"
        if update is not None and attribute not in update:
            yield f"{where} is in no update"
        if attribute in creates:
            yield f"{where} is required"
        elif attribute in answers:
            yield f"{where} is in answers"


def _type_said(definitions: Definitions, schema: Raw) -> str:
    if "$ref" in schema:
        target = str(schema["$ref"].rpartition("/")[2])
        if target == "Any":
            return "any"
        return target if target in definitions else f"{target}, which is not defined"
    if schema.get("type") == "array":
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        bounds = f" of {low} to {high or 'any number'}" if low or high else ""
        return f"a list{bounds} of {_type_said(definitions, schema.get('items', {}))}"
    if "enum" in schema:
        return f"one of {' | '.join(schema['enum'])}"
    kind = str(schema.get("type", "any"))
    return str(schema.get("format", kind)) if kind == "string" else kind


def _extends(definitions: Definitions, name: str) -> str | None:
    return next(
        (
            str(part["$ref"].rpartition("/")[2])
            for part in definitions[name].get("allOf", ())
            if "$ref" in part
        ),
        None,
    )


def _properties(definitions: Definitions, name: str) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for part in (*definitions[name].get("allOf", ()), definitions[name]):
        found |= part.get("properties", {})
    return found


def _required(definitions: Definitions, name: str) -> set[str]:
    parts = (*definitions[name].get("allOf", ()), definitions[name])
    return {attribute for part in parts for attribute in part.get("required", ())}


# -- what models say --------------------------------------------------------------------------------------------------


def said_by_model(api: Api, raw: Raw) -> Iterator[str]:
    """The same sentences, from a model."""
    definitions: Definitions = raw["definitions"]
    for resource in api.resources:
        yield from _said_of_resource(resource)
    for name, values in api.enumerations.items():
        if name in definitions:
            yield f"{name} is one of {' | '.join(values or ('any string',))}"
    for found in api.types.values():
        yield f"{found.name} is a type"
        if found.extends is not None:
            yield f"{found.name} extends {found.extends}"
        for attribute in found.attributes.values():
            yield from _said_of_attribute(api, found.name, attribute, definitions)


def _said_of_resource(resource: Resource) -> Iterator[str]:
    for method in resource.methods:
        yield f"{VERBS[method]} /{resource.path}{'' if method in ON_COLLECTIONS else '/{id}'}"
    if "create" in resource.methods:
        yield f"POST /{resource.path} answers 201"
    if resource.operator_methods:
        yield f"/{resource.path} has {', '.join(resource.operator_methods)} for operators"
    for event in resource.events:
        yield f"event {event}"


def _said_of_attribute(api: Api, owner: str, attribute: Attribute, definitions: Definitions) -> Iterator[str]:
    where = f"{owner}.{attribute.name}"
    kind = attribute.type
    if kind in api.enumerations and kind not in definitions:
        kind = f"one of {' | '.join(api.enumerations[kind])}"
    if attribute.is_list:
        low, high = attribute.items_min, attribute.items_max
        bounds = f" of {low} to {high or 'any number'}" if low or high else ""
        kind = f"a list{bounds} of {kind}"
    yield f"{where} is {kind}"
    if attribute.default is not None:
        yield f"{where} is {json.dumps(attribute.default)} by default"
    if attribute.access in {"update-only", "read-only"} and f"{owner}_Create" in definitions:
        yield f"{where} is in no create"
    if attribute.access in {"create-only", "read-only"} and f"{owner}_Update" in definitions:
        yield f"{where} is in no update"
    if attribute.is_required:
        yield f"{where} is required"
    elif attribute.is_always_returned:
        yield f"{where} is in answers"
