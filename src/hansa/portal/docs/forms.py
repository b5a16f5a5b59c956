"""The form that sends one operation: a field for each parameter, the body with an example, the response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.portal.html import Html, fill, join

Document = Mapping[str, Any]

PATCH_EXAMPLES: Final[Mapping[str, Any]] = {
    "application/json": {"description": "changed"},
    "application/merge-patch+json": {"description": "changed"},
    "application/json-patch+json": [{"op": "add", "path": "/description", "value": "changed"}],
    "application/json-patch-query+json": [{"op": "add", "path": "/description", "value": "changed"}],
}
FILTERS_FOLDED_MIN: Final = 6
"""From this many filters on, they are folded."""
_DIRECTIVES: Final = frozenset({"fields", "offset", "limit", "sort", "filter", "expand", "depth"})


def is_filter(parameter: Document) -> bool:
    """Whether a parameter selects entities by an attribute."""
    return parameter["in"] == "query" and parameter["name"] not in _DIRECTIVES


def try_form(path: str, method: str, parameters: list[Document], operation: Document) -> Html:
    """The form; it is hidden until the script makes it work."""
    main = [one for one in parameters if not is_filter(one)]
    filters = [one for one in parameters if is_filter(one)]
    content = operation["requestBody"]["content"] if "requestBody" in operation else None
    return fill(
        '<form class="try" hidden data-path="$path" data-method="$method"><h3>Try it</h3>$fields$filters$body'
        '<div class="send"><button type="submit">Send</button></div>'
        '<div class="answer" role="status" aria-live="polite"></div></form>',
        path=path,
        method=method.upper(),
        fields=_fields(main),
        filters=_filters(filters) if filters else "",
        body=_body(method, content) if content is not None else "",
    )


def _filters(filters: list[Document]) -> Html:
    return fill(
        "<details$open><summary>Filters</summary>$fields</details>",
        open=" open" if len(filters) < FILTERS_FOLDED_MIN else "",
        fields=_fields(filters),
    )


def _fields(parameters: list[Document]) -> Html:
    fields = join(map(_field, parameters))
    return fill('<div class="fields">$fields</div>', fields=fields) if parameters else Html()


def _field(parameter: Document) -> Html:
    schema = parameter["schema"]
    is_required = parameter.get("required")
    number = Html(' inputmode="numeric" pattern="[0-9]*"')
    return fill(
        '<label><span>$name$note</span><input name="$name" data-in="$place" autocomplete="off" spellcheck="false"'
        ' title="$title"$number$required></label>',
        name=parameter["name"],
        note=" (required)" if is_required else "",
        place="raw" if schema.get("type") == "object" else parameter["in"],
        title=parameter.get("description", ""),
        number=number if schema.get("type") == "integer" else "",
        required=" required" if is_required else "",
    )


def _body(method: str, content: Document) -> Html:
    examples = {media: _example(method, media, one) for media, one in content.items()}
    option = '<option value="$media" data-example="$example">$media</option>'
    return fill(
        '<div class="fields"><label><span>Content-Type</span><select class="media">$options</select></label></div>'
        '<label><span>Body</span><textarea spellcheck="false">$first</textarea></label>',
        options=join(fill(option, media=media, example=example) for media, example in examples.items()),
        first=next(iter(examples.values()), ""),
    )


def _example(method: str, media: str, content: Document) -> str:
    example = content.get("example", PATCH_EXAMPLES.get(media, {}) if method == "patch" else {})
    return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
