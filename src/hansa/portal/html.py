"""HTML of the pages: templates, and the pieces that they are filled with.

A template is a file of `templates/` with `$name` where a value goes (`string.Template`). A value is escaped,
whoever said it, unless it is `Html`, which only the functions here and their callers in the portal make.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.resources import files
from string import Template


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def html_of(value: object) -> Html:
    """A value as it may stand in a page, within an element or in an attribute with quotation marks."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Values one after the other."""
    return Html(separator.join(map(html_of, parts)))


def fill(markup: str, **values: object) -> Html:
    """Markup with `$name` where the values go, which are escaped unless they are `Html`."""
    return Html(_template(markup).substitute({name: html_of(value) for name, value in values.items()}))


def render(template: str, **values: object) -> Html:
    """A template with its values, as `fill`."""
    return fill(_text(f"templates/{template}.html"), **values)


@cache
def _template(markup: str) -> Template:
    return Template(markup)


@cache
def static(name: str) -> str:
    """A file of `static/`."""
    return _text(f"static/{name}")


@cache
def _text(path: str) -> str:
    return files("hansa.portal").joinpath(path).read_text(encoding="utf-8").rstrip("\n")


def code(text: object) -> Html:
    """A name or value of the interface."""
    return fill("<code>$text</code>", text=text)


def table(heads: Iterable[str], rows: Iterable[Iterable[object]], *, numbers: bool = False) -> Html:
    """A table; `numbers`: all columns but the first hold numbers."""

    def cells(tag: str, attributes: str, contents: Iterable[object]) -> Html:
        aligned = " class='number'" if numbers else ""
        return Html(
            "".join(
                f"<{tag}{attributes}{aligned if index else ''}>{html_of(content)}</{tag}>"
                for index, content in enumerate(contents)
            )
        )

    return fill(
        "<div class='scroll'><table$figures><thead><tr>$head</tr></thead><tbody>$body</tbody></table></div>",
        figures=Html(" class='figures'" if numbers else ""),
        head=cells("th", " scope='col'", heads),
        body=join(Html(f"<tr>{cells('td', '', row)}</tr>") for row in rows),
    )


def link(address: str, text: str | None = None) -> Html:
    """A link when it leads to the web or to this place; the bare text of anything else."""
    if not address.startswith(("https://", "http://", "/")) or address.startswith("//"):
        return code(text or address)
    return fill(
        '<a href="$address" rel="noopener noreferrer">$text</a>', address=address, text=text or address
    )


def prose(text: str) -> Html:
    """A text of ours; what stands between backticks is code."""
    return join(code(part) if index % 2 else part for index, part in enumerate(text.split("`")))
