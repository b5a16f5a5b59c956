"""Derive a first form of a model from an official TM Forum document (Swagger 2.0).

    python -m tools.derive_model DOCUMENT --base-path /tmf-api/party/v4/ > tmf632.toml

Facts alone are taken: names, types, what is required, paths, methods, events. What the document cannot say is
left to the reviewer of the result: which resources are catalogue (all are written as private), which status
is initial, what the marketplace's own systems may write, what a task does. What could not be derived is
reported on stderr.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hansa.business.models import load
from hansa.business.models.form import META_CREATE_ONLY, META_TYPES

Definition = Mapping[str, Any]

VERBS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")
STATUS_ATTRIBUTES: Final = (
    "lifecycleStatus",
    "state",
    "status",
    "resourceStatus",
    "executionState",
    "lifecycleState",
)
"""Names of the status attribute, the likeliest first; then `<resource>State` and `<resource>StatusType`."""
STAMPED_ON_CREATE: Final = ("creationDate", "creationTime", "quoteDate", "requestDate", "searchDate")
"""Beside the resource's own date, as `orderDate` of a product order or `productOfferingQualificationDate`."""
STAMPED_ON_WRITE: Final = ("lastUpdate", "lastUpdateDate", "lastModified", "lastModifiedTime")
STAMPED_ON_STATUS: Final = ("statusChangeDate", "stateChangeDate", "statusDate")
IDENTITY: Final = ("id", "href")
"""A client never has to give these for a resource, whatever the document requires: the server does."""
VALUE: Final = "RefOrValue"
"""Ending of the names of types that hold a reference or a value; a value needs no identity."""
FORMATS: Final = {"uri": "uri", "date-time": "date-time", "base64": "base64"}


class Document:
    """An official document, read for the facts of a model."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.definitions: Mapping[str, Definition] = raw["definitions"]
        self.doubts: list[str] = []
        self.enumerations: dict[str, list[str]] = {}
        """Values that the document lists in place, by the name of their enumeration."""
        self.roots: set[str] = set()
        """Types of resources."""

    def operations(self) -> dict[str, dict[str, set[str]]]:
        """Verbs at the collection and at the item of each resource path, hub and listeners apart."""
        operations: dict[str, dict[str, set[str]]] = {}
        for path, verbs in self.raw["paths"].items():
            parts = path.strip("/").split("/")
            if parts[0] == "listener" or "hub" in parts:
                continue
            if len(parts) > 4:
                self.doubt(f"{path} lies deeper than a sub-resource")
                continue
            is_item = parts[-1].startswith("{")
            key = "/".join(parts[:-1] if is_item else parts)
            verbs_at = operations.setdefault(key, {"collection": set(), "item": set()})
            verbs_at["item" if is_item else "collection"] |= {v.upper() for v in verbs if v.upper() in VERBS}
        return operations

    def doubt(self, text: str) -> None:
        """Report, once, what could not be derived."""
        if text not in self.doubts:
            self.doubts.append(text)

    def hubs(self) -> list[str]:
        """Hubs below a resource, which the form cannot express."""
        return [path for path in self.raw["paths"] if path.strip("/").partition("/")[2].endswith("/hub")]

    def methods(self, path: str) -> list[str]:
        """Words of the form for what a resource can do."""
        at = self.operations()[path]
        for verb in (at["collection"] - {"GET", "POST"}) | (at["item"] & {"POST"}):
            self.doubt(f"{verb} of /{path} has no word in the form")
        responses = self.raw["paths"].get(f"/{path}", {}).get("post", {}).get("responses", {"201": {}})
        if "201" not in responses:
            self.doubt(f"POST of /{path} responds {', '.join(responses)}; here it responds 201")
        words = (
            ("list", "collection", "GET"),
            ("create", "collection", "POST"),
            ("retrieve", "item", "GET"),
            ("patch", "item", "PATCH"),
            ("replace", "item", "PUT"),
            ("delete", "item", "DELETE"),
        )
        return [word for word, place, verb in words if verb in at[place]]

    def type_of(self, path: str) -> str | None:
        """Name of the type that a resource serves."""
        for template in (f"/{path}", f"/{path}/{{id}}"):
            for operation in self.raw["paths"].get(template, {}).values():
                for status, response in operation["responses"].items():
                    schema = response.get("schema", {})
                    target = schema.get("$ref") or schema.get("items", {}).get("$ref")
                    if status < "300" and target:
                        return str(target.rpartition("/")[2].removesuffix("_Create"))
        name = path.rpartition("/")[2]
        named = name[0].upper() + name[1:]
        return named if named in self.definitions else None

    def events(self, resource_name: str, others: Iterable[str]) -> list[str]:
        """Exact names of the events whose payload is the resource."""
        longer = [other for other in others if other != resource_name and other.startswith(resource_name)]
        names = [path.rpartition("/")[2] for path in self.raw["paths"] if path.startswith("/listener/")]
        return [
            name
            for name in names
            if name.lower().startswith(resource_name.lower())
            and not any(name.lower().startswith(other.lower()) for other in longer)
        ]

    def properties(self, name: str) -> dict[str, Definition]:
        """Attributes that a definition itself has, those of inlined parts of an `allOf` too."""
        definition = self.definitions.get(name, {})
        attributes: dict[str, Definition] = {}
        for part in definition.get("allOf", ()):
            attributes |= part.get("properties", {})
        attributes |= definition.get("properties", {})
        return attributes

    def parent(self, name: str) -> str | None:
        """The definition that an `allOf` refers to."""
        for part in self.definitions.get(name, {}).get("allOf", ()):
            if "$ref" in part:
                return str(part["$ref"].rpartition("/")[2])
        return None

    def type_word(self, owner: str, schema: Definition) -> str:
        """A schema as the form writes it."""
        if "$ref" in schema:
            target = schema["$ref"].rpartition("/")[2]
            if target == "Any":
                return "any"
            if target not in self.definitions:
                self.doubt(f"{owner} refers to {target}, which the document does not define: taken as any")
                return "any"
            return str(target)
        kind = schema.get("type", "any")
        if kind == "array":
            low, high = schema.get("minItems", 0), schema.get("maxItems", "")
            bounds = f"{low}..{high}" if low or high else ""
            return f"{self.type_word(owner, schema.get('items', {}))}[{bounds}]"
        if "enum" in schema:
            return self._enumeration(owner, schema["enum"])
        if kind == "string":
            return FORMATS.get(schema.get("format", ""), "string")
        if kind == "object" and "properties" in schema:
            self.doubt(f"{owner} describes an object in place: make a type of it")
        return str(kind)

    def _enumeration(self, owner: str, values: list[str]) -> str:
        """The name of an enumeration for values that are listed in place."""
        of, _, attribute = owner.partition(".")
        if attribute == "@type":
            self.doubt(f"{owner} lists types in place; types can be extended, so any is taken: {values}")
            return "string"
        name = attribute[0].upper() + attribute[1:]
        if name in self.definitions or self.enumerations.get(name, values) != values:
            name = of + name
        self.enumerations[name] = values
        return name

    def required(self, name: str) -> set[str]:
        """Attributes that a definition requires."""
        definition = self.definitions.get(name, {})
        parts = (definition, *definition.get("allOf", ()))
        return {attribute for part in parts for attribute in part.get("required", ())}

    def reachable(self, roots: Iterable[str]) -> list[str]:
        """Definitions that the roots speak of, with their subtypes, in alphabetical order."""
        children: dict[str, set[str]] = {}
        for name in self.definitions:
            if parent := self.parent(name):
                children.setdefault(parent, set()).add(name)
        todo, reached = list(roots), set[str]()
        while todo:
            name = todo.pop()
            if name in reached or name not in self.definitions or name == "Any":
                continue
            reached.add(name)
            todo += re.findall(r"#/definitions/([\w-]+)", json.dumps(self.definitions[name]))
            todo += children.get(name, ())
            for suffix in ("_Create", "_Update"):
                todo += re.findall(
                    r"#/definitions/([\w-]+)", json.dumps(self.definitions.get(name + suffix, {}))
                )
        return sorted(name for name in reached if not name.endswith(("_Create", "_Update")))


def bounded(own: Definition | None, created: Definition | None) -> Definition | None:
    """The schema of an attribute: how long a list must be is said of creates alone."""
    if own is None or created is None:
        return own or created
    low = created.get("minItems", 0) if own.get("type") == "array" else 0
    return {**own, "minItems": low} if low else own


def access_of(name: str, *, created: set[str] | None, updated: set[str] | None) -> str:
    """The word for the bodies in which an attribute may appear; empty for any."""
    if created is None:
        return "" if updated is None or name in updated else "create-only"
    in_update = name in updated if updated is not None else name in created
    return {(True, True): "", (True, False): "create-only", (False, True): "update-only"}.get(
        (name in created, in_update), "read-only"
    )


def type_lines(document: Document, name: str) -> list[str]:
    """The table of one type."""
    own, create, update = (document.properties(name + suffix) for suffix in ("", "_Create", "_Update"))
    created = set(create) if name + "_Create" in document.definitions else None
    updated = set(update) if name + "_Update" in document.definitions else None
    returned = document.required(name)
    required = document.required(name + "_Create") if created is not None else returned
    if name in document.roots:
        returned, required = returned | (required & {*IDENTITY}), required - {*IDENTITY}
    elif name.endswith(VALUE):
        returned, required = returned - {*IDENTITY}, required - {*IDENTITY}
    lines, meta = [f"[type.{name}]"], []
    if parent := document.parent(name):
        lines.append(f'"@extends" = "{parent}"')
    for attribute in {**own, **update, **create}:
        schema = bounded(own.get(attribute), create.get(attribute)) or update[attribute]
        words = [document.type_word(f"{name}.{attribute}", schema)]
        words += ["required"] if attribute in required else []
        words += ["returned"] if attribute in returned - required else []
        usual = "create-only" if created is not None and attribute in META_CREATE_ONLY else ""
        never_patched = usual and updated is None
        access = usual if never_patched else access_of(attribute, created=created, updated=updated)
        words += [access] if access else []
        if "default" in schema:
            words.append(f"default={json.dumps(schema['default'])}")
        if attribute.startswith("@") and words == [
            META_TYPES.get(attribute[1:], "?"),
            *([usual] if usual else []),
        ]:
            meta.append(attribute[1:])
            continue
        key = attribute if re.fullmatch(r"[\w-]+", attribute) else f'"{attribute}"'
        lines.append(f"{key} = {json.dumps(' '.join(words))}")
    return [*lines, *([f'"@" = "{" ".join(meta)}"'] if meta else []), ""]


def stamped_on_create(document: Document, name: str, type_name: str) -> list[str]:
    """Dates that the document, by name and access, leaves to the server when a resource is created."""
    in_create = {*document.properties(type_name + "_Create")}
    own = {f"{name}Date"} - in_create | ({"orderDate"} if name.endswith("Order") else set())
    return [
        attribute
        for attribute, schema in document.properties(type_name).items()
        if attribute in {*STAMPED_ON_CREATE, *own} and schema.get("format") == "date-time"
    ]


def resource_lines(
    document: Document, path: str, names: list[str], api: str, taken: Container[str]
) -> list[str]:
    """The table of one resource."""
    name, type_name = path.rpartition("/")[2], document.type_of(path)
    plain = re.sub(r"/?\{\w+\}", "", path)
    key = plain if re.fullmatch(r"[\w-]+", plain) else f'"{plain}"'
    lines = [f"[resource.{key}]"]
    if plain != path:
        lines.append(f'path = "{path}"')
    lines.append(f'type = "{type_name}"')
    lines += [f'collection = "{api}{type_name}"'] if type_name in taken else []
    lines.append(f"methods = {json.dumps(document.methods(path))}")
    attributes = document.properties(type_name or "")
    candidates = (*STATUS_ATTRIBUTES, f"{name}State", f"{name}StatusType")
    status = next((candidate for candidate in candidates if candidate in attributes), None)
    lines += [f'status = "{status}"'] if status else []
    for word, stamped in (
        ("create", stamped_on_create(document, name, type_name or "")),
        ("write", [stamp for stamp in STAMPED_ON_WRITE if stamp in attributes]),
        ("status", [stamp for stamp in STAMPED_ON_STATUS if stamp in attributes and status]),
    ):
        lines += [f"stamped_on_{word} = {json.dumps(stamped)}"] if stamped else []
    events = document.events(name, names)
    short = [
        event[len(name) : -len("Event")] if event.startswith(name) and event.endswith("Event") else event
        for event in events
    ]
    lines += [f"events = {json.dumps(short)}"] if events else []
    return [*lines, ""]


def derive(
    raw: Mapping[str, Any], base_path: str, api: str, taken: Container[str] = ()
) -> tuple[str, list[str]]:
    """The written form of a model, and what could not be derived.

    `taken` are the collections of other APIs: a resource of such a type gets a collection of its own.
    """
    document = Document(raw)
    title = re.sub(r"^API\s+", "", raw["info"]["title"])
    lines = [
        f'api = "{api}"',
        f'title = "{title}"',
        f'version = "{raw["info"]["version"]}"',
        f'base_path = "{base_path}"',
        "",
    ]
    paths = list(document.operations())
    names = [path.rpartition("/")[2] for path in paths]
    for path in document.hubs():
        document.doubt(f"{path} is a hub below a resource: served beside the model")
    for path in paths:
        type_name = document.type_of(path)
        if type_name is None:
            document.doubt(f"/{path} has no type")
            continue
        document.roots.add(type_name)
        lines += resource_lines(document, path, names, api, taken)
    enumerations, lists, types = [], [], []
    for name in document.reachable(document.roots):
        definition = document.definitions[name]
        if "enum" in definition:
            enumerations.append(f"{name} = {json.dumps(definition['enum'])}")
        elif definition.get("type") == "array":
            lists.append(f'{name} = "{document.type_word(name, definition)}"')
        elif definition.get("type") == "string":
            enumerations.append(f"{name} = []")
        elif _is_list_alias(document, name):
            low = max((part.get("minItems", 0) for part in definition["allOf"]), default=0)
            parent = document.definitions[document.parent(name) or ""]
            lists.append(f'{name} = "{document.type_word(name, {**parent, "minItems": low})}"')
        else:
            types += type_lines(document, name)
    enumerations += [f"{name} = {json.dumps(values)}" for name, values in document.enumerations.items()]
    lines += ["[enum]", *enumerations, ""] if enumerations else []
    lines += ["[list]", *lists, ""] if lists else []
    return "\n".join([*lines, *types]).rstrip() + "\n", document.doubts


def _is_list_alias(document: Document, name: str) -> bool:
    parent = document.parent(name)
    return parent is not None and document.definitions.get(parent, {}).get("type") == "array"


def main() -> None:
    """Write the form to stdout and the doubts to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("--base-path", required=True)
    arguments = parser.parse_args()
    raw = json.loads(arguments.document.read_text(encoding="utf-8"))
    api = arguments.document.name[:6]
    taken = {resource.collection for other in load().apis if other.id < api for resource in other.resources}
    text, doubts = derive(raw, arguments.base_path, api, taken)
    sys.stdout.write(text)
    for doubt in doubts:
        sys.stderr.write(f"not derived: {doubt}\n")


if __name__ == "__main__":
    main()
