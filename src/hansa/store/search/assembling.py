"""An answer from hits that are all at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hansa.store.search.counting import counted, is_selected
from hansa.store.search.ranking import WINDOW, Candidate, ordered
from hansa.store.search.records import ABOVE, FacetOf, IndexAnswer, IndexQuery, Order, SearchDocument

SortKey = tuple[object, ...]


def assembled(
    query: IndexQuery,
    hits: Sequence[SearchDocument],
    candidates: Mapping[str, Candidate],
    labels: Mapping[FacetOf, str],
) -> IndexAnswer:
    """The answer to a question.

    Args:
        query: The question.
        hits: What matches, but for what is selected of facets.
        candidates: Their scores, by identifier.
        labels: By facet and value.
    """
    total, counts = counted(((one.facets, 1) for one in hits), query.selections)
    selected = [one for one in hits if is_selected(one.facets, query.selections)]
    if query.order == "relevance" and query.required:
        ranked = in_window((candidates[one.id] for one in selected), query.name_words)
        ids = [one.id for one in ranked]
    else:
        ids = [one.id for one in sorted(selected, key=lambda each: sort_key(each, query.order))]
    shown = {(each, value) for name, values in counts.items() for value in values for each in (name, ABOVE)}
    return IndexAnswer(
        tuple(ids[query.offset : query.offset + query.limit]),
        total,
        counts=counts,
        labels={key: label for key, label in labels.items() if key in shown},
    )


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
