"""The page at `/`: this marketplace, what its catalogue holds, the members of its league, its interfaces."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.members import Member
from hansa.portal.html import Html, fill, link, render, table
from hansa.portal.page import HtmlPage

FRONT: Final = HtmlPage()


class Overview(msgspec.Struct, frozen=True):
    """The state of the marketplace that the page shows."""

    name: str
    did: str
    version: str
    """Of Hansa."""
    counts: tuple[tuple[str, int, int], ...]
    """Type, number of public entities of ours, number of those of other members."""
    members: tuple[Member, ...]
    height: int | None
    """Of the ledger; None while it is not available."""
    position: int | None
    """Of the newest event; None while it is not available."""


def front_page(overview: Overview, apis: int) -> bytes:
    """The page; `apis` is how many are served."""
    events = "event" if overview.position == 1 else "events"
    ledger = (
        "The ledger does not answer now."
        if overview.height is None
        else f"The ledger is at height {overview.height}, with {overview.position} {events}."
    )
    body = render(
        "front",
        name=overview.name,
        did=overview.did,
        ledger=ledger,
        catalogue=table(("Type", "Offered here", "From other members"), overview.counts, numbers=True),
        members=table(("Member", "Address", "Status"), map(_member_row, overview.members)),
        apis=apis,
        version=overview.version,
    )
    return FRONT.document(overview.name, body)


def _member_row(member: Member) -> tuple[Html | str, ...]:
    name = fill("<span title='$did'>$name</span>", did=member.did, name=member.name)
    return name, link(member.endpoint), member.status
