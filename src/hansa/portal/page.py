"""The frame of every page: one document, whose policy names its style and its script by their hashes.

Nothing is loaded from anywhere, nothing is framed, and everything that is put into a page is escaped, whoever
said it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final

import msgspec

STYLE: Final = """
:root {
  color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif;
  --line: #8884; --soft: #8881; --quiet: #596068; --accent: #0b5cad; --accent-text: #fff;
  --good: #1a7f37; --bad: #b42318; --warn: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root { --quiet: #a3abb5; --accent: #79b8ff; --accent-text: #0b1a2b; --good: #56d364; --bad: #ff8f85; --warn: #e3b341; }
}
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
"""


class HtmlPage(msgspec.Struct, frozen=True):
    """A page; `body` is HTML already."""

    title: str
    body: str
    style: str = ""
    """Beyond that of every page."""
    script: str = ""


def html_of(page: HtmlPage) -> bytes:
    """The document."""
    script = f"<script>{page.script}</script>\n" if page.script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}{page.style}</style>\n</head>\n<body>\n"
        f"{page.body}\n{script}</body>\n</html>\n"
    ).encode()


def page_headers(style: str = "", script: str = "") -> dict[str, str]:
    """Headers of a page with that style and script. A script may ask this marketplace, and nobody else."""
    allowed = f"script-src {_source(script)}; connect-src 'self'; " if script else ""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {_source(STYLE + style)}; {allowed}"
        "img-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: bool = False) -> str:
    """A table; the cells of `rows` are HTML already. `numbers`: all columns but the first hold numbers."""

    def cells(tag: str, contents: Iterable[str]) -> str:
        aligned = " class='number'" if numbers else ""
        return "".join(
            f"<{tag}{aligned if index else ''}>{content}</{tag.split(' ', 1)[0]}>"
            for index, content in enumerate(contents)
        )

    head = cells("th scope='col'", map(escape, heads))
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def link(address: str, text: str | None = None) -> str:
    """A link when it leads to the web or to this place; the bare text of anything else."""
    shown = escape(text or address)
    if not address.startswith(("https://", "http://", "/")) or address.startswith("//"):
        return f"<code>{shown}</code>"
    return f'<a href="{escape(address)}" rel="noopener noreferrer">{shown}</a>'


def prose(text: str) -> str:
    """A text of ours as HTML; what stands between backticks is code."""
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part)
        for index, part in enumerate(text.split("`"))
    )
