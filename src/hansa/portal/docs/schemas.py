"""JSON schemas as a person reads them: a table of attributes, with links to the types that they hold."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from hansa.portal.page import prose, table

Document = Mapping[str, Any]


def resolved(document: Document, part: Document) -> Document:
    """A part of a document, or what it refers to."""
    if "$ref" not in part:
        return part
    value: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        value = value[name]
    return resolved(document, value)


def type_name(schema: Document) -> str:
    """What a schema holds, in a few words of HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(map(type_name, schema["anyOf"]))
    kinds = schema.get("type", "any value")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "array" in kind:
        return f"list of {type_name(schema.get('items', {}))}{' or null' if 'null' in kind else ''}"
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    kind = {"null": "null"}.get(kind, kind)
    more = schema.get("format") or ("base64" if schema.get("contentEncoding") else "")
    return escape(f"{kind} ({more})" if more else kind)


def schema_table(schema: Document) -> str:
    """A type: its attributes, or what else it is."""
    properties = schema.get("properties")
    if not properties:
        return f"<p>{type_name(schema)}</p>"
    required = schema.get("required", ())
    rows = (
        (f"<code>{escape(name)}</code>", type_name(one), prose(", ".join(_notes(name, one, required))))
        for name, one in properties.items()
    )
    text = schema.get("description")
    intro = f"<p>{prose(text)}</p>" if text else ""
    return f'{intro}<div class="scroll">{table(("Attribute", "Holds", "Notes"), rows)}</div>'


def _notes(name: str, schema: Document, required: tuple[str, ...]) -> list[str]:
    notes = ["required"] if name in required else []
    if schema.get("readOnly"):
        notes.append("read only")
    if "default" in schema:
        notes.append(f"else {msgspec.json.encode(schema['default']).decode()}")
    for word, text in (("minItems", "at least"), ("maxItems", "at most")):
        if word in schema:
            notes.append(f"{text} {schema[word]}")
    if schema.get("description"):
        notes.append(schema["description"])
    return notes
