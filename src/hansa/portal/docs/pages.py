"""The pages below `/docs`: all APIs, each API to read and to try, and what the codes of errors mean.

A page about an API is made from its OpenAPI document alone. It can be read without a script; the script sends
the requests of its forms to this marketplace and shows the responses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hansa.portal.docs.forms import is_filter, try_form
from hansa.portal.docs.schemas import resolved, schema_table, type_name
from hansa.portal.html import Html, code, fill, join, link, prose, render, static, table
from hansa.portal.page import HtmlPage

DOCS: Final = HtmlPage(f"{static('docs.css')}\n", f"{static('docs.js')}\n")
METHODS: Final = ("get", "post", "patch", "put", "delete")

Document = Mapping[str, Any]


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


def index_page(name: str, apis: Iterable[ApiEntry]) -> bytes:
    """All APIs of the marketplace of that name."""
    title = "$title <span class='quiet small'>$version</span>"
    rows = [
        (
            link(f"/docs/{api.id}", api.id),
            fill(title, title=api.title, version=api.version),
            join(map(code, api.resources), ", "),
            link(f"{api.base_path}openapi.json", "openapi.json"),
        )
        for api in apis
    ]
    shown = table(("API", "Title", "Resources", "Description"), rows)
    return DOCS.document(f"APIs · {name}", render("apis", name=name, count=len(rows), apis=shown))


def errors_page(name: str, codes: Iterable[ErrorEntry]) -> bytes:
    """What the codes of error bodies mean."""
    rows = (
        (fill('<code id="$code">$code</code>', code=one.code), one.status, prose(one.meaning))
        for one in codes
    )
    return DOCS.document(
        f"Errors · {name}", render("errors", codes=table(("Code", "Status", "Meaning"), rows))
    )


def api_page(name: str, document: Document, address: str | None = None) -> bytes:
    """One API, from its OpenAPI document, which is at `address`; by default at the base path of the API."""
    info = document["info"]
    base = _base_of(document)
    tags = [tag["name"] for tag in document["tags"]]
    body = render(
        "api",
        title=info["title"],
        version=info["version"],
        base=base or "/",
        description=prose(info["description"]),
        description_link=link(address or base + "/openapi.json", "openapi.json"),
        contents=join((fill('<li><a href="#$tag">$tag</a></li>', tag=tag) for tag in tags), "\n"),
        sections=join((_section(document, base, tag) for tag in tags), "\n"),
        statuses=_statuses(document),
        types=join((type_section(document, one) for one in sorted(document["components"]["schemas"])), "\n"),
    )
    return DOCS.document(f"{info['title']} · {name}", body)


def _base_of(document: Document) -> str:
    """The path of the API at this marketplace, whatever address it is reached by."""
    url: str = document["servers"][0]["url"]
    path = url.partition("://")[2].partition("/")[2]
    return f"/{path}" if path else ""


def _section(document: Document, base: str, tag: str) -> Html:
    operations = join(
        _operation(document, base, path, method, item)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and tag in item[method]["tags"]
    )
    text = next((prose(one.get("description", "")) for one in document["tags"] if one["name"] == tag), "")
    return fill(
        '<section id="$tag"><h2>$tag</h2><p>$text</p>$operations</section>',
        tag=tag,
        text=text,
        operations=operations,
    )


def _operation(document: Document, base: str, path: str, method: str, item: Document) -> Html:
    operation = item[method]
    parameters = [
        resolved(document, one) for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
    ]
    return fill(
        '<details class="operation" id="$id"><summary>'
        '<span class="method $method">$verb</span> <span class="path">$path</span> '
        '$labels<span class="what">$summary</span></summary>'
        '<div class="inside"><p>$text</p>$parameters$body$responses$form</div></details>',
        id=operation["operationId"],
        method=method,
        verb=method.upper(),
        path=path,
        labels=join(_labels(operation)),
        summary=operation["summary"],
        text=prose(operation.get("description", "")),
        parameters=_parameter_table(parameters),
        body=_body(operation),
        responses=_responses(document, operation),
        form=try_form(base + path, method, parameters, operation),
    )


def _labels(operation: Document) -> Iterator[Html]:
    if operation.get("x-hansa-role"):
        yield fill('<span class="tag">role $role</span>', role=operation["x-hansa-role"])
    elif {} not in operation.get("security", [{"bearer": []}]):
        yield Html('<span class="tag">token</span>')


def _parameter_table(parameters: list[Document]) -> Html:
    named = [one for one in parameters if not is_filter(one) or one["schema"].get("type") == "object"]
    filters = [code(one["name"]) for one in parameters if one not in named]
    rows: list[tuple[object, ...]] = [
        (code(one["name"]), one["in"], prose(one.get("description", ""))) for one in named
    ]
    if filters:
        meaning = join(("Entities that have one of these values: ", join(filters, ", "), "."))
        rows.insert(-1, ("an attribute", "query", meaning))
    shown = table(("Name", "In", "Meaning"), rows)
    return fill("<h3>Parameters</h3>$table", table=shown) if rows else Html()


def _body(operation: Document) -> Html:
    content = operation.get("requestBody", {}).get("content", {})
    rows = [(code(media), type_name(one["schema"])) for media, one in content.items()]
    return fill("<h3>Body</h3>$table", table=table(("Media type", "Holds"), rows)) if rows else Html()


def _responses(document: Document, operation: Document) -> Html:
    """A row for each success; the errors are the same everywhere and stand in one line."""
    rows: list[tuple[object, ...]] = []
    errors: list[Html] = []
    for status, reference in operation["responses"].items():
        response = resolved(document, reference)
        if status >= "4":
            errors.append(fill('<a href="#status-$status">$status</a>', status=status))
            continue
        schemas = [type_name(one["schema"]) for one in response.get("content", {}).values()]
        headers = map(code, response.get("headers", {}))
        rows.append((status, prose(response["description"]), join(schemas, ", "), join(headers, ", ")))
    return fill(
        "<h3>Responses</h3>$table"
        '<p class="small">Errors: $errors, with a body of <a href="#type-Error">Error</a>.</p>',
        table=table(("Status", "Meaning", "Body", "Headers"), rows),
        errors=join(errors, ", "),
    )


def _statuses(document: Document) -> Html:
    """What the statuses of errors mean."""
    rows = (
        (
            fill('<span id="status-$status">$status</span>', status=status),
            prose(response["description"]),
            join(map(code, response.get("headers", {})), ", "),
        )
        for status, response in document["components"]["responses"].items()
    )
    shown = table(("Status", "Meaning", "Headers"), rows)
    return fill('<section id="errors"><h2>Errors</h2>$table</section>', table=shown)


def type_section(document: Document, name: str) -> Html:
    """A type, folded: its attributes with what they mean."""
    return fill(
        '<details class="type" id="type-$name"><summary><strong>$name</strong></summary>'
        '<div class="inside">$table</div></details>',
        name=name,
        table=schema_table(document["components"]["schemas"][name]),
    )
