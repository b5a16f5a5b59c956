"""What a search returns: hits with highlights, facets with counts, suggestions; and what it was asked.

HTTP's JSON and the pages show the same values. Texts are those of entities, as they are: whoever shows them
escapes them. Highlights are ranges of characters, not markup.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Sort = Literal["relevance", "price", "newest"]
"""`relevance`: offerings first, then the best match. `price`: the lowest price first, what has none last.
`newest`: what was last changed first."""

FacetName = Literal[
    "type", "category", "provider", "origin", "price_model", "price", "status", "compliance", "region"
]


class Selection(msgspec.Struct, frozen=True):
    """A facet by which hits are selected: they have at least one of these values."""

    facet: FacetName
    values: tuple[str, ...]


class SearchRequest(msgspec.Struct, frozen=True):
    """What is searched. Made from a query string by `hansa.business.search.request.search_request`."""

    text: str = ""
    """Words, "phrases", -without, begin*; empty: everything."""
    selections: tuple[Selection, ...] = ()
    """All of them hold."""
    price_from: float | None = None
    price_to: float | None = None
    """In the currency of the offering, inclusive."""
    filters: str = ""
    """Conditions on attributes of offerings in the grammar of TMF630, as a query string."""
    sort: Sort = "relevance"
    offset: int = 0
    limit: int = 20
    is_typing: bool = False
    """Whether the last word is the beginning of one."""


class Mark(msgspec.Struct, frozen=True):
    """A range of a text that matches, in code points: from `start`, up to and without `end`."""

    start: int
    end: int


class MarkedText(msgspec.Struct, frozen=True):
    """A text of an entity, and what of it matches: ranges in order that do not overlap."""

    text: str
    marks: tuple[Mark, ...] = ()
    is_excerpt: bool = False
    """Whether more stands before or after it in the entity."""


class Named(msgspec.Struct, frozen=True):
    """An entity that is referred to, with the name to show."""

    id: str
    name: str


class Price(msgspec.Struct, frozen=True):
    """The lowest price of an offering."""

    model: str
    """As the entity says it, `recurring`, `oneTime`, `usage`; `free` where the amount is 0."""
    amount: float | None = None
    currency: str | None = None
    period: str | None = None
    """As `month`."""


class Hit(msgspec.Struct, frozen=True):
    """An entity that matches."""

    id: str
    type: str
    href: str
    """Where this marketplace serves it."""
    name: MarkedText
    description: MarkedText | None
    provider: Named | None
    categories: tuple[Named, ...]
    price: Price | None
    status: str | None
    origin: str | None
    """DID of the marketplace it comes from; None: this one."""
    compliance: tuple[str, ...]
    regions: tuple[str, ...]
    updated: str | None
    """RFC 3339."""
    is_public: bool
    """Whether everybody finds it."""


class FacetValue(msgspec.Struct, frozen=True):
    """A value of a facet: adding it to the request gives so many hits."""

    value: str
    label: str
    count: int
    is_selected: bool
    parent: str | None = None
    """Of a category: the one above, whose count includes it."""


class Facet(msgspec.Struct, frozen=True):
    """What the hits have of one property.

    Counted as if nothing was selected of this facet itself, so that another value can be chosen.
    """

    name: FacetName
    values: tuple[FacetValue, ...]
    """The most frequent first; those that are selected are always among them."""
    is_approximate: bool
    """Counted from a sample."""
    is_cut: bool
    """There are more values."""


class SearchPage(msgspec.Struct, frozen=True):
    """A page of what a search found."""

    text: str
    """As it was asked."""
    hits: tuple[Hit, ...]
    offset: int
    limit: int
    total: int
    is_approximate: bool
    """Whether the total is estimated."""
    facets: tuple[Facet, ...]
    sort: Sort
    answered_text: str
    """What was searched: another text than asked, where that found nothing and a word of it was mistyped."""
    did_you_mean: str | None
    """Another text that finds more; already searched where `answered_text` is it."""
    unsearched: int
    """So many changes are newer than what was searched; 0 but while the index is built."""


class Suggestion(msgspec.Struct, frozen=True):
    """How a text that is being typed may go on."""

    text: str
    kind: Literal["word", "offering"]
    id: str | None = None
    """Of the offering."""
    href: str | None = None


class Suggestions(msgspec.Struct, frozen=True):
    """The best ones, first."""

    text: str
    suggestions: tuple[Suggestion, ...]
