"""Offerings side by side, with what differs marked; and a list of favourites. Both live in the URL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

from hansa.portal.catalogue.offering.page import Offering
from hansa.portal.catalogue.offering.prices import PriceRow
from hansa.portal.catalogue.search_page import PICK, ShownHit

COMPARED_MAX: Final = 4
CHARACTERISTICS_MAX: Final = 400
"""Of all offerings together, that are compared."""

RowKind = Literal["provider", "origin", "status", "categories", "labels", "terms", "characteristic"]


class ComparedOffering(msgspec.Struct, frozen=True):
    """A column."""

    offering: Offering
    origin: str
    """Name of the marketplace it comes from."""
    prices: tuple[PriceRow, ...]
    without: str
    """Path of the comparison without it."""


class ComparisonRow(msgspec.Struct, frozen=True):
    """One property of all of them."""

    kind: RowKind
    name: str
    """Of a characteristic."""
    cells: tuple[str, ...]
    """Empty for an offering that does not have it."""
    is_different: bool


class ComparisonPage(msgspec.Struct, frozen=True):
    """For the templates `comparison.html` and `favourites.html`."""

    columns: tuple[ComparedOffering, ...]
    rows: tuple[ComparisonRow, ...]
    picked: tuple[str, ...]
    """Identifiers, of those that are not here, too."""
    missing: int
    """Of those that were picked and are not here, or not for everybody."""
    other: str
    """Path of the favourites for a comparison, and of the comparison for favourites."""
    text: str = ""
    """What was searched for, to add one."""
    hits: tuple[tuple[ShownHit, str], ...] = ()
    """What was found, and where adding it leads."""
    stored: tuple[str, ...] | None = None
    """Favourites that are kept for whoever is logged in; None: nobody is, or it is a comparison."""
    absent: tuple[str, ...] = ()
    """Those of `picked` that are not here."""

    @property
    def unsaved(self) -> tuple[str, ...]:
        """What is picked by the address and is no favourite yet."""
        return tuple(one for one in self.picked if one not in (self.stored or ()))


def comparison_page(
    columns: Sequence[tuple[Offering, str]], picked: tuple[str, ...], path: str, other: str
) -> ComparisonPage:
    """The page for offerings, each with the name of its origin."""
    compared = tuple(
        ComparedOffering(
            offering,
            origin,
            tuple(row for plan in offering.plans for row in plan.rows),
            picks(path, (one for one in picked if one != offering.id)),
        )
        for offering, origin in columns
    )
    return ComparisonPage(
        columns=compared,
        rows=tuple(_rows(compared)),
        picked=picked,
        missing=len(picked) - len(compared),
        absent=tuple(one for one in picked if one not in {each.offering.id for each in compared}),
        other=picks(other, picked),
    )


def picks(path: str, ids: Iterable[str]) -> str:
    """A path with offerings that are picked."""
    query = urlencode([(PICK, one) for one in ids])
    return f"{path}?{query}" if query else path


def _rows(columns: Sequence[ComparedOffering]) -> Iterable[ComparisonRow]:
    offerings = [one.offering for one in columns]
    yield _row("provider", "", [one.provider.name if one.provider else "" for one in offerings])
    yield _row("origin", "", [one.origin for one in columns])
    yield _row("status", "", [one.status for one in offerings])
    yield _row(
        "categories", "", [", ".join(sorted(item.name for item in one.categories)) for one in offerings]
    )
    yield _row("labels", "", [", ".join(sorted(item.name for item in one.labels)) for one in offerings])
    yield _row("terms", "", [", ".join(item.name for item in one.terms) for one in offerings])
    values = [{item.name: ", ".join(item.values) for item in one.characteristics} for one in offerings]
    names = dict.fromkeys(name for each in values for name in each)
    for name in islice(names, CHARACTERISTICS_MAX):
        yield _row("characteristic", name, [each.get(name, "") for each in values])


def _row(kind: RowKind, name: str, cells: list[str]) -> ComparisonRow:
    return ComparisonRow(kind, name, tuple(cells), len(set(cells)) > 1)
