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


class FacetSelection(msgspec.Struct, frozen=True):
    """A facet by which hits are selected: they have at least one of these values."""

    facet: FacetName
    values: tuple[str, ...]


class SearchRequest(msgspec.Struct, frozen=True):
    """What is searched. Made from a query string by `hansa.business.search.request.search_request`."""

    text: str = ""
    """Words, "phrases", -without, begin*; empty: everything."""
    selections: tuple[FacetSelection, ...] = ()
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
    only_offerings: bool = False
    """Whether nothing else is looked at, for facets too: cheaper than to select that type among very many."""


class Highlight(msgspec.Struct, frozen=True):
    """A range of a text that matches, in code points: from `start`, up to and without `end`."""

    start: int
    """Of the first character that matches, counted from 0."""
    end: int
    """Of the first character behind that does not match."""


class MarkedText(msgspec.Struct, frozen=True):
    """A text of an entity, and what of it matches: ranges in order that do not overlap."""

    text: str
    """As the entity has it, without any markup."""
    highlights: tuple[Highlight, ...] = ()
    """What of it matches, in order; no two of them overlap."""
    is_excerpt: bool = False
    """Whether more stands before or after it in the entity."""


class Named(msgspec.Struct, frozen=True):
    """An entity that is referred to, with the name to show."""

    id: str
    """Of the entity that is referred to."""
    name: str
    """What it is called, to be shown."""


class Price(msgspec.Struct, frozen=True):
    """The lowest price of an offering."""

    model: str
    """As the entity says it, `recurring`, `oneTime`, `usage`; `free` where the amount is 0."""
    amount: float | None = None
    """In units of the currency, as the entity says it."""
    currency: str | None = None
    """As the entity names it, `EUR` for example."""
    period: str | None = None
    """To which the price refers, as `month`."""


class Hit(msgspec.Struct, frozen=True):
    """An entity that matches."""

    id: str
    """Of the entity, the same at all marketplaces."""
    type: str
    """Of the entity, as `ProductOffering` for an offering."""
    href: str
    """Where this marketplace serves it."""
    name: MarkedText
    """With what of it matches the query."""
    description: MarkedText | None
    """The part of it around the first match."""
    provider: Named | None
    """The organisation that offers it, if it names one."""
    categories: tuple[Named, ...]
    """Those that the entity itself refers to."""
    price: Price | None
    """The lowest of an offering that has one."""
    status: str | None
    """The state in its lifecycle, as `Launched`."""
    origin: str | None
    """DID of the marketplace it comes from; None: this one."""
    compliance: tuple[str, ...]
    """Labels that the entity gives itself; nobody verified them."""
    regions: tuple[str, ...]
    """Places for which it is, as it says."""
    updated: str | None
    """When it was last changed, as RFC 3339 says it."""
    is_public: bool
    """Whether everybody finds it."""


class FacetValue(msgspec.Struct, frozen=True):
    """A value of a facet: adding it to the request gives so many hits."""

    value: str
    """To be sent as the parameter of that name."""
    label: str
    """What the value is called, to be shown."""
    count: int
    is_selected: bool
    """Whether the request has selected this value."""
    parent: str | None = None
    """Of a category: the one above, whose count includes it."""


class Facet(msgspec.Struct, frozen=True):
    """What the hits have of one property.

    Counted as if nothing was selected of this facet itself, so that another value can be chosen.
    """

    name: FacetName
    """Of the facet, and of its parameter."""
    values: tuple[FacetValue, ...]
    """The most frequent first; those that are selected are always among them."""
    is_approximate: bool
    """Counted from a sample."""
    is_cut: bool
    """There are more values."""


class SearchPage(msgspec.Struct, frozen=True):
    """A page of what a search found."""

    text: str
    """The text as it was asked for."""
    hits: tuple[Hit, ...]
    """Those of this page, in their order."""
    offset: int
    """How many hits are before this page."""
    limit: int
    """How many hits the page has at most."""
    total: int
    """How many hits there are on all pages."""
    is_approximate: bool
    """Whether the total is estimated."""
    facets: tuple[Facet, ...]
    """Those of which any hit has a value."""
    sort: Sort
    """The order in which the hits are."""
    answered_text: str
    """What was searched: where the text that was sent found nothing, its unknown words are replaced by the
    most similar one, and other similar ones are searched too."""
    did_you_mean: str | None
    """Another text that finds more; already searched where `answered_text` is it."""
    has_all_words: bool
    """Whether hits have all words; false where nothing has, so that hits have some of them."""
    unsearched: int
    """So many changes are newer than what was searched; 0 but while the index is built."""


class Suggestion(msgspec.Struct, frozen=True):
    """How a text that is being typed may go on."""

    text: str
    """To search for, or the name of the offering."""
    kind: Literal["word", "offering"]
    """Whether it completes a word, or is an offering."""
    id: str | None = None
    """Identifier of the offering that is suggested."""
    href: str | None = None
    """Where this marketplace serves the offering."""


class Suggestions(msgspec.Struct, frozen=True):
    """The best ones, first."""

    text: str
    """As it was typed by the caller."""
    suggestions: tuple[Suggestion, ...]
    """How it may go on, the best first."""
