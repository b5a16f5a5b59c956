"""The search of documents one by one, in memory: of an index in memory, and of changes that no index has yet.

It means the same as an index of SQLite, and scores alike; tests hold one to the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from hansa.store.search.ranking import Candidate, inverse_frequency, term_score
from hansa.store.search.records import COLUMNS, EXACT, FORMS, WEIGHTS, IndexQuery, SearchDocument, Term

PREFIX_MIN_CHARS: Final = 2
"""What is shorter is a word: a tenth of all words begin with a letter."""
_SPLIT_CACHED: Final = 4096


class Phrase(NamedTuple):
    """Words that follow one another in one of some columns."""

    words: tuple[str, ...]
    columns: tuple[int, ...]
    is_prefix: bool = False


class Statistics(Protocol):
    """What scoring knows of all documents."""

    @property
    def documents(self) -> int:
        """How many there are."""

    @property
    def mean_size(self) -> float:
        """Words of a document, on average."""

    def having(self, phrase: Phrase) -> int:
        """How many documents have a phrase."""


def phrases_of(term: Term) -> tuple[Phrase, ...]:
    """What a term is looked for as: in the columns of words as they are, and of other forms."""
    is_prefix = term.is_prefix and len(term.words[-1]) >= PREFIX_MIN_CHARS
    # As a part of a compound, or as neighbours written as one, a word is among the forms of a name.
    compound = term.words if len(term.words) == 1 and term.words[0] not in term.forms else None
    return (
        Phrase(term.words, EXACT, is_prefix),
        *(Phrase((form,), FORMS) for form in term.forms),
        *([Phrase(compound, FORMS[:1])] if compound is not None else []),
    )


@lru_cache(_SPLIT_CACHED)
def _words(document: SearchDocument) -> tuple[tuple[str, ...], ...]:
    assert len(document.columns) == len(COLUMNS), "a document has all columns"
    return tuple(tuple(column.split()) for column in document.columns)


@lru_cache(_SPLIT_CACHED)
def _present(document: SearchDocument) -> frozenset[str]:
    return frozenset(word for column in _words(document) for word in column)


def size_of(document: SearchDocument) -> int:
    """How many words a document has."""
    return sum(map(len, _words(document)))


def frequency(document: SearchDocument, phrase: Phrase) -> float:
    """How often a document has a phrase, weighted by columns."""
    columns, present = _words(document), _present(document)
    whole = phrase.words[:-1] if phrase.is_prefix else phrase.words
    if not present.issuperset(whole):
        return 0.0
    return sum(WEIGHTS[at] * _occurrences(columns[at], phrase) for at in phrase.columns)


def _occurrences(column: Sequence[str], phrase: Phrase) -> int:
    *first, last = phrase.words
    length = len(phrase.words)
    count = 0
    for at in range(len(column) - length + 1):
        end = column[at + length - 1]
        fits = end.startswith(last) if phrase.is_prefix else end == last
        if fits and list(column[at : at + length - 1]) == first:
            count += 1
    return count


def has_term(document: SearchDocument, term: Term) -> bool:
    """Whether a document has one of a term's phrases."""
    return any(frequency(document, phrase) > 0 for phrase in phrases_of(term))


def matches(document: SearchDocument, query: IndexQuery) -> bool:
    """Whether a document is a hit, but for what is selected of facets."""
    if not (document.is_public or _may_find(document, query)):
        return False
    if query.kind is not None and document.kind != query.kind:
        return False
    if query.among is not None and document.id not in query.among:
        return False
    if query.price_from is not None and (document.price is None or document.price < query.price_from):
        return False
    if query.price_to is not None and (document.price is None or document.price > query.price_to):
        return False
    return all(any(has_term(document, term) for term in group) for group in query.required) and not any(
        has_term(document, term) for term in query.excluded
    )


def _may_find(document: SearchDocument, query: IndexQuery) -> bool:
    """Whether whoever asks may find a private document."""
    if not query.with_private:
        return False
    return query.private_having is None or not set(query.private_having).isdisjoint(document.facets)


def score(document: SearchDocument, query: IndexQuery, statistics: Statistics) -> float:
    """How well a hit matches."""
    total = 0.0
    size = size_of(document)
    for group in query.required:
        for term in group:
            for phrase in phrases_of(term):
                often = frequency(document, phrase)
                if often > 0:
                    weight = inverse_frequency(statistics.documents, statistics.having(phrase))
                    total += weight * term_score(often, size, statistics.mean_size)
    return total


def candidate(document: SearchDocument, query: IndexQuery, statistics: Statistics) -> Candidate:
    """A hit as it is ordered."""
    return Candidate(document.id, document.kind, score(document, query, statistics), document.name_words)


class OwnStatistics:
    """What some documents are together."""

    def __init__(self, documents: Iterable[SearchDocument]) -> None:
        self._documents = tuple(documents)
        self.mean_size = sum(map(size_of, self._documents)) / max(1, len(self._documents))
        """Words of a document, on average."""
        self._having: dict[Phrase, int] = {}

    @property
    def documents(self) -> int:
        """How many there are."""
        return len(self._documents)

    def having(self, phrase: Phrase) -> int:
        """How many documents have a phrase."""
        count = self._having.get(phrase)
        if count is None:
            count = sum(frequency(one, phrase) > 0 for one in self._documents)
            self._having[phrase] = count
        return count
