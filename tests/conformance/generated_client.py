"""A client as somebody would generate it from an official document.

Pydantic models and the calls that there are.

The documents are Swagger 2.0; their definitions are taken over as they are into an OpenAPI 3 document, which
datamodel-code-generator reads. Values come from the generated models alone.
"""

from __future__ import annotations

import copy
import enum
import importlib.util
import json
import sys
import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from pydantic import AnyUrl, AwareDatetime, BaseModel, RootModel
from pydantic.fields import FieldInfo

DEPTH_MAX: Final = 8
"""Of values within each other; no document requires more."""
FULL_DEPTH_MAX: Final = 3
"""Of optional values within each other."""
PLAIN: Final[Mapping[object, Any]] = {
    str: "example",
    bool: True,
    int: 1,
    float: 1.5,
    AnyUrl: "https://example.com/about",
    AwareDatetime: "2026-01-31T12:00:00Z",
}
NAMED: Final[Mapping[str, Any]] = {
    "endDateTime": "2027-01-31T12:00:00Z",
    "unit": "EUR",
    "alarmPattern": [{"alarmType": "example"}],
}
"""Values that mean something: after the start, in a currency, a pattern that says what to look for."""
AN_IDENTIFIER: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("Alarm", "id"): ("AlarmRef", "id"),
    ("AlarmRefOrValue", "id"): ("AlarmRef", "id"),
}
ROLES: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("Association_Create", "associationRole"): ("Association", "associationRole"),
    ("AssociationSpecification_Create", "associationRoleSpec"): (
        "AssociationSpecification",
        "associationRoleSpec",
    ),
}
CORRECTIONS: Final[Mapping[str, Mapping[tuple[str, str], tuple[str, str]]]] = {
    "TMF642": AN_IDENTIFIER,
    "TMF662": ROLES,
    "TMF703": ROLES,
    "TMF908": AN_IDENTIFIER,
}
"""Where a document contradicts itself: an attribute (definition and name) that is taken as another says.

The identifier of an alarm is an integer there, and a string in its path and in references to it. An
association is created with one role, and is answered with a list of two or more.
"""


class Calls(msgspec.Struct, frozen=True):
    """What a document offers for one collection."""

    path: str
    """As `/catalog`."""
    item: str
    """As `/catalog/{id}`."""
    methods: frozenset[str]
    """As `POST`, `GET item`."""
    made: str | None
    """Definition of the body of a create."""
    changed: str | None
    """Definition of the body of a change."""
    shown: str
    """Definition of an answered entity."""
    created_statuses: frozenset[int]


def openapi_of(document: Mapping[str, Any], api_id: str) -> dict[str, Any]:
    """The definitions of a Swagger document, in OpenAPI 3."""
    definitions = copy.deepcopy(document["definitions"])
    for (definition, name), (other, right) in CORRECTIONS.get(api_id, {}).items():
        if definition in definitions:
            definitions[definition]["properties"][name] = definitions[other]["properties"][right]
    return {
        "openapi": "3.0.3",
        "info": document["info"],
        "paths": {},
        "components": {"schemas": _converted(definitions)},
    }


def _converted(value: Any) -> Any:
    if isinstance(value, list):
        return [_converted(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _converted(one) for key, one in value.items()}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].replace("#/definitions/", "#/components/schemas/")
    if isinstance(found.get("discriminator"), str):
        found["discriminator"] = {"propertyName": found["discriminator"]}
    return found


def generated(document: Mapping[str, Any], folder: Path, name: str) -> types.ModuleType:
    """The models of a document, as a module."""
    path = folder / f"{name}.py"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # formats that the generator does not know, as `base64`
        generate(
            json.dumps(openapi_of(document, name)),
            input_file_type=InputFileType.OpenAPI,
            output=path,
            output_model_type=DataModelType.PydanticV2BaseModel,
            formatters=[],
        )
        spec = importlib.util.spec_from_file_location(f"generated_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return module


def model(module: types.ModuleType, definition: str) -> type[BaseModel]:
    """The class that was generated for a definition."""
    for name in (
        definition,
        definition.replace("_", ""),
        definition[:1].upper() + definition[1:].replace("_", ""),
    ):
        found = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    raise LookupError(definition)


def calls(document: Mapping[str, Any]) -> Iterator[Calls]:
    """What a document offers, a collection at a time; parents come before what is below them."""
    paths = {
        path: item
        for path, item in document["paths"].items()
        if "/listener/" not in path and "hub" not in path
    }
    collections = sorted({path for path in paths if not path.endswith("}")}, key=lambda path: path.count("/"))
    for path in collections:
        items = [
            one for one in paths if one.startswith(f"{path}/{{") and one.count("/") == path.count("/") + 1
        ]
        item = items[0] if items else f"{path}/{{id}}"
        here, there = paths[path], paths.get(item, {})
        methods = {method.upper() for method in here} | {f"{method.upper()} item" for method in there}
        post, patch = here.get("post"), there.get("patch")
        created = {
            int(status): answer
            for status, answer in (post or {}).get("responses", {}).items()
            if status < "3"
        }
        shown = next(
            (_name(answer["schema"]) for answer in created.values() if "schema" in answer),
            None,
        ) or _name((there.get("get") or here["get"])["responses"]["200"]["schema"])
        yield Calls(
            path=path,
            item=item,
            methods=frozenset(methods),
            made=_body(post),
            changed=_body(patch),
            shown=shown,
            created_statuses=frozenset(created),
        )


def _body(operation: Mapping[str, Any] | None) -> str | None:
    for parameter in (operation or {}).get("parameters", []):
        if parameter["in"] == "body":
            return _name(parameter["schema"])
    return None


def _name(schema: Mapping[str, Any]) -> str:
    found = schema.get("$ref") or schema["items"]["$ref"]
    return str(found).rpartition("/")[2]


def values(found: type[BaseModel], shown: type[BaseModel], *, full: bool) -> dict[str, Any]:
    """Values for a body: what is required, or (`full`) everything.

    An `@type` is one that answers may have.
    """
    kind = shown.model_fields.get("field_type")
    type_name = shown.__name__ if kind is None else _type_value(kind, shown.__name__)
    return _values(found, type_name, FULL_DEPTH_MAX if full else 0, ())


def _values(found: type[BaseModel], type_name: str, full: int, within: tuple[type, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, field in found.model_fields.items():
        alias = field.alias or name
        if not field.is_required() and (len(within) >= full or found in within):
            continue
        if alias == "@type":
            made[alias] = _type_value(field, type_name)
        elif alias == "id" and field.annotation in {str, str | None}:
            made |= {"id": f"{found.__name__}-1"} if within or field.is_required() else {}
        elif field.is_required() or alias not in {"@baseType", "@schemaLocation", "@valueSchemaLocation"}:
            made[alias] = _value(field.annotation, alias, field, full, (*within, found))
    return made


def _type_value(field: FieldInfo, type_name: str) -> Any:
    kinds = [
        one for one in (typing.get_args(field.annotation) or (field.annotation,)) if one is not type(None)
    ]
    kind = kinds[0]
    return next(iter(kind)).value if isinstance(kind, type) and issubclass(kind, enum.Enum) else type_name


def _value(annotation: Any, name: str, field: FieldInfo | None, full: int, within: tuple[type, ...]) -> Any:
    origin = typing.get_origin(annotation)
    if name in NAMED and (annotation in PLAIN or origin is list):
        return NAMED[name]
    if origin in {typing.Union, types.UnionType}:
        options = [one for one in typing.get_args(annotation) if one is not type(None)]
        return _value(options[0], name, field, full, within)
    if origin is typing.Annotated:
        return _value(typing.get_args(annotation)[0], name, field, full, within)
    if origin is list:
        least = next(
            (one.min_length for one in (field.metadata if field else []) if hasattr(one, "min_length")), 1
        )
        return [
            _value(typing.get_args(annotation)[0], name, None, full, within) for _ in range(max(1, least))
        ]
    if annotation in PLAIN:
        return PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return next(iter(annotation)).value
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        root = annotation.model_fields["root"]
        return _value(root.annotation, name, root, full, within)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _values(annotation, annotation.__name__, full, within) if len(within) < DEPTH_MAX else {}
    return {} if origin is dict or annotation is dict else "example"
