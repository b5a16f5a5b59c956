"""Bodies that official documents allow: the smallest one of an operation, and samples of single attributes.

They are made from the documents alone, without the models, so that whatever the models demand beyond them
shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from hansa.business.models import Api
from tests.conformance.official import Definitions, Raw

DEPTH_MAX: Final = 12
"""No document requires parts that are deeper in each other."""
OPTIONAL_DEPTH: Final = 2
"""Samples have attributes that are not required down to here."""
EVENT_PATHS: Final = ("/listener/", "/hub", "/topic/{topicId}/hub")
REFERENCE_ENDINGS: Final = ("RefOrValue", "Relationship", "Ref", "_Create", "_Update")
TEXTS: Final[dict[str, str]] = {
    "date-time": "2026-01-31T12:00:00Z",
    "uri": "https://provider.example/thing",
    "base64": "aGFuc2E=",
}
CURRENCIES: Final = frozenset({"unit", "units"})
META: Final = frozenset({"@baseType", "@schemaLocation", "@valueSchemaLocation"})
PLAIN: Final[Mapping[str, Any]] = {"integer": 1, "number": 1.5, "boolean": True, "object": {}}
EARLIER: Final = "2026-01-01T00:00:00Z"

Path = tuple[str | int, ...]


class Operation(NamedTuple):
    """A request with a body."""

    path: str
    """Below the base path, as the document has it."""
    schema: str
    """Name of the definition of the body."""


class Required(NamedTuple):
    """An attribute that a document requires, where it stands in a body."""

    path: Path
    owner: str
    """The definition that requires it."""
    name: str


class DocumentBodies:
    """Bodies of one document."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._definitions: Definitions = raw["definitions"]

    def operations(self, method: str) -> list[Operation]:
        """The operations with that method and a body, parents before what is below them."""
        found = []
        for path, verbs in self._raw["paths"].items():
            if method not in verbs or any(path.startswith(one) for one in EVENT_PATHS):
                continue
            body = next(one for one in verbs[method]["parameters"] if one["in"] == "body")
            found.append(Operation(path, str(body["schema"]["$ref"].rpartition("/")[2])))
        return sorted(found, key=lambda one: one.path.count("/"))

    def properties(self, name: str) -> dict[str, Raw]:
        """The attributes of a definition, with those of what it extends."""
        found: dict[str, Raw] = {}
        for part in self._parts(name):
            found |= part.get("properties", {})
        return found

    def required(self, name: str) -> list[str]:
        """The attributes that a definition requires, with those of what it extends."""
        return list(dict.fromkeys(one for part in self._parts(name) for one in part.get("required", ())))

    def smallest(self, name: str) -> dict[str, Any]:
        """A value of a definition that has what is required, and nothing else."""
        properties = self.properties(name)
        return {
            attribute: self._value(properties.get(attribute, {}), name, attribute, 1, optional_to=0)
            for attribute in self.required(name)
        }

    def sample(self, name: str, attribute: str) -> Any:
        """A value of one attribute, whose parts have what is plain in them too."""
        return self._value(self.properties(name)[attribute], name, attribute, 1, optional_to=OPTIONAL_DEPTH)

    def requirements(self, name: str, value: Any, path: Path = ()) -> Iterator[Required]:
        """Everything in the smallest value of a definition, since all of it is required."""
        properties = self.properties(name)
        for attribute, item in value.items():
            yield Required((*path, attribute), name, attribute)
            schema = properties.get(attribute, {})
            is_list = isinstance(item, list)
            target = schema.get("$ref") or schema.get("items", {}).get("$ref")
            if target is None or not self.properties(str(target.rpartition("/")[2])):
                continue
            first = item[0] if is_list else item
            below = (*path, attribute, 0) if is_list else (*path, attribute)
            if isinstance(first, dict):
                yield from self.requirements(str(target.rpartition("/")[2]), first, below)

    def _parts(self, name: str) -> Iterator[Raw]:
        definition = self._definitions.get(name, {})
        for part in definition.get("allOf", ()):
            if "$ref" in part:
                yield from self._parts(str(part["$ref"].rpartition("/")[2]))
            else:
                yield part
        yield definition

    def _value(self, schema: Raw, owner: str, name: str, depth: int, *, optional_to: int) -> Any:
        assert depth < DEPTH_MAX, (owner, name)
        if "$ref" in schema:
            return self._referred(
                str(schema["$ref"].rpartition("/")[2]), name, depth, optional_to=optional_to
            )
        if schema.get("type") == "array":
            items = schema.get("items", {})
            count = max(1, schema.get("minItems", 0))
            return [self._value(items, owner, name, depth, optional_to=optional_to)] * count
        if "enum" in schema:
            return schema["enum"][0]
        kind = str(schema.get("type"))
        return PLAIN[kind] if kind in PLAIN else _text(schema.get("format"), owner, name)

    def _referred(self, target: str, name: str, depth: int, *, optional_to: int) -> Any:
        definition = self._definitions.get(target, {})
        is_plain = not self.properties(target) and definition.get("type", "object") != "object"
        if is_plain or "enum" in definition:
            return self._value(definition, target, name, depth, optional_to=optional_to)
        if target == "Any" or not self.properties(target):
            return {"x": 1}
        return self._object(target, depth, optional_to=optional_to)

    def _object(self, name: str, depth: int, *, optional_to: int) -> dict[str, Any]:
        required = self.required(name)
        return {
            attribute: self._value(schema, name, attribute, depth + 1, optional_to=optional_to)
            for attribute, schema in self.properties(name).items()
            if attribute in required or (depth < optional_to and _is_plain(schema) and attribute not in META)
        }


def _is_plain(schema: Raw) -> bool:
    """Whether a value has no parts."""
    return "$ref" not in schema and schema.get("type") != "array"


def _text(form: str | None, owner: str, name: str) -> str:
    if form == "date-time" and "start" in name.lower():
        return EARLIER
    if form in TEXTS:
        return TEXTS[form]
    if name in {"@type", "@referredType"}:
        for ending in REFERENCE_ENDINGS:
            owner = owner.removesuffix(ending)
        return owner
    return "EUR" if name in CURRENCIES and owner in {"Money", "Price"} else f"{name}-1".strip("@")


def of_base(api: Api, path: str) -> str:
    """The whole path of an operation."""
    return api.base_path.rstrip("/") + path
