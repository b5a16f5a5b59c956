"""The pages below `/docs`: all APIs, each API to read and to try, and what the codes of errors mean.

A page of an API is made from its OpenAPI document alone. It reads without a script; the script sends the
requests of its forms to this marketplace and shows the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final

import msgspec

from hansa.portal.docs.forms import is_filter, try_form
from hansa.portal.docs.schemas import resolved, schema_table, type_name
from hansa.portal.page import HtmlPage, html_of, link, page_headers, prose, table

DOCS_STYLE: Final = (files("hansa.portal") / "docs.css").read_text(encoding="utf-8")
DOCS_SCRIPT: Final = (files("hansa.portal") / "docs.js").read_text(encoding="utf-8")
METHODS: Final = ("get", "post", "patch", "put", "delete")
_HOME: Final = '<p class="small"><a href="/">Home</a> · <a href="/docs">All APIs</a></p>'

Document = Mapping[str, Any]


class ApiEntry(msgspec.Struct, frozen=True):
    """One API in the list of all."""

    id: str
    """As `TMF620`."""
    title: str
    version: str
    base_path: str
    resources: tuple[str, ...]


class ErrorCode(msgspec.Struct, frozen=True):
    """One code of error bodies."""

    code: str
    status: int
    reason: str


def docs_headers() -> dict[str, str]:
    """Headers of these pages."""
    return page_headers(DOCS_STYLE, DOCS_SCRIPT)


def index_page(name: str, apis: Iterable[ApiEntry]) -> bytes:
    """All APIs."""
    rows = [
        (
            link(f"/docs/{api.id}", api.id),
            f"{escape(api.title)} <span class='quiet small'>{escape(api.version)}</span>",
            ", ".join(f"<code>{escape(one)}</code>" for one in api.resources),
            link(f"{api.base_path}openapi.json", "openapi.json"),
        )
        for api in apis
    ]
    body = [
        '<p class="small"><a href="/">Home</a></p>',
        "<h1>APIs</h1>",
        (
            f"<p>What {escape(name)} serves: {len(rows)} TM Forum Open APIs. "
            '<a href="/docs/errors">What the codes of errors mean</a> has a page of its own.</p>'
        ),
        (
            '<div class="bar" hidden><label><span>Find by name, number or resource</span>'
            '<input id="search" type="search" autocomplete="off" autofocus></label></div>'
        ),
        f'<div class="scroll">{table(("API", "Title", "Resources", "Description"), rows)}</div>',
        '<p id="nothing" class="quiet" hidden>No API has that in its name or resources.</p>',
    ]
    return _page(f"APIs · {name}", body)


def errors_page(name: str, codes: Iterable[ErrorCode]) -> bytes:
    """What the codes of error bodies mean."""
    rows = (
        (f'<code id="{escape(one.code)}">{escape(one.code)}</code>', str(one.status), escape(one.reason))
        for one in codes
    )
    body = [
        _HOME,
        "<h1>Errors</h1>",
        (
            "<p>Every answer that is not a success has a body with <code>code</code>, <code>reason</code>, "
            "<code>message</code> and <code>status</code>. The message says what is wrong in that request.</p>"
        ),
        table(("Code", "Status", "Meaning"), rows),
    ]
    return _page(f"Errors · {name}", body)


def api_page(name: str, document: Document) -> bytes:
    """One API, from its OpenAPI document."""
    info = document["info"]
    base = _base_of(document)
    tags = [tag["name"] for tag in document["tags"]]
    body = [
        _HOME,
        f"<h1>{escape(info['title'])}</h1>",
        (
            f"<p>Version {escape(info['version'])}, at <code>{escape(base)}</code>, "
            f"described in {link(base + '/openapi.json', 'openapi.json')}. {escape(info['description'])}</p>"
        ),
        (
            '<div class="bar"><label><span>Bearer token: stays in this page, and goes with the requests that you send '
            'here</span><input id="token" type="password" autocomplete="off" spellcheck="false"></label></div>'
        ),
        "<noscript><p>Requests can be sent from here when scripts are allowed for this page.</p></noscript>",
        '<div class="columns"><nav aria-label="Contents"><ul>',
        *(f'<li><a href="#{escape(tag)}">{escape(tag)}</a></li>' for tag in tags),
        '<li><a href="#errors">Errors</a></li><li><a href="#types">Types</a></li></ul></nav><main>',
        *(_section(document, base, tag) for tag in tags),
        _statuses(document),
        '<section id="types"><h2>Types</h2>',
        *(_type(document, one) for one in sorted(document["components"]["schemas"])),
        "</section></main></div>",
    ]
    return _page(f"{info['title']} · {name}", body)


def _page(title: str, body: Iterable[str]) -> bytes:
    return html_of(HtmlPage(title, "\n".join(body), DOCS_STYLE, DOCS_SCRIPT))


def _base_of(document: Document) -> str:
    """The path of the API at this marketplace, whatever address it is reached by."""
    url: str = document["servers"][0]["url"]
    return "/" + url.partition("://")[2].partition("/")[2]


def _section(document: Document, base: str, tag: str) -> str:
    parts = [
        _operation(document, base, path, method, item)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and tag in item[method]["tags"]
    ]
    return f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>{"".join(parts)}</section>'


def _operation(document: Document, base: str, path: str, method: str, item: Document) -> str:
    operation = item[method]
    parameters = [
        resolved(document, one) for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
    ]
    return (
        f'<details class="operation" id="{escape(operation["operationId"])}"><summary>'
        f'<span class="method {method}">{method.upper()}</span> <span class="path">{escape(path)}</span> '
        f'{"".join(_labels(operation))}<span class="what">{escape(operation["summary"])}</span></summary>'
        f'<div class="inside">{_parameter_table(parameters)}{_body(operation)}'
        f"{_responses(document, operation)}"
        f"{try_form(base + path, method, parameters, operation)}</div></details>"
    )


def _labels(operation: Document) -> Iterator[str]:
    if operation.get("x-hansa-role"):
        yield f'<span class="tag">role {escape(operation["x-hansa-role"])}</span>'
    elif {} not in operation.get("security", [{"bearer": []}]):
        yield '<span class="tag">token</span>'


def _parameter_table(parameters: list[Document]) -> str:
    named = [one for one in parameters if not is_filter(one) or one["schema"].get("type") == "object"]
    filters = [f"<code>{escape(one['name'])}</code>" for one in parameters if one not in named]
    rows = [
        (f"<code>{escape(one['name'])}</code>", escape(one["in"]), prose(one.get("description", "")))
        for one in named
    ]
    if filters:
        rows.insert(
            -1, ("an attribute", "query", f"Entities that have one of these values: {', '.join(filters)}.")
        )
    shown = table(("Name", "In", "Meaning"), rows)
    return f'<h3>Parameters</h3><div class="scroll">{shown}</div>' if rows else ""


def _body(operation: Document) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    rows = [(f"<code>{escape(media)}</code>", type_name(one["schema"])) for media, one in content.items()]
    return f"<h3>Body</h3>{table(('Media type', 'Holds'), rows)}" if rows else ""


def _responses(document: Document, operation: Document) -> str:
    """A row for each success; the errors are the same everywhere and stand in one line."""
    rows, errors = [], []
    for status, part in operation["responses"].items():
        response = resolved(document, part)
        if status >= "4":
            errors.append(f'<a href="#status-{escape(status)}">{escape(status)}</a>')
            continue
        schemas = [type_name(one["schema"]) for one in response.get("content", {}).values()]
        names = ", ".join(f"<code>{escape(name)}</code>" for name in response.get("headers", {}))
        rows.append((escape(status), prose(response["description"]), ", ".join(schemas), names))
    shown = table(("Status", "Meaning", "Body", "Headers"), rows)
    return (
        f'<h3>Answers</h3><div class="scroll">{shown}</div>'
        f'<p class="small">Errors: {", ".join(errors)}, with a body of <a href="#type-Error">Error</a>.</p>'
    )


def _statuses(document: Document) -> str:
    """What the statuses of errors mean."""
    rows = (
        (
            f'<span id="status-{escape(status)}">{escape(status)}</span>',
            prose(response["description"]),
            ", ".join(f"<code>{escape(name)}</code>" for name in response.get("headers", {})),
        )
        for status, response in document["components"]["responses"].items()
    )
    return f'<section id="errors"><h2>Errors</h2>{table(("Status", "Meaning", "Headers"), rows)}</section>'


def _type(document: Document, name: str) -> str:
    shown = schema_table(document["components"]["schemas"][name])
    return (
        f'<details class="type" id="type-{escape(name)}"><summary><strong>{escape(name)}</strong></summary>'
        f'<div class="inside">{shown}</div></details>'
    )
