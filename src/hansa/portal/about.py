"""The page at `/about`: this marketplace, its league, what its catalogue holds, its interfaces."""

from __future__ import annotations

import msgspec

from hansa.core.members import Member


class Overview(msgspec.Struct, frozen=True):
    """The state of the marketplace."""

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


class AboutPage(Overview, frozen=True, kw_only=True):
    """The same, for the template `about.html`."""

    apis: int
    """How many TM Forum APIs are served."""
