"""`hansa diff`: compares the public catalogues of members by identifier, hash and origin.

The listings of all members are read side by side in the order of identifiers and merged, so that memory does
not grow with the size of the catalogues.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Final, Literal

import msgspec

from hansa.api.catalogue import CatalogueEntry
from hansa.business.models import load
from hansa.cli.catalogue.listing import entries
from hansa.cli.client import PatientClient
from hansa.cli.durations import seconds_of
from hansa.cli.options import at_least
from hansa.cli.output import Output
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.known_words import check_known

Kind = Literal["missing", "content", "origin"]
KINDS: Final[tuple[Kind, ...]] = ("missing", "content", "origin")
DIFFERENCES_MAX: Final = 10_000
HASH_SHOWN_CHARS: Final = 8
WAIT_INTERVAL_S: Final = 0.5


class Difference(msgspec.Struct, frozen=True):
    """One entity that is not the same at every member."""

    id: str
    type: str
    kind: Kind
    """The first that applies: `missing` at a member, different `content`, different `origin`."""
    hashlinks: tuple[str | None, ...]
    """By member, in the order of the addresses; None where it is missing."""
    origins: tuple[str | None, ...]


class CatalogueComparison(msgspec.Struct):
    """The result of a comparison: the first differences, and the number of all."""

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


def run_diff(
    urls: Sequence[str], types: Sequence[str], wait: str, limit: int, output: Output, clock: Clock
) -> int:
    """Compare catalogues and show the result. Returns 1 when they differ.

    Raises:
        HansaError: when a marketplace cannot be reached or refuses, or an option is invalid.
    """
    if len(urls) < 2:
        raise Refused(Code.INVALID, "Give the addresses of two members or more.")
    if types:
        check_known(types, load().catalogue_types, "public type")
    wait_s, limit = seconds_of(wait), at_least(limit, 0, "--limit")

    async def run() -> CatalogueComparison:
        deadline_s = clock.monotonic() + wait_s
        while True:
            comparison = await compare(urls, types, limit)
            if not comparison.count or clock.monotonic() >= deadline_s:
                return comparison
            await clock.sleep(min(WAIT_INTERVAL_S, max(0.0, deadline_s - clock.monotonic())))

    comparison = asyncio.run(run())
    if output.as_json:
        output.document({"same": not comparison.count, **msgspec.structs.asdict(comparison)})
    else:
        show_comparison(comparison, output)
    return 1 if comparison.count else 0


async def compare(
    urls: Sequence[str], types: Sequence[str] = (), differences_max: int = DIFFERENCES_MAX
) -> CatalogueComparison:
    """Compare the catalogues at these addresses.

    Raises:
        HansaError: when one of the marketplaces cannot be reached or refuses.
    """
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(PatientClient(url, connections_max=2)) for url in urls]
        return await merge([entries(client, types) for client in clients], urls, differences_max)


async def merge(
    listings: Sequence[AsyncIterator[CatalogueEntry]],
    members: Sequence[str],
    differences_max: int = DIFFERENCES_MAX,
) -> CatalogueComparison:
    """Compare several listings, each in the order of identifiers, in one pass over all of them.

    `differences_max` bounds the differences that are listed; all are counted.
    """
    comparison = CatalogueComparison(tuple(members), [0] * len(members))
    heads = list(await asyncio.gather(*(_next(listing) for listing in listings)))
    while any(heads):
        first = min(head.id for head in heads if head is not None)
        by_member = [head if head is not None and head.id == first else None for head in heads]
        for index, entry in enumerate(by_member):
            if entry is not None:
                comparison.entities[index] += 1
                heads[index] = await _next(listings[index])
        difference = difference_of(by_member)
        if difference is not None:
            setattr(comparison, difference.kind, getattr(comparison, difference.kind) + 1)
            if len(comparison.differences) < differences_max:
                comparison.differences.append(difference)
    return comparison


def difference_of(by_member: Sequence[CatalogueEntry | None]) -> Difference | None:
    """How one entity differs between the members, or None; an entry is None where the entity is missing."""
    present = [entry for entry in by_member if entry is not None]
    assert present, "an entity is at one member at least"
    kind: Kind
    if len(present) < len(by_member):
        kind = "missing"
    elif len({entry.hashlink for entry in present}) > 1:
        kind = "content"
    elif len({entry.origin for entry in present}) > 1:
        kind = "origin"
    else:
        return None
    return Difference(
        id=present[0].id,
        type=present[0].type,
        kind=kind,
        hashlinks=tuple(entry.hashlink if entry else None for entry in by_member),
        origins=tuple(entry.origin if entry else None for entry in by_member),
    )


def show_comparison(comparison: CatalogueComparison, output: Output) -> None:
    """Write a comparison for a person."""
    members, entities, count = comparison.members, comparison.entities, comparison.count
    if not count:
        output.data(
            f"The catalogues are the same: {entities[0]:,} entities at each of {len(members)} members."
        )
        return
    if comparison.differences:
        output.table(("type", "id", "differs in", *members), rows_of(comparison.differences))
    if count > len(comparison.differences):
        output.data(f"… and {count - len(comparison.differences):,} more (--limit shows more of them)")
    counts = {kind: getattr(comparison, kind) for kind in KINDS}
    by_kind = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number)
    sizes = ", ".join(f"{number:,} at {url}" for url, number in zip(members, entities, strict=True))
    output.data(f"The catalogues differ in {count:,} entities ({by_kind}). Entities: {sizes}.")


def rows_of(differences: Sequence[Difference]) -> list[list[str]]:
    """A table of differences: type, identifier, kind, and the end of each member's hash or origin."""
    rows = []
    for difference in differences:
        values = difference.origins if difference.kind == "origin" else difference.hashlinks
        cells = [value[-HASH_SHOWN_CHARS:] if value else "missing" for value in values]
        rows.append([difference.type, difference.id, difference.kind, *cells])
    return rows


async def _next(listing: AsyncIterator[CatalogueEntry]) -> CatalogueEntry | None:
    return await anext(listing, None)
