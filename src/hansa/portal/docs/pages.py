"""What the pages below `/docs` hold: all APIs, each API to read and to try, streams, and the codes of errors.

The templates in `templates/docs` walk through the documents themselves; here is what they cannot say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from jinja2 import Environment
from markupsafe import Markup

Document = Mapping[str, Any]

PATCH_EXAMPLES: Final[Mapping[str, Any]] = {
    "application/json": {"description": "changed"},
    "application/merge-patch+json": {"description": "changed"},
    "application/json-patch+json": [{"op": "add", "path": "/description", "value": "changed"}],
    "application/json-patch-query+json": [{"op": "add", "path": "/description", "value": "changed"}],
}
_DIRECTIVES: Final = frozenset({"fields", "offset", "limit", "sort", "filter", "expand", "depth"})


class ApiEntry(msgspec.Struct, frozen=True):
    """One API in the list of all."""

    id: str
    """As `TMF620`."""
    title: str
    version: str
    base_path: str
    resources: tuple[str, ...]


class ErrorEntry(msgspec.Struct, frozen=True):
    """One code of error bodies."""

    code: str
    status: int
    meaning: str


class DocsPage(msgspec.Struct, frozen=True):
    """A page below `/docs`, for the template `docs/page.html`."""

    title: str
    content: Markup
    """Everything between the frame's navigation and its foot."""


class DocsPages:
    """Makes them with the templates of an environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        environment.filters |= {
            "json": _json,
            "resolved": resolved,
            "resolved_all": _resolved_all,
            "body_example": _body_example,
        }
        environment.tests |= {"filter_parameter": _is_filter, "attribute_filter": _is_attribute_filter}

    def index(self, name: str, apis: Iterable[ApiEntry]) -> DocsPage:
        """All APIs of the marketplace of that name."""
        return DocsPage("APIs", self._content("apis", name=name, apis=tuple(apis)))

    def errors(self, codes: Iterable[ErrorEntry]) -> DocsPage:
        """What the codes of error bodies mean."""
        return DocsPage("Errors", self._content("errors", codes=tuple(codes)))

    def api(self, document: Document, address: str | None = None) -> DocsPage:
        """One API, from its OpenAPI document, which is at `address` or at its base path."""
        base = _base_of(document)
        shown = {"document": document, "base": base, "address": address or f"{base}/openapi.json"}
        return DocsPage(document["info"]["title"], self._content("api", **shown))

    def streams(self, document: Document, address: str) -> DocsPage:
        """The channels with their messages, and the types of these; the AsyncAPI document is at `address`."""
        content = self._content("streams", document=document, address=address)
        return DocsPage(document["info"]["title"], content)

    def _content(self, template: str, **values: Any) -> Markup:
        return Markup(self._environment.get_template(f"docs/{template}.html").render(**values))  # noqa: S704 - rendered with escaping


def resolved(part: Document, document: Document) -> Document:
    """A part of a document, or what it refers to."""
    if "$ref" not in part:
        return part
    target: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return resolved(target, document)


def _resolved_all(parts: Iterable[Document], document: Document) -> list[Document]:
    return [resolved(part, document) for part in parts]


def _is_filter(parameter: Document) -> bool:
    """Whether a parameter selects entities by an attribute."""
    return parameter["in"] == "query" and parameter["name"] not in _DIRECTIVES


def _is_attribute_filter(parameter: Document) -> bool:
    """Whether it does so by one attribute, and is not the parameter that stands for all of them."""
    return _is_filter(parameter) and parameter["schema"].get("type") != "object"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _body_example(content: Document, method: str, media: str) -> str:
    """An example of a body, indented."""
    example = content.get("example", PATCH_EXAMPLES.get(media, {}) if method == "patch" else {})
    return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()


def _base_of(document: Document) -> str:
    """The path of the API at this marketplace, whatever address it is reached by."""
    url: str = document["servers"][0]["url"]
    path = url.partition("://")[2].partition("/")[2]
    return f"/{path}" if path else ""
