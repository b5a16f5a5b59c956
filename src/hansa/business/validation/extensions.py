"""Extensions of TM Forum types, by JSON Schemas that the operator registers (TMF630 Part 2).

A folder holds one file per type, `<Type>.json` or `<Type>.schema.json` (JSON Schema, draft 2020-12 unless
`$schema` says otherwise). An object that names such a type, by `@type` or by an `@schemaLocation` that is the
`$id` of its schema, at the top of a body or within, has to be valid against the schema. Schemas may refer to
each other by `$id`; nothing is ever fetched. Regular expressions are those of a linear engine: no
look-around, no back-references.

A schema in TM Forum's own form holds its types under `definitions`; there, the one of the file's name
applies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import jsonschema_rs
import msgspec

from hansa.business.models import Api, Attribute
from hansa.business.validation.extension_attributes import attributes_of_schema, bases_of_schema
from hansa.business.validation.violations import VIOLATIONS_MAX, Violation, refuse
from hansa.core.errors import Code, Fatal
from hansa.core.policies import UnknownExtensions

SCHEMAS_MAX: Final = 500
SCHEMA_SIZE_MAX_BYTES: Final = 1_048_576

_FILE_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\.schema)?\.json")
_OF_THE_WHOLE: Final = frozenset({"required", "additionalProperties", "unevaluatedProperties", "type"})
"""Keywords whose message is clear without the value, which would be the whole object."""


class ExtensionSchema(msgspec.Struct, frozen=True):
    """A registered schema."""

    type_name: str
    location: str | None
    """Its `$id`."""
    validator: jsonschema_rs.Validator
    attributes: Mapping[str, Attribute] = {}
    """That entities of the type have by this schema."""
    bases: frozenset[str] = frozenset()
    """Names of types that it says to extend."""

    def violations(self, value: Any, path: str) -> Iterator[Violation]:
        """The violations of a value of the type."""
        for error in self.validator.iter_errors(value):
            rule = f"must be valid against the schema of {self.type_name} ({error.message})"
            location = path + "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path
            )
            is_clear = isinstance(error.instance, dict) and error.kind.name in _OF_THE_WHOLE
            yield Violation(
                location.removeprefix(".") or "The body", rule, msgspec.UNSET if is_clear else error.instance
            )


class Extensions:
    """The registered schemas."""

    def __init__(
        self, schemas: Collection[ExtensionSchema] = (), unknown: UnknownExtensions = "keep"
    ) -> None:
        """`unknown`: the outcome for a body that announces an extension without a registered schema."""
        self._by_type = {schema.type_name: schema for schema in schemas}
        self._by_location = {schema.location: schema for schema in schemas if schema.location}
        self._refuses_unknown = unknown == "refuse"

    @classmethod
    def load(cls, folder: Path, unknown: UnknownExtensions = "keep") -> Self:
        """The schemas in a folder; none when there is no folder.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, naming the file and the problem.
        """
        documents: dict[Path, dict[str, Any]] = {}
        for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            if len(documents) == SCHEMAS_MAX:
                raise _wrong(folder, f"there are more than {SCHEMAS_MAX} schemas")
            documents[file] = _read(file)
        located = [(str(document["$id"]), document) for document in documents.values() if "$id" in document]
        try:
            registry = jsonschema_rs.Registry(located)
        except ValueError as error:
            raise _wrong(folder, _first_line(error)) from None
        return cls([_schema(file, document, registry) for file, document in documents.items()], unknown)

    @property
    def types(self) -> frozenset[str]:
        """Types that have a schema."""
        return frozenset(self._by_type)

    def extended(self, api: Api) -> Api:
        """An API whose types have the attributes that the schemas give to types which extend them.

        A schema that says to extend a type of some API counts for that type, any other for every type.
        """
        if not self._by_type:
            return api
        extensions: dict[str, dict[str, Attribute]] = {}
        for schema in self._by_type.values():
            bases = {base for base in schema.bases if base[:1].isupper()}
            for base in bases or {""}:
                extensions.setdefault(base, {}).update(schema.attributes)
        return msgspec.structs.replace(api, extensions=extensions)

    def check(self, type_name: str, body: Mapping[str, Any], known: Collection[str] = ()) -> None:
        """Check a body for a resource of that type; `known` are the types of its API's document.

        Raises:
            Refused: `Code.INVALID`, naming path, rule and value.
        """
        violations: list[Violation] = []
        if self._refuses_unknown:
            violations += self._unknown_extensions(type_name, body, known)
        if self._by_type:
            for path, value in _objects(body):
                for schema in self._schemas_of(value):
                    violations += schema.violations(value, path)
                if len(violations) > VIOLATIONS_MAX:
                    break
        refuse(violations)

    def _schemas_of(self, value: Mapping[str, Any]) -> list[ExtensionSchema]:
        by_type = self._by_type.get(_text(value.get("@type")))
        by_location = self._by_location.get(_text(value.get("@schemaLocation")))
        return [schema for schema in (by_type, by_location if by_location is not by_type else None) if schema]

    def _unknown_extensions(
        self, type_name: str, body: Mapping[str, Any], known: Collection[str]
    ) -> Iterator[Violation]:
        named, location = body.get("@type", type_name), body.get("@schemaLocation")
        if named != type_name and named not in known and named not in self._by_type:
            yield Violation("@type", f"must be {type_name} or a type that is registered here", named)
        if location is not None and not self._schemas_of(body):
            yield Violation("@schemaLocation", "must be that of a schema that is registered here", location)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _objects(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object of a body with its path, the outer ones first."""
    todo: list[tuple[str, Any]] = [("", body)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            yield path, value
            todo += [
                (f"{path}.{name}", inner) for name, inner in value.items() if type(inner) in {dict, list}
            ]
        else:
            todo += [(f"{path}[{i}]", inner) for i, inner in enumerate(value) if type(inner) in {dict, list}]


def _read(file: Path) -> dict[str, Any]:
    if _FILE_NAME.fullmatch(file.name) is None:
        raise _wrong(file, "it is not named after a type, as Banquet.json")
    try:
        if file.stat().st_size > SCHEMA_SIZE_MAX_BYTES:
            raise _wrong(file, f"it has more than {SCHEMA_SIZE_MAX_BYTES} bytes")
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise _wrong(file, f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise _wrong(file, "it is not JSON") from None
    if not isinstance(document, dict):
        raise _wrong(file, "it is not a JSON object")
    return document


def _schema(file: Path, document: dict[str, Any], registry: jsonschema_rs.Registry) -> ExtensionSchema:
    matched = _FILE_NAME.fullmatch(file.name)
    assert matched is not None, "the name was checked when the file was read"
    type_name = matched[1]
    root = document
    definitions = document.get("definitions")
    if (
        isinstance(definitions, dict)
        and type_name in definitions
        and not document.keys() & {*("$ref", "allOf", "anyOf", "oneOf", "properties", "type")}
    ):
        root = {**document, "$ref": f"#/definitions/{type_name}"}
    try:
        validator = jsonschema_rs.validator_for(
            root,
            mask="it",
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            registry=registry,
            validate_formats=True,
        )
    except ValueError as error:
        raise _wrong(file, _first_line(error)) from None
    return ExtensionSchema(
        type_name, document.get("$id"), validator, attributes_of_schema(root), bases_of_schema(root)
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _wrong(file: Path, reason: str) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"The extension schema {file} cannot be used: {reason}.")
