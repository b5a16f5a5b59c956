"""JSON schemas as a person reads them: a table of attributes, with links to the types that they hold."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import msgspec

from hansa.portal.html import Html, code, fill, html_of, join, prose, table

Document = Mapping[str, Any]


def resolved(document: Document, part: Document) -> Document:
    """A part of a document, or what it refers to."""
    if "$ref" not in part:
        return part
    target: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return resolved(document, target)


def type_name(schema: Document) -> Html:
    """What a schema holds, in a few words."""
    if "$ref" in schema:
        return fill('<a href="#type-$name">$name</a>', name=schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return join(map(type_name, schema["anyOf"]), " or ")
    kinds = schema.get("type", "any value")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "array" in kind:
        items = type_name(schema.get("items", {}))
        return join(("list of ", items, " or null" if "null" in kind else ""))
    if "enum" in schema:
        return join(("one of ", join(map(code, schema["enum"]), ", ")))
    more = schema.get("format") or ("base64" if schema.get("contentEncoding") else "")
    return html_of(f"{kind} ({more})" if more else kind)


def schema_table(schema: Document) -> Html:
    """A type: its attributes, or what else it is."""
    properties = schema.get("properties")
    if not properties:
        return fill("<p>$type</p>", type=type_name(schema))
    required = schema.get("required", ())
    rows = ((code(name), type_name(one), _meaning(name, one, required)) for name, one in properties.items())
    text = schema.get("description")
    intro = fill("<p>$text</p>", text=prose(text)) if text else ""
    shown = table(("Attribute", "Holds", "Meaning"), rows)
    return fill("$intro$table", intro=intro, table=shown)


def _meaning(name: str, schema: Document, required: Container[str]) -> Html:
    """What an attribute means, what is to be known of it, and an example."""
    parts = [prose(schema["description"])] if schema.get("description") else []
    if examples := schema.get("examples", ()):
        shown = join((code(_example(one)) for one in examples), ", ")
        parts.append(fill('<span class="quiet">Example: $shown</span>', shown=shown))
    if notes := _notes(name, schema, required):
        parts.append(fill('<span class="tag">$notes</span>', notes=prose(", ".join(notes))))
    return join(parts, " ")


def _example(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _notes(name: str, schema: Document, required: Container[str]) -> list[str]:
    notes = ["required"] if name in required else []
    if schema.get("readOnly"):
        notes.append("read only")
    if "default" in schema:
        notes.append(f"default {msgspec.json.encode(schema['default']).decode()}")
    for word, text in (("minItems", "at least"), ("maxItems", "at most")):
        if word in schema:
            notes.append(f"{text} {schema[word]}")
    return notes
