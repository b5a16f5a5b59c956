"""Answers questions from the search index, in a thread with a connection that reads.

Hits are read twice, each time as cheaply as possible: to count them and their facets (`matching`), and to
find the best, whose scores cost most. Where one word has more than `NAMED_FIRST_MIN` hits, those that have it
in their name are scored first, and only where these are too few for a page, the others. So it is with several
words of more than `SCORED_MAX` hits, and then some of the others are scored; of more than `ORDERED_MAX` the
others follow by number: words that so many have tell nothing about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import apsw
import msgspec

from hansa.store.search.counting import counted, is_selected, most_frequent
from hansa.store.search.plain import OwnStatistics, candidate, matches
from hansa.store.search.ranking import WINDOW, Candidate, in_window, sort_key
from hansa.store.search.records import (
    WEIGHTS,
    FacetOf,
    IndexAnswer,
    IndexQuery,
    Overlay,
    SearchDocument,
)
from hansa.store.sql import Parameter
from hansa.store.sqlite.search.expressions import NAME_COLUMNS, scored_phrases
from hansa.store.sqlite.search.labels import FacetLabels
from hansa.store.sqlite.search.matching import (
    Counted,
    Counting,
    FacetNumbers,
    Hits,
    Rows,
    Which,
    hits_of,
    summed,
)
from hansa.store.sqlite.search.placed_facets import IN_LIST, PlacedFacets
from hansa.store.sqlite.search.schema import KIND_SHIFT
from hansa.store.sqlite.search.statistics import (
    FUNCTION,
    CountedPhrases,
    IndexStatistics,
    RememberedStatistics,
)

LABELS_MAX: Final = 100
"""So many values of a facet, the most frequent, have their texts."""
NAMED_FIRST_MIN: Final = 500
"""Of no more hits of a single word, all are scored."""
SCORED_MAX: Final = 3000
"""Of no more hits of several words, likewise."""
OTHERS_SCORED_MAX: Final = 1000
"""Of more, so many that do not have all words in their name."""
ORDERED_MAX: Final = 10_000
"""Of more, none of these is scored."""
NAMED_MAX: Final = WINDOW
"""Documents whose name is what was asked for."""
_BM25: Final = f"bm25({{which}}_words, {', '.join(map(str, WEIGHTS))})"


Scored = list[tuple[int, float]]
"""Numbers of documents, and how well each matches: more is better."""


class Reading:
    """Answers one question."""

    def __init__(
        self,
        connection: apsw.Connection,
        counting: Counting,
        known: CountedPhrases,
        labels: Callable[[Sequence[FacetOf]], dict[FacetOf, str]],
        query: IndexQuery,
        overlay: Overlay,
    ) -> None:
        self._connection = connection
        self._known = known
        self._texts_of = labels
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
        return IndexAnswer(
            tuple(ids[query.offset : query.offset + query.limit]),
            sum(one.total for one in parts) + newer_total,
            counts,
            any(one.is_sampled for one in parts),
            self._labels(counts),
        )

    def _statistics(self, which: Which) -> IndexStatistics:
        return IndexStatistics(self._connection, self._known, is_public=which == "public")

    def _rows(self, sql: str, parameters: Sequence[Parameter]) -> Rows:
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    # -- in which order ------------------------------------------------------------------------------------

    @property
    def _needed(self) -> int:
        return max(WINDOW, self._query.offset + self._query.limit)

    def _by_relevance(self, parts: Sequence[Counted], newer: Sequence[SearchDocument]) -> list[str]:
        candidates: list[Candidate] = []
        for one in parts:
            has_one_term = len(self._query.required) == 1 == len(self._query.required[0])
            if one.matching > SCORED_MAX or (has_one_term and one.total > NAMED_FIRST_MIN):
                candidates += self._named_first(one)
            elif one.total:
                candidates += self._candidates(self._best(one))
        if newer:
            candidates += self._scored_newer(newer)
        return [one.id for one in in_window(candidates, self._query.name_words)]

    def _best(self, part: Counted) -> Scored:
        """The best of not many hits."""
        hits, known = part.selected, None
        if len(self._query.required) > 1:  # what one word tells is counted about as soon as its hits
            known = self._statistics(hits.which).known_score(scored_phrases(self._query), part.matching)
        if known is None:
            return self._scored(hits, _BM25.format(which=hits.which))
        return self._scored(hits, f"{FUNCTION}({hits.which}_words, ?)", known)

    def _scored(self, hits: Hits, score: str, *parameters: Parameter) -> Scored:
        """Numbers and scores of the best hits; those whose name was asked for are among them."""
        named = self._rows(
            f"SELECT number FROM document WHERE name_words = ? LIMIT {NAMED_MAX}",  # noqa: S608 - a constant
            (self._query.name_words,),
        )
        first = "".join(
            f"{hits.number} IN ({', '.join(str(number) for (number,) in named)}) DESC, " if named else ""
        )
        return self._numbers_and_scores(
            f"SELECT {hits.number}, {score} AS score {hits.source()} "
            f"ORDER BY {hits.number} >> {KIND_SHIFT}, {first}score LIMIT ?",
            (*parameters, *hits.parameters, self._needed),
        )

    def _named_first(self, part: Counted) -> list[Candidate]:
        """Of many hits: those with all words in the name by score, then others."""
        which, all_hits = part.selected.which, part.selected
        in_names = hits_of(self._query, which, self._replaced, NAME_COLUMNS)
        for condition, parameter in zip(
            all_hits.conditions[len(in_names.conditions) :],
            all_hits.parameters[len(in_names.parameters) :],
            strict=True,
        ):
            in_names = in_names.also(condition, parameter, needs_place=True)
        first_kind = in_names.also(f"{in_names.number} < {1 << KIND_SHIFT}")
        scored = self._scored(first_kind, _BM25.format(which=which))
        missing = self._needed - len(scored)
        if missing > 0:
            numbers = msgspec.json.encode([number for number, _ in scored]).decode()
            others = all_hits.also(f"{all_hits.number} NOT IN {IN_LIST}", numbers)
            looked_at = part.matching if part.matching <= SCORED_MAX else OTHERS_SCORED_MAX
            scored += self._others(others, missing, looked_at if part.matching <= ORDERED_MAX else 0)
        return self._candidates(scored)

    def _others(self, hits: Hits, limit: int, scored: int) -> Scored:
        """Some hits of many: by score, so many of the first by number; with none, just the first."""
        score = _BM25.format(which=hits.which) if scored else "0.0"
        rows = self._numbers_and_scores(
            f"SELECT number, score FROM (SELECT {hits.number} AS number, {score} AS score {hits.source()} "  # noqa: S608
            f"ORDER BY {hits.number} LIMIT ?) ORDER BY number >> {KIND_SHIFT}, score, number LIMIT ?",
            (*hits.parameters, max(limit, scored), limit),
        )
        return [(number, -float(at)) for at, (number, _) in enumerate(rows)]

    def _numbers_and_scores(self, sql: str, parameters: Sequence[Parameter]) -> Scored:
        return [(int(str(number)), -float(str(score))) for number, score in self._rows(sql, parameters)]

    def _candidates(self, scored: Scored) -> list[Candidate]:
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
        public, private = self._statistics("public"), self._statistics("private")
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
        query = self._query
        shown = [
            (name, value)
            for name in query.named_facets
            if (values := counts.get(name))
            for value, _ in most_frequent(values, LABELS_MAX)
        ]
        shown += [
            (name, value)
            for name, values in query.selections
            if name in query.named_facets
            for value in values
        ]
        labels = self._texts_of(shown)
        for one in self._newer:
            labels.update({(facet, value): label for facet, value, label in one.labels})
        return labels


Work = Callable[[apsw.Connection], IndexAnswer]


class Remembered:
    """What threads that read know of an index without looking."""

    def __init__(self) -> None:
        self.facets: Final = FacetNumbers()
        self.labels: Final = FacetLabels()
        self.placed: Final = PlacedFacets()
        self.statistics: Final = RememberedStatistics()


def answering(remembered: Remembered, query: IndexQuery, overlay: Overlay) -> Work:
    """The work that answers a question, of one moment of the index."""

    def work(connection: apsw.Connection) -> IndexAnswer:
        since, known = remembered.labels.generation, remembered.statistics.counted

        def labels(values: Sequence[FacetOf]) -> dict[FacetOf, str]:
            return remembered.labels.of(connection, values, since, with_private=query.with_private)

        connection.execute("BEGIN")
        try:
            counting = Counting(connection, query, remembered.facets, remembered.placed)
            return Reading(connection, counting, known, labels, query, overlay).answer()
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    return work
