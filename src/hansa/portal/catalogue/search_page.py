"""Hits and facets of a search. What a person chose stands in the URL: each link is another search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import parse_qsl, quote_plus, unquote_plus

import msgspec

from hansa.business.search.results import FacetName, Hit, SearchPage
from hansa.portal.catalogue.fields import path_of
from hansa.portal.catalogue.origins import KnownOrigins
from hansa.portal.catalogue.reading import CATALOGUES, SPECIFICATIONS

PICK: Final = "pick"
"""The parameter with the offerings that are picked for comparing."""
OWN_PARAMETERS: Final = frozenset({PICK, "lang"})
"""Parameters of the page that are none of the search."""
PICKED_MAX: Final = 20
CHOICES_MAX: Final = 40
"""So many values of a facet are on a page."""
ENCODED_CACHED_MAX: Final = 4096
ENCODED_MAX_CHARS: Final = 128
"""Of a name or value of a parameter that is encoded once for all."""
PAGE_PATHS: Final = {
    "ProductOffering": "offerings",
    "Organization": "providers",
    "Category": "categories",
    "ProductOfferingPrice": "prices",
    **dict.fromkeys(SPECIFICATIONS, "specifications"),
    **dict.fromkeys(CATALOGUES, "catalogues"),
}

Pairs = tuple[tuple[str, str], ...]


class FacetChoice(msgspec.Struct, frozen=True):
    """A value of a facet, and where choosing it, or no longer choosing it, leads."""

    label: str
    count: int
    is_selected: bool
    target: str
    depth: int = 0
    """In the tree of categories."""


class FacetPanel(msgspec.Struct, frozen=True):
    """The values of one facet."""

    name: FacetName
    choices: tuple[FacetChoice, ...]
    is_approximate: bool
    is_cut: bool


class Chip(msgspec.Struct, frozen=True):
    """Something that was chosen, and where removing it leads."""

    name: str
    """Of the facet, or `price_from`, `price_to`."""
    label: str
    target: str


class ShownHit(msgspec.Struct, frozen=True):
    """A hit, and where its page is."""

    hit: Hit
    path: str
    origin: str
    """Name of the marketplace it comes from."""
    is_pickable: bool
    """Whether it can be compared."""
    is_picked: bool
    is_favourite: bool | None = None
    """Of whoever looks; None: that is not known here, or it is no offering."""


class SearchView(msgspec.Struct, frozen=True):
    """For the template `search.html`."""

    text: str
    total: int
    is_approximate: bool
    first: int
    """Number of the first hit that is shown."""
    hits: tuple[ShownHit, ...]
    panels: tuple[FacetPanel, ...]
    chips: tuple[Chip, ...]
    sort: str
    sorts: tuple[tuple[str, str], ...]
    """Order, and where it leads."""
    retained: Pairs
    """Parameters that the search box sends along."""
    answered_text: str
    did_you_mean: str | None
    did_you_mean_target: str
    previous: str | None
    next: str | None
    unsearched: int
    price_from: str
    price_to: str
    reset: str
    """The same words without anything chosen."""
    problem: str = ""
    """Why the search could not be answered."""
    retry_after_s: int | None = None


def search_parts(query_string: bytes) -> tuple[bytes, Pairs, tuple[str, ...]]:
    """The query of the search itself, its parameters, and what is picked."""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=False, errors="replace")
    own = [part for part in query_string.split(b"&") if part and _name_of(part) not in OWN_PARAMETERS]
    picked = tuple(dict.fromkeys(value for name, value in pairs if name == PICK))[:PICKED_MAX]
    return b"&".join(own), tuple(pair for pair in pairs if pair[0] not in OWN_PARAMETERS), picked


def search_view(
    page: SearchPage,
    pairs: Pairs,
    picked: tuple[str, ...],
    origins: KnownOrigins,
    favourites: tuple[str, ...] | None = None,
) -> SearchView:
    """The page of a search that was answered; with the favourites of whoever looks, where they have some."""
    address = _Addresses(pairs, picked)
    following = page.offset + page.limit
    return SearchView(
        text=page.text,
        total=page.total,
        is_approximate=page.is_approximate,
        first=page.offset + 1,
        hits=tuple(_shown(hit, picked, origins, favourites) for hit in page.hits),
        panels=tuple(_panel(page, one.name, address) for one in page.facets if len(one.values) > 0),
        chips=tuple(_chips(page, pairs, address)),
        sort=page.sort,
        sorts=tuple((name, address.with_one("sort", name)) for name in ("relevance", "price", "newest")),
        retained=tuple(pair for pair in pairs if pair[0] not in {"q", "offset"}),
        answered_text=page.answered_text,
        did_you_mean=page.did_you_mean,
        did_you_mean_target=address.with_one("q", page.did_you_mean or ""),
        previous=address.with_one("offset", str(max(0, page.offset - page.limit))) if page.offset else None,
        next=address.with_one("offset", str(following)) if following < page.total and page.hits else None,
        unsearched=page.unsearched,
        price_from=dict(pairs).get("price_from", ""),
        price_to=dict(pairs).get("price_to", ""),
        reset=_Addresses(tuple(pair for pair in pairs if pair[0] == "q"), picked).all(),
    )


def failed_search(
    pairs: Pairs, picked: tuple[str, ...], problem: str, retry_after_s: int | None
) -> SearchView:
    """The page of a search that could not be answered; what was asked stays in its form."""
    chosen = dict(pairs)
    words = tuple(pair for pair in pairs if pair[0] == "q")
    return SearchView(
        text=chosen.get("q", ""),
        total=0,
        is_approximate=False,
        first=1,
        hits=(),
        panels=(),
        chips=(),
        sort="relevance",
        sorts=(),
        retained=(),
        answered_text="",
        did_you_mean=None,
        did_you_mean_target="",
        previous=None,
        next=None,
        unsearched=0,
        price_from=chosen.get("price_from", ""),
        price_to=chosen.get("price_to", ""),
        reset=_Addresses(words, picked).all(),
        problem=problem,
        retry_after_s=retry_after_s,
    )


class _Addresses:
    """Searches that differ from this one."""

    def __init__(self, pairs: Pairs, picked: tuple[str, ...]) -> None:
        self._pairs = pairs
        self._picked = tuple((PICK, one) for one in picked)
        # A page has up to two hundred addresses, which differ in one parameter.
        self._without_offset = {pair: _parameter(*pair) for pair in pairs if pair[0] != "offset"}
        self._picked_text = tuple(_parameter(*pair) for pair in self._picked)

    def all(self) -> str:
        """This search."""
        return _search(self._pairs + self._picked)

    def with_one(self, name: str, value: str) -> str:
        """With one value of a parameter, from the first hit on unless it says otherwise."""
        others = tuple(pair for pair in self._pairs if pair[0] not in {name, "offset"})
        more = (
            ((name, value),)
            if value and (name, value) not in {("offset", "0"), ("sort", "relevance")}
            else ()
        )
        return _search(others + more + self._picked)

    def toggled(self, name: str, value: str, *, is_selected: bool) -> str:
        """With a value more, or without it, from the first hit on."""
        others = [text for pair, text in self._without_offset.items() if pair != (name, value)]
        more = () if is_selected else (_parameter(name, value),)
        return _address([*others, *more, *self._picked_text])


def _search(pairs: Pairs) -> str:
    return _address([_parameter(*pair) for pair in pairs])


def _address(parameters: Sequence[str]) -> str:
    return f"/search?{'&'.join(parameters)}" if parameters else "/search"


def _parameter(name: str, value: str) -> str:
    return f"{_encoded(name)}={_encoded(value)}"


def _encoded(text: str) -> str:
    return _encoded_short(text) if len(text) <= ENCODED_MAX_CHARS else quote_plus(text)


_encoded_short: Final = lru_cache(ENCODED_CACHED_MAX)(quote_plus)
"""The same names and values stand in most addresses of most pages."""


def _name_of(part: bytes) -> str:
    return unquote_plus(part.partition(b"=")[0].decode("latin-1"))


def _shown(
    hit: Hit, picked: tuple[str, ...], origins: KnownOrigins, favourites: tuple[str, ...] | None
) -> ShownHit:
    pages = PAGE_PATHS.get(hit.type)
    is_offering = pages == "offerings"
    path = path_of(pages or "entities", hit.id)
    is_favourite = hit.id in favourites if is_offering and favourites is not None else None
    return ShownHit(hit, path, origins.name(hit.origin), is_offering, hit.id in picked, is_favourite)


def _panel(page: SearchPage, name: FacetName, address: _Addresses) -> FacetPanel:
    facet = next(one for one in page.facets if one.name == name)
    parents = {one.value: one.parent for one in facet.values}
    ordered = _as_tree([(one.value, one.parent) for one in facet.values]) if name == "category" else parents
    by_value = {one.value: one for one in facet.values}
    choices = tuple(
        FacetChoice(
            by_value[value].label,
            by_value[value].count,
            by_value[value].is_selected,
            address.toggled(name, value, is_selected=by_value[value].is_selected),
            _depth(value, parents) if name == "category" else 0,
        )
        for value in islice(ordered, CHOICES_MAX)
    )
    return FacetPanel(name, choices, facet.is_approximate, facet.is_cut)


def _as_tree(values: list[tuple[str, str | None]]) -> list[str]:
    """Categories, each followed by those below it."""
    below: dict[str | None, list[str]] = {}
    known = {value for value, _ in values}
    for value, parent in values:
        below.setdefault(parent if parent in known else None, []).append(value)
    ordered: list[str] = []
    waiting = list(reversed(below.get(None, [])))
    while waiting:
        value = waiting.pop()
        if value not in ordered:
            ordered.append(value)
            waiting.extend(reversed(below.get(value, [])))
    return ordered + [value for value, _ in values if value not in ordered]


def _depth(value: str, parents: dict[str, str | None]) -> int:
    depth, above = 0, parents.get(value)
    while above in parents and depth < 4:
        depth, above = depth + 1, parents[above]
    return depth


def _chips(page: SearchPage, pairs: Pairs, address: _Addresses) -> Iterable[Chip]:
    for facet in page.facets:
        for one in facet.values:
            if one.is_selected:
                yield Chip(facet.name, one.label, address.toggled(facet.name, one.value, is_selected=True))
    for name, value in pairs:
        if name in {"price_from", "price_to"}:
            yield Chip(name, value, address.with_one(name, ""))
