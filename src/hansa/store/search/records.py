"""Documents of a search index, questions to it, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

COLUMNS: Final = ("name", "name_forms", "related", "related_forms", "text", "text_forms")
"""Of a document: its words as they are, and beside each column other forms of them, as stems."""
EXACT: Final = (0, 2, 4)
"""Places of the columns of words as they are."""
FORMS: Final = (1, 3, 5)
WEIGHTS: Final = (12.0, 6.0, 3.0, 1.5, 2.0, 1.0)
"""A word of the name outweighs the same in the description, and a word as it is outweighs its stem."""
KINDS_MAX: Final = 64

ABOVE: Final = "above"
"""In place of a facet, in labels: their text is the value that is above another, as a category above one."""

Order: TypeAlias = Literal["relevance", "price", "newest"]
FacetOf: TypeAlias = tuple[str, str]
"""Name of a facet, and one of its values."""


class SearchDocument(msgspec.Struct, frozen=True):
    """What an index has of an entity."""

    id: str
    kind: int
    """Hits of a smaller kind come first."""
    is_public: bool
    columns: tuple[str, ...]
    """For each of `COLUMNS` its words, with a space between two."""
    name: str
    """To show, and of one length at most."""
    facets: tuple[FacetOf, ...]
    """In order, each once."""
    price: float | None = None
    updated_ms: int = 0
    parts: tuple[str, ...] = ()
    """Identifiers of other entities of which something is in this document."""
    labels: tuple[tuple[str, str, str], ...] = ()
    """Facet, value, and the text that names the value."""

    @property
    def name_words(self) -> str:
        """The words of its name, with a space between two."""
        return self.columns[0]


class Term(msgspec.Struct, frozen=True):
    """Words that follow one another in a column."""

    words: tuple[str, ...]
    forms: tuple[str, ...] = ()
    """Of a single word: other forms, any of which is as good."""
    is_prefix: bool = False
    """Whether the last word is the beginning of one."""


class IndexQuery(msgspec.Struct, frozen=True):
    """A question to an index."""

    required: tuple[tuple[Term, ...], ...] = ()
    """Of each group, one term at least is in the document; without groups, every document matches."""
    excluded: tuple[Term, ...] = ()
    """None of them is."""
    selections: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Facets, each with values of which the document has one."""
    price_from: float | None = None
    price_to: float | None = None
    order: Order = "relevance"
    offset: int = 0
    limit: int = 20
    with_private: bool = False
    private_having: tuple[FacetOf, ...] | None = None
    """Of these values a private document must have one; None: none is needed."""
    among: tuple[str, ...] | None = None
    """Only these documents, by identifier; None: all."""
    named_facets: tuple[str, ...] = ()
    """Facets of whose values the texts are needed."""
    kind: int | None = None
    """Only documents of this kind are looked at, for facets too; None: of all."""

    @property
    def name_words(self) -> str:
        """The words that are sought, as the name of a document that has no others."""
        return " ".join(word for group in self.required for word in group[0].words)


class IndexAnswer(msgspec.Struct, frozen=True):
    """What an index has for a question."""

    ids: tuple[str, ...]
    total: int
    counts: Mapping[str, Mapping[str, int]] = {}
    """By facet and value: how many hits would have it, were nothing else selected of that facet."""
    is_sampled: bool = False
    """Whether these are estimated."""
    labels: Mapping[FacetOf, str] = {}


class IndexPosition(msgspec.Struct, frozen=True):
    """How far an index has followed the feed of a store."""

    change: int = 0
    """Number of the last row of the feed that it has seen."""
    mark: str = ""
    """Which row that was: an index of another feed has another mark there."""
    rules: str = ""
    """By which rules its documents were made."""


class IndexBatch(msgspec.Struct, frozen=True):
    """Changes of an index, which become visible together."""

    position: IndexPosition | None
    """None: the index stays where it is."""
    documents: tuple[SearchDocument, ...] = ()
    removed: tuple[str, ...] = ()
    """Identifiers."""
    after: int | None = None
    """The position that the index must have, so that nothing is passed over; None: any."""
    parts: tuple[tuple[str, str], ...] = ()
    """Entities that may be in other documents, each with a digest of what would be: where that has changed,
    these documents are due."""


Overlay: TypeAlias = Mapping[str, SearchDocument | None]
"""Documents in place of those that an index has, by identifier; None: it is not there any more."""
