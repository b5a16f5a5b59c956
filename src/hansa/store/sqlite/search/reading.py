"""Answers questions from the search index, in a thread with a connection that reads.

Hits are read three times, each as cheaply as possible: to count them, up to `COUNTED_MAX`; to count their
facets, beyond that of a sample (`matching`); and to find the best, whose scores cost most. Of more hits than
that, those that have all words in their name are scored, and the others follow by number: a word that so many
have tells nothing about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from typing import Final

import apsw
import msgspec

from hansa.store.search.counting import counted, is_selected
from hansa.store.search.plain import OwnStatistics, Phrase, candidate, matches
from hansa.store.search.ranking import WINDOW, Candidate, in_window, sort_key
from hansa.store.search.records import (
    ABOVE,
    WEIGHTS,
    FacetOf,
    IndexAnswer,
    IndexQuery,
    Overlay,
    SearchDocument,
)
from hansa.store.sql import Parameter
from hansa.store.sqlite.search.expressions import NAME_COLUMNS, phrase_text
from hansa.store.sqlite.search.matching import (
    COUNTED_MAX,
    Counted,
    Counting,
    FacetNumbers,
    Hits,
    Rows,
    hits_of,
    summed,
)
from hansa.store.sqlite.search.placed_facets import IN_LIST, PlacedFacets
from hansa.store.sqlite.search.schema import KIND_SHIFT

LABELS_MAX: Final = 100
"""So many values of a facet, the most frequent, have their texts."""
NAMED_MAX: Final = WINDOW
"""Documents whose name is what was asked for."""
_BM25: Final = f"bm25({{which}}_words, {', '.join(map(str, WEIGHTS))})"


class IndexStatistics:
    """What scoring a document that is not in the index knows of those that are."""

    def __init__(self, connection: apsw.Connection, *, is_public: bool) -> None:
        self._connection = connection
        self._which = "public" if is_public else "private"
        ((documents, words),) = connection.execute(
            "SELECT documents, words FROM total WHERE public = ?", (is_public,)
        ).fetchall()
        self.documents = int(str(documents))
        self.mean_size = int(str(words)) / max(1, self.documents)
        self._having: dict[Phrase, int] = {}

    def having(self, phrase: Phrase) -> int:
        """How many documents have a phrase."""
        count = self._having.get(phrase)
        if count is None:
            ((value,),) = self._connection.execute(
                f"SELECT count(*) FROM {self._which}_words WHERE {self._which}_words MATCH ?",  # noqa: S608
                (phrase_text(phrase),),
            ).fetchall()
            count = self._having[phrase] = int(str(value))
        return count


class Reading:
    """Answers one question."""

    def __init__(
        self, connection: apsw.Connection, counting: Counting, query: IndexQuery, overlay: Overlay
    ) -> None:
        self._connection = connection
        self._query = query
        self._counting = counting
        self._newer = [one for one in overlay.values() if one is not None and matches(one, query)]
        self._replaced = "[]"
        if overlay:
            rows = self._rows(
                f"SELECT number FROM document WHERE id IN {IN_LIST}",  # noqa: S608 - a constant
                (msgspec.json.encode(list(overlay)).decode(),),
            )
            self._replaced = msgspec.json.encode([number for (number,) in rows]).decode()

    def answer(self) -> IndexAnswer:
        """The hits of the page, their number, and the numbers of facets."""
        query = self._query
        parts = [self._counting.count(hits_of(query, "public", self._replaced))]
        if query.with_private:
            parts.append(self._counting.count(hits_of(query, "private", self._replaced)))
        newer_total, newer_counts = counted(((one.facets, 1) for one in self._newer), query.selections)
        counts = summed((*(one.counts for one in parts), newer_counts))
        newer = [one for one in self._newer if is_selected(one.facets, query.selections)]
        if query.order == "relevance" and query.required:
            ids = self._by_relevance(parts, newer)
        else:
            ids = self._by_value(parts, newer)
        is_sampled = any(one.is_sampled for one in parts)
        return IndexAnswer(
            tuple(ids[query.offset : query.offset + query.limit]),
            sum(one.total for one in parts) + newer_total,
            is_sampled and bool(query.selections),
            counts,
            is_sampled,
            self._labels(counts),
        )

    def _rows(self, sql: str, parameters: Sequence[Parameter]) -> Rows:
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    # -- in which order ------------------------------------------------------------------------------------

    @property
    def _needed(self) -> int:
        return max(WINDOW, self._query.offset + self._query.limit)

    def _by_relevance(self, parts: Sequence[Counted], newer: Sequence[SearchDocument]) -> list[str]:
        candidates: list[Candidate] = []
        for one in parts:
            if one.matching > COUNTED_MAX:
                candidates += self._named_first(one)
            elif one.total:
                candidates += self._candidates(self._scored(one.selected))
        if newer:
            candidates += self._scored_newer(newer)
        return [one.id for one in in_window(candidates, self._query.name_words)]

    def _scored(self, hits: Hits) -> list[tuple[int, float]]:
        """Numbers and scores of the best hits; those whose name was asked for are among them."""
        named = self._rows(
            f"SELECT number FROM document WHERE name_words = ? LIMIT {NAMED_MAX}",  # noqa: S608 - a constant
            (self._query.name_words,),
        )
        first = "".join(
            f"{hits.number} IN ({', '.join(str(number) for (number,) in named)}) DESC, " if named else ""
        )
        score = _BM25.format(which=hits.which)
        rows = self._rows(
            f"SELECT {hits.number}, {score} AS score {hits.source()} "
            f"ORDER BY {hits.number} >> {KIND_SHIFT}, {first}score LIMIT ?",
            (*hits.parameters, self._needed),
        )
        return [(int(str(number)), -float(str(score))) for number, score in rows]

    def _named_first(self, part: Counted) -> list[Candidate]:
        """Of very many hits: those with all words in the name by score, then the others by number."""
        which, all_hits = part.selected.which, part.selected
        in_names = hits_of(self._query, which, self._replaced, NAME_COLUMNS)
        for condition, parameter in zip(
            all_hits.conditions[len(in_names.conditions) :],
            all_hits.parameters[len(in_names.parameters) :],
            strict=True,
        ):
            in_names = in_names.also(condition, parameter, needs_place=True)
        scored = self._scored(in_names.also(f"{in_names.number} < {1 << KIND_SHIFT}"))
        missing = self._needed - len(scored)
        if missing > 0:
            numbers = msgspec.json.encode([number for number, _ in scored]).decode()
            others = all_hits.also(f"{all_hits.number} NOT IN {IN_LIST}", numbers)
            rows = self._rows(
                f"SELECT {others.number} {others.source()} ORDER BY {others.number} LIMIT ?",
                (*others.parameters, missing),
            )
            scored += [(int(str(number)), -float(at)) for at, (number,) in enumerate(rows)]
        return self._candidates(scored)

    def _candidates(self, scored: Sequence[tuple[int, float]]) -> list[Candidate]:
        numbers = msgspec.json.encode([number for number, _ in scored]).decode()
        rows = self._rows(
            f"SELECT number, id, name_words FROM document WHERE number IN {IN_LIST}",  # noqa: S608 - a constant
            (numbers,),
        )
        documents = {number: (str(id), str(name)) for number, id, name in rows}
        return [
            Candidate(documents[number][0], number >> KIND_SHIFT, score, documents[number][1])
            for number, score in scored
        ]

    def _scored_newer(self, newer: Sequence[SearchDocument]) -> list[Candidate]:
        public = IndexStatistics(self._connection, is_public=True)
        private = IndexStatistics(self._connection, is_public=False)
        # Words of an index without documents tell nothing; then these tell of one another.
        alone = OwnStatistics(newer) if not public.documents + private.documents else None
        return [candidate(one, self._query, alone or (public if one.is_public else private)) for one in newer]

    def _by_value(self, parts: Sequence[Counted], newer: Sequence[SearchDocument]) -> list[str]:
        """Hits by price, by date, or of a question without words."""
        order = self._query.order
        keys = {
            "price": f"p.price IS NULL, p.price, p.number >> {KIND_SHIFT}, p.updated_ms DESC",
            "newest": "p.updated_ms DESC",
            "relevance": f"p.number >> {KIND_SHIFT}, p.updated_ms DESC",
        }[order]
        entries: list[tuple[tuple[object, ...], str]] = []
        for one in parts:
            hits = one.selected
            rows = self._rows(
                "SELECT p.number, p.price, p.updated_ms, "  # noqa: S608 - constants
                "(SELECT id FROM document WHERE number = p.number) "
                f"FROM (SELECT p.number, p.price, p.updated_ms {hits.source(with_place=True)} "
                f"ORDER BY {keys} LIMIT ?) AS p",
                (*hits.parameters, self._query.offset + self._query.limit),
            )
            for number, price, updated_ms, id in rows:
                kind, amount = int(str(number)) >> KIND_SHIFT, None if price is None else float(str(price))
                shown = SearchDocument(str(id), kind, True, (), "", (), amount, int(str(updated_ms)))
                entries.append((sort_key(shown, order), shown.id))
        entries += [(sort_key(one, order), one.id) for one in newer]
        return [id for _, id in sorted(entries)]

    # -- labels --------------------------------------------------------------------------------------------

    def _labels(self, counts: Mapping[str, Mapping[str, int]]) -> Mapping[FacetOf, str]:
        """Texts that name values, as far as whoever asks may read them."""
        shown = [
            (name, value)
            for name in self._query.named_facets
            if (values := counts.get(name))
            for value in nlargest(LABELS_MAX, values, key=lambda one: (values[one], one))
        ]
        shown += [
            (name, value)
            for name, values in self._query.selections
            if name in self._query.named_facets
            for value in values
        ]
        rows = self._rows(
            "SELECT l.facet, l.value, l.label FROM json_each(?) AS one "
            "JOIN label AS l ON l.facet IN (one.value ->> 0, ?) AND l.value = one.value ->> 1 "
            "WHERE l.public OR ? ORDER BY l.public",
            (msgspec.json.encode(shown).decode(), ABOVE, self._query.with_private),
        )
        labels = {(str(facet), str(value)): str(text) for facet, value, text in rows}
        for one in self._newer:
            labels.update({(facet, value): label for facet, value, label in one.labels})
        return labels


Work = Callable[[apsw.Connection], IndexAnswer]


def answering(facets: FacetNumbers, placed: PlacedFacets, query: IndexQuery, overlay: Overlay) -> Work:
    """The work that answers a question, of one moment of the index."""

    def work(connection: apsw.Connection) -> IndexAnswer:
        connection.execute("BEGIN")
        try:
            return Reading(connection, Counting(connection, query, facets, placed), query, overlay).answer()
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    return work
