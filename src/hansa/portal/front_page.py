"""The page at `/`: this marketplace, what its catalogue holds, the members of its league, its interfaces."""

from __future__ import annotations

from html import escape

import msgspec

from hansa.core.members import Member
from hansa.portal.page import HtmlPage, html_of, link, table


class FrontPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    name: str
    did: str
    version: str
    counts: tuple[tuple[str, int, int], ...]
    """Type, how many public entities of ours, how many of other members."""
    apis: int
    """How many are served."""
    members: tuple[Member, ...]
    height: int | None
    """Of the ledger; None while it cannot be asked."""
    position: int | None


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
        table(
            ("Type", "Offered here", "From other members"),
            ((escape(kind), str(own), str(others)) for kind, own, others in page.counts),
            numbers=True,
        ),
        "<h2>League</h2>",
        table(("Member", "Address", "Status"), map(_member_row, page.members)),
        "<h2>Interfaces</h2>",
        f'<p><a href="/docs">{page.apis} TM Forum Open APIs</a>: read what they take and give, and try them.</p>',
        f"<p>Hansa {escape(page.version)}</p>",
    ]
    return html_of(HtmlPage(page.name, "\n".join(body)))


def _member_row(member: Member) -> tuple[str, ...]:
    return (
        f"<span title='{escape(member.did)}'>{escape(member.name)}</span>",
        link(member.endpoint),
        escape(member.status),
    )
