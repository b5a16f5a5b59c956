"""Texts of entities in pages: Markdown, and what must not reach a reader.

Descriptions are Markdown. What it becomes is sanitised by a library that is written for that: few elements,
links to the web alone, no pictures, no attributes that could carry style or script.

Control characters that turn the direction of text around, or cannot be seen, are removed from every value:
a name must not make what stands after it read as something else. The pages isolate the direction of names
themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, Final, Protocol

import msgspec
import nh3
from jinja2 import pass_context, pass_eval_context
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from hansa.business.search.results import MarkedText
from hansa.portal.frame.formats import count_text

MARKDOWN_MAX_CHARS: Final = 20_000
MARKDOWN_MAX_LINES: Final = 1000
"""Each can become a row of a table, thirty times as long as it was."""
HEADING_SHIFT: Final = 2
"""The title of a page is its first heading; those of a description begin below the second."""
ELEMENTS: Final = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "del", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
LINK_RELATION: Final = "noopener nofollow ugc"
_UNWANTED: Final = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ufeff\\ufff9-\\ufffb\\U000e0000-\\U000e007f]"
)
_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


class ListedChoice(Protocol):
    """A value of a facet, as pages show it."""

    @property
    def label(self) -> str:
        """The value, as a text of an entity."""

    @property
    def count(self) -> int:
        """How many hits have it."""

    @property
    def target(self) -> str:
        """Where choosing it leads, or no longer choosing it."""

    @property
    def depth(self) -> int:
        """In a tree."""

    @property
    def is_selected(self) -> bool:
        """Whether it is chosen."""


def shown(value: Any) -> Any:
    """A value of an expression of a template, without characters that deceive."""
    # Nothing that is printable is unwanted, and whether all is, is known much sooner.
    if not isinstance(value, str) or value.isprintable() or _UNWANTED.search(value) is None:
        return value
    cleaned = _UNWANTED.sub("", value)
    return Markup(cleaned) if isinstance(value, Markup) else cleaned  # noqa: S704 - it was markup before


def markdown(text: str) -> Markup:
    """A description as markup; what is beyond `MARKDOWN_MAX_CHARS` or `MARKDOWN_MAX_LINES` is left out."""
    lines = text[:MARKDOWN_MAX_CHARS].split("\n", MARKDOWN_MAX_LINES)
    cut = "\n".join(lines[:MARKDOWN_MAX_LINES])
    cut += " …" if len(cut) < len(text) else ""
    tokens = _PARSER.parse(cut)
    for token in tokens:
        _shift(token)
    rendered = _PARSER.renderer.render(tokens, _PARSER.options, {})
    safe = nh3.clean(
        rendered,
        tags=ELEMENTS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel=LINK_RELATION,
    )
    return Markup(safe)  # noqa: S704 - sanitised


def marked(text: MarkedText) -> Markup:
    """A text with what matches in `mark`."""
    parts: list[str] = []
    end = 0
    for one in text.highlights:
        parts += [
            _escaped(text.text[end : one.start]),
            "<mark>",
            _escaped(text.text[one.start : one.end]),
            "</mark>",
        ]
        end = one.end
    parts.append(_escaped(text.text[end:]))
    return Markup("".join(parts))  # noqa: S704 - every text of the entity is escaped


@pass_context
def choice_links(
    context: Context,
    choices: Iterable[ListedChoice],
    chosen: str,
    word: Callable[[str], Markup] | None = None,
) -> Markup:
    """Values of a facet as items of a list, each a link with its number.

    A page has a hundred and more: written as a template, they would take a third of its time.

    Args:
        context: Has the reader.
        choices: The values.
        chosen: Says of one that it is chosen, for whoever hears the page.
        word: Markup for a value that is a word of a model; None: values are texts of entities.
    """
    locale, said, value = context["reader"].locale, escape(chosen), word or _value
    links = (_choice_link(one, value(one.label), count_text(one.count, locale), said) for one in choices)
    return Markup("".join(links))  # noqa: S704 - every text of an entity is escaped


def _value(label: str) -> str:
    return f"<bdi>{_escaped(label)}</bdi>"


def _choice_link(one: ListedChoice, value: str, count: str, chosen: str) -> str:
    """One item, from the markup of its value."""
    current, tick, said = "", "", ""
    if one.is_selected:
        current, tick = ' aria-current="true"', '<span aria-hidden="true">✓ </span>'
        said = f'<span class="hidden"> {chosen}</span>'
    return (
        f'<li class="depth-{one.depth}"><a href="{_escaped(one.target)}"{current}><span class="value">{tick}'
        f'{value}</span> <span class="count">{count}</span>{said}</a></li>'
    )


@pass_eval_context
def data_block(context: EvalContext, value: Any) -> Markup:
    """JSON that may stand within `script`: nothing in it ends the element, or begins another."""
    del context
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing in it is markup


def _escaped(text: str) -> str:
    return escape(shown(text))


def _shift(token: Token) -> None:
    if token.type in {"heading_open", "heading_close"}:
        token.tag = f"h{min(6, int(token.tag[1]) + HEADING_SHIFT)}"
