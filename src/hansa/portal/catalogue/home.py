"""The front page: a search box first, then ways in: categories, marketplaces, what is new."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from hansa.business.search.results import FacetName, SearchPage, SearchRequest
from hansa.portal.catalogue.origins import KnownOrigins
from hansa.portal.catalogue.search_page import ShownHit, search_view

NEWEST_MAX = 8
LOOKED_AT_MAX = 24
"""Of the newest, those are shown that can be had."""
ENDED_STATES = frozenset({"Retired", "Obsolete"})
WAYS_MAX = 12


class WayIn(msgspec.Struct, frozen=True):
    """Something to begin with, and how many offerings it leads to."""

    label: str
    count: int
    target: str


class HomePage(msgspec.Struct, frozen=True):
    """For the template `home.html`."""

    total: int
    """Offerings that are here."""
    categories: tuple[WayIn, ...]
    marketplaces: tuple[WayIn, ...]
    newest: tuple[ShownHit, ...]
    problem: str = ""
    """Why the catalogue cannot be searched now."""


def newest_offerings(limit: int = LOOKED_AT_MAX) -> SearchRequest:
    """The search whose answer the front page shows."""
    return SearchRequest(sort="newest", limit=limit, only_offerings=True)


def home_page(page: SearchPage, origins: KnownOrigins, favourites: tuple[str, ...] | None = None) -> HomePage:
    """The front page, from the newest offerings and their facets."""
    hits = search_view(page, (), (), origins, favourites).hits
    return HomePage(
        total=page.total,
        categories=_ways(page, "category"),
        marketplaces=_ways(page, "origin"),
        newest=tuple(one for one in hits if one.hit.status not in ENDED_STATES)[:NEWEST_MAX],
    )


def _ways(page: SearchPage, name: FacetName) -> tuple[WayIn, ...]:
    values = next((one.values for one in page.facets if one.name == name), ())
    return tuple(
        WayIn(one.label, one.count, f"/search?{urlencode([('type', 'ProductOffering'), (name, one.value)])}")
        for one in values[:WAYS_MAX]
        if one.count
    )
