"""Compares the public catalogues of members: the same identifiers, hashes and origins everywhere?

All members' listings are read side by side in the order of identifiers and merged, so that catalogues of any size fit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final, Literal

import msgspec

from hansa.api.catalogue import CatalogueEntry
from hansa.cli.catalogue import entries
from hansa.cli.client import Client

Kind = Literal["missing", "content", "origin"]
KINDS: Final[tuple[Kind, ...]] = ("missing", "content", "origin")
KEPT_MAX: Final = 10_000
HASH_SHOWN_CHARS: Final = 8


class Difference(msgspec.Struct, frozen=True):
    """One entity that is not the same everywhere."""

    id: str
    type: str
    kind: Kind
    """`missing` at one member at least; else another `content`; else another `origin`."""
    hashlinks: tuple[str | None, ...]
    """By member, in the order of the addresses; None where it is missing."""
    origins: tuple[str | None, ...]


class CatalogueComparison(msgspec.Struct):
    """What was found; the first differences are kept, all are counted."""

    members: tuple[str, ...]
    entities: list[int]
    """Public entities at each member."""
    missing: int = 0
    content: int = 0
    origin: int = 0
    differences: list[Difference] = []

    @property
    def count(self) -> int:
        """All differences."""
        return self.missing + self.content + self.origin


async def compare(
    urls: Sequence[str], types: Sequence[str] = (), kept_max: int = KEPT_MAX
) -> CatalogueComparison:
    """Compare the catalogues at these addresses.

    Raises:
        HansaError: when one is not to be had.
    """
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(url, connections_max=2)) for url in urls]
        return await merge([entries(client, types) for client in clients], urls, kept_max)


async def merge(
    listings: Sequence[AsyncIterator[CatalogueEntry]], members: Sequence[str], kept_max: int = KEPT_MAX
) -> CatalogueComparison:
    """Walk several listings, each in the order of identifiers, side by side."""
    found = CatalogueComparison(tuple(members), [0] * len(members))
    heads = list(await asyncio.gather(*(_next(listing) for listing in listings)))
    while any(heads):
        current = min(head.id for head in heads if head is not None)
        here = [head if head is not None and head.id == current else None for head in heads]
        for index, entry in enumerate(here):
            if entry is not None:
                found.entities[index] += 1
                heads[index] = await _next(listings[index])
        difference = difference_of(here)
        if difference is not None:
            setattr(found, difference.kind, getattr(found, difference.kind) + 1)
            if len(found.differences) < kept_max:
                found.differences.append(difference)
    return found


def difference_of(here: Sequence[CatalogueEntry | None]) -> Difference | None:
    """How one entity differs between the members, or None."""
    there = [entry for entry in here if entry is not None]
    kind: Kind
    if len(there) < len(here):
        kind = "missing"
    elif len({entry.hashlink for entry in there}) > 1:
        kind = "content"
    elif len({entry.origin for entry in there}) > 1:
        kind = "origin"
    else:
        return None
    return Difference(
        id=there[0].id,
        type=there[0].type,
        kind=kind,
        hashlinks=tuple(entry.hashlink if entry else None for entry in here),
        origins=tuple(entry.origin if entry else None for entry in here),
    )


def rows_of(differences: Sequence[Difference]) -> list[list[str]]:
    """A table of differences: type, identifier, kind, and the end of each member's hash."""
    rows = []
    for difference in differences:
        shown = difference.origins if difference.kind == "origin" else difference.hashlinks
        cells = [value[-HASH_SHOWN_CHARS:] if value else "missing" for value in shown]
        rows.append([difference.type, difference.id, difference.kind, *cells])
    return rows


async def _next(listing: AsyncIterator[CatalogueEntry]) -> CatalogueEntry | None:
    return await anext(listing, None)
