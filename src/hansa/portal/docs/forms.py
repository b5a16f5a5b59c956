"""The form that sends one operation: a field for each parameter, the body with an example, the response."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import msgspec

Document = Mapping[str, Any]

PATCH_EXAMPLES: Final[Mapping[str, Any]] = {
    "application/json": {"description": "changed"},
    "application/merge-patch+json": {"description": "changed"},
    "application/json-patch+json": [{"op": "add", "path": "/description", "value": "changed"}],
    "application/json-patch-query+json": [{"op": "add", "path": "/description", "value": "changed"}],
}
FILTERS_SHOWN_MIN: Final = 6
"""From this many filters on, they fold."""
_DIRECTIVES: Final = frozenset({"fields", "offset", "limit", "sort", "filter", "expand", "depth"})


def is_filter(parameter: Document) -> bool:
    """Whether a parameter chooses entities by an attribute."""
    return parameter["in"] == "query" and parameter["name"] not in _DIRECTIVES


def try_form(path: str, method: str, parameters: list[Document], operation: Document) -> str:
    """The form; it is hidden until the script makes it work."""
    main = [one for one in parameters if not is_filter(one)]
    filters = [one for one in parameters if is_filter(one)]
    parts = [
        f'<form class="try" hidden data-path="{escape(path)}" data-method="{method.upper()}"><h3>Try it</h3>',
        _fields(main),
    ]
    if filters:
        folded = _fields(filters)
        is_open = " open" if len(filters) < FILTERS_SHOWN_MIN else ""
        parts.append(f"<details{is_open}><summary>Filters</summary>{folded}</details>")
    if "requestBody" in operation:
        parts.append(_body(method, operation["requestBody"]["content"]))
    parts.append(
        '<div class="send"><button type="submit">Send</button></div>'
        '<div class="answer" role="status" aria-live="polite"></div></form>'
    )
    return "".join(parts)


def _fields(parameters: list[Document]) -> str:
    return f'<div class="fields">{"".join(map(_field, parameters))}</div>' if parameters else ""


def _field(one: Document) -> str:
    schema = one["schema"]
    where = "raw" if schema.get("type") == "object" else one["in"]
    number = ' inputmode="numeric" pattern="[0-9]*"' if schema.get("type") == "integer" else ""
    required = " required" if one.get("required") else ""
    return (
        f"<label><span>{escape(one['name'])}{' (required)' if required else ''}</span>"
        f'<input name="{escape(one["name"])}" data-in="{where}" autocomplete="off" spellcheck="false"'
        f' title="{escape(one.get("description", ""))}"{number}{required}></label>'
    )


def _body(method: str, content: Document) -> str:
    options, first = [], None
    for media, one in content.items():
        example = one.get("example", PATCH_EXAMPLES.get(media, {}) if method == "patch" else {})
        text = msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
        first = text if first is None else first
        options.append(
            f'<option value="{escape(media)}" data-example="{escape(text)}">{escape(media)}</option>'
        )
    return (
        '<div class="fields"><label><span>Content-Type</span>'
        f'<select class="media">{"".join(options)}</select></label></div>'
        f'<label><span>Body</span><textarea spellcheck="false">{escape(first or "")}</textarea></label>'
    )
