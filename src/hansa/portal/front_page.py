"""The page at `/`: one document without scripts or further requests.

Everything that is put into the page is escaped, whoever said it. The policy allows nothing but the one style sheet,
which it names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final

import msgspec

from hansa.core.members import Member

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code { overflow-wrap: anywhere; }
"""

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class FrontPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    name: str
    did: str
    version: str
    counts: tuple[tuple[str, int, int], ...]
    """Type, how many public entities of ours, how many of other members."""
    apis: tuple[tuple[str, str], ...]
    """Name and address."""
    members: tuple[Member, ...]
    height: int | None
    """Of the ledger; None while it cannot be asked."""
    position: int | None


def page_headers() -> dict[str, str]:
    """Headers of a page: nothing may be loaded, framed or guessed."""
    return {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def front_page(page: FrontPage) -> bytes:
    """The page as HTML."""
    ledger = (
        "The ledger does not answer now."
        if page.height is None
        else f"The ledger is at height {page.height}, with {page.position} events."
    )
    body = [
        f"<h1>{escape(page.name)}</h1>",
        f"<p><code>{escape(page.did)}</code></p>",
        f"<p>{ledger}</p>",
        "<h2>Catalogue</h2>",
        _table(
            ("Type", "Offered here", "From other members"),
            ((escape(kind), str(own), str(others)) for kind, own, others in page.counts),
            numbers=True,
        ),
        "<h2>League</h2>",
        _table(("Member", "Address", "Status"), map(_member_row, page.members)),
        "<h2>Interfaces</h2>",
        _table(("What", "Where"), ((escape(name), _link(address)) for name, address in page.apis)),
        f"<p>Hansa {escape(page.version)}</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    ).encode()


def _member_row(member: Member) -> tuple[str, ...]:
    return (
        f"<span title='{escape(member.did)}'>{escape(member.name)}</span>",
        _link(member.endpoint),
        escape(member.status),
    )


def _link(address: str) -> str:
    """A link when it leads to the web or to this place; the bare text of anything else."""
    if not address.startswith(("https://", "http://", "/")) or address.startswith("//"):
        return f"<code>{escape(address)}</code>"
    return f'<a href="{escape(address)}" rel="noopener noreferrer">{escape(address)}</a>'


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, numbers: bool = False) -> str:
    """A table; the cells of `rows` are HTML already. With `numbers`, all columns but the first hold numbers."""

    def cells(tag: str, contents: Iterable[str]) -> str:
        aligned = " class='number'" if numbers else ""
        return "".join(
            f"<{tag}{aligned if index else ''}>{content}</{tag.split(' ', 1)[0]}>"
            for index, content in enumerate(contents)
        )

    head = cells("th scope='col'", map(escape, heads))
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
