"""A search index in memory, where every question looks at every document: what an engine is held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hansa.core.errors import Code, Unavailable
from hansa.store.records import INTERNAL, ListCaller
from hansa.store.search.counting import counted, is_selected
from hansa.store.search.plain import OwnStatistics, candidate, matches
from hansa.store.search.ranking import Candidate, in_window, sort_key
from hansa.store.search.records import (
    ABOVE,
    FacetOf,
    IndexAnswer,
    IndexBatch,
    IndexPosition,
    IndexQuery,
    Overlay,
    SearchDocument,
)
from hansa.store.search.spelling import ranked

SIMILAR_MAX: Final = 5


class PlainSearchIndex:
    """A `hansa.store.search.interface.SearchIndex`."""

    def __init__(self) -> None:
        self._documents: dict[str, SearchDocument] = {}
        self._digests: dict[str, str] = {}
        self._due: dict[str, None] = {}
        self._position = IndexPosition()

    async def position(self) -> IndexPosition:
        """How far it has followed the feed."""
        return self._position

    async def put(self, batch: IndexBatch) -> None:
        """Write and remove documents, and move on in the feed."""
        if batch.after is not None and batch.after != self._position.change:
            raise Unavailable(Code.UNAVAILABLE, "The search index was made anew.")
        changed = {target for target, digest in batch.parts if self._digests.get(target) != digest}
        self._digests.update(batch.parts)
        for one in self._documents.values():
            if not changed.isdisjoint(one.parts):
                self._due[one.id] = None
        for each in (*batch.removed, *(one.id for one in batch.documents)):
            self._documents.pop(each, None)
            self._due.pop(each, None)
        self._documents.update((one.id, one) for one in batch.documents)
        if batch.position is not None:
            self._position = batch.position

    async def empty(self, position: IndexPosition) -> None:
        """Remove everything."""
        self._documents.clear()
        self._digests.clear()
        self._due.clear()
        self._position = position

    async def due(self, limit: int) -> tuple[str, ...]:
        """Identifiers of documents that contain something which has changed."""
        return tuple(self._due)[:limit]

    async def compact(self) -> None:
        """It has no parts."""

    async def count(self) -> int:
        """How many documents there are."""
        return len(self._documents)

    async def answer(self, query: IndexQuery, overlay: Overlay, caller: ListCaller = INTERNAL) -> IndexAnswer:
        """The hits of a page, their number, and the numbers of facets."""
        del caller
        documents = {**self._documents, **overlay}
        current = [one for one in documents.values() if one is not None]
        public = OwnStatistics(one for one in self._documents.values() if one.is_public)
        private = OwnStatistics(one for one in self._documents.values() if not one.is_public)
        hits = [one for one in current if matches(one, query)]
        candidates = {one.id: candidate(one, query, public if one.is_public else private) for one in hits}
        return assembled(query, hits, candidates, _labels(current, with_private=query.with_private))

    async def similar(
        self, words: Sequence[str], *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """For each word those of documents that are spelled nearly alike, the best first."""
        del caller
        counts = self._counts(with_private=with_private)
        return {word: ranked(word, counts.items(), SIMILAR_MAX) for word in words}

    async def beginning(
        self, prefix: str, limit: int, *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> tuple[tuple[str, int], ...]:
        """Words of documents that begin so, the most frequent first."""
        del caller
        counts = self._counts(with_private=with_private).items()
        starting = [(word, count) for word, count in counts if word.startswith(prefix)]
        return tuple(sorted(starting, key=lambda one: (-one[1], one[0]))[:limit])

    async def close(self) -> None:
        """Nothing is held."""

    def _counts(self, *, with_private: bool) -> dict[str, int]:
        """In how many documents each word is."""
        counts: dict[str, int] = {}
        for one in self._documents.values():
            if one.is_public or with_private:
                for word in {word for column in one.columns[::2] for word in column.split()}:
                    counts[word] = counts.get(word, 0) + 1
        return counts


def _labels(documents: Iterable[SearchDocument], *, with_private: bool) -> Mapping[FacetOf, str]:
    return {
        (facet, value): label
        for one in sorted(documents, key=lambda each: each.is_public)
        if one.is_public or with_private
        for facet, value, label in one.labels
    }


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
        labels={key: label for key, label in labels.items() if key in shown and query.named_facets},
    )
