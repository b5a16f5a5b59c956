"""The order of hits.

Hits are scored by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) over weighted
columns, as SQLite's FTS5 does. That knows nothing of names as wholes; so the best `WINDOW` hits are ordered
anew with a bonus for how much of the name was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from hansa.store.search.records import Order, SearchDocument

SortKey = tuple[object, ...]

WINDOW: Final = 60
"""So many of the best hits get a bonus."""
K1: Final = 1.2
B: Final = 0.75
IDF_MIN: Final = 1e-6
"""Of a word that most documents have."""
_EXACT_NAME: Final = 2.0
_BEGINNING: Final = 0.6
_WHOLE_QUERY: Final = 0.3
_SHARE: Final = 0.3
"""Bonuses, as parts of the best score."""


class Candidate(NamedTuple):
    """A hit that may be shown."""

    id: str
    kind: int
    score: float
    """More is better."""
    name_words: str


def inverse_frequency(documents: int, having: int) -> float:
    """How much a word tells that so many of all documents have."""
    return max(IDF_MIN, math.log((documents - having + 0.5) / (having + 0.5)))


def term_score(frequency: float, size: int, mean_size: float) -> float:
    """What a word contributes, before its inverse frequency, that is in a document so often.

    Args:
        frequency: Weighted by columns.
        size: Words of the document.
        mean_size: Words of a document, on average.
    """
    return frequency * (K1 + 1.0) / (frequency + K1 * (1 - B + B * size / max(mean_size, 1.0)))


def ordered(candidates: Sequence[Candidate], query_words: str) -> list[Candidate]:
    """The best hits in their order: by kind, then by score with bonus, then by identifier."""
    best = max((one.score for one in candidates), default=0.0)
    words = query_words.split()
    scored = [
        (one.kind, -(one.score + best * bonus(one.name_words, words)), one.id, one) for one in candidates
    ]
    scored.sort(key=itemgetter(0, 1, 2))
    return [one for *_, one in scored]


def in_window(candidates: Iterable[Candidate], name_words: str) -> list[Candidate]:
    """Hits in their order; those of the window with their bonuses.

    One whose name is what was asked for is in the window, however long its description is.
    """
    ranked = sorted(candidates, key=lambda one: (one.kind, one.name_words != name_words, -one.score, one.id))
    return [*ordered(ranked[:WINDOW], name_words), *ranked[WINDOW:]]


def sort_key(document: SearchDocument, order: Order) -> SortKey:
    """Where a document stands in an order other than by relevance."""
    if order == "price":
        has_none = document.price is None
        return has_none, document.price or 0.0, document.kind, -document.updated_ms, document.id
    return (*(() if order == "newest" else (document.kind,)), -document.updated_ms, document.id)


def bonus(name_words: str, words: Sequence[str]) -> float:
    """How much of a name was asked for, and in which order."""
    if not words or not name_words:
        return 0.0
    query_words = " ".join(words)
    if name_words == query_words:
        return _EXACT_NAME
    name, sought = name_words.split(), set(words)
    present = len(sought.intersection(name))
    value = _SHARE * present / max(len(name), len(words))
    if name_words.startswith(query_words):
        return value + _BEGINNING
    return value + (_WHOLE_QUERY if present == len(sought) else 0.0)
