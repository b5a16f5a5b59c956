"""Answers questions from the search index, in a thread with a connection that reads.

Hits are read three times, each as cheaply as possible: to count them, up to `COUNTED_MAX`; to count what
they have in common (`signature`), beyond that of a sample; and to find the best, whose scores cost most. Of
more hits than that, those that have all words in their name are scored, and the others follow by number: a
word that so many have tells nothing about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from typing import Final, NamedTuple

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
from hansa.store.sqlite.search.expressions import (
    NAME_COLUMNS,
    excluded_expression,
    expression,
    phrase_text,
)
from hansa.store.sqlite.search.schema import KIND_SHIFT

COUNTED_MAX: Final = 10_000
"""Hits beyond are counted by facets from a sample of so many."""
LABELS_MAX: Final = 100
"""So many values of a facet, the most frequent, have their texts."""
SIGNATURES_CACHED_MAX: Final = 100_000
_SAMPLING: Final = "(p.number * 40503 >> 7) % ?"
"""Spreads neighbours; numbers are below 2^46, so that it stays below 2^63."""
_BM25: Final = f"bm25({{which}}_words, {', '.join(map(str, WEIGHTS))})"
_IN: Final = "(SELECT value FROM json_each(?))"

Facets = tuple[FacetOf, ...]
_decode_facets: Final = msgspec.json.Decoder(Facets).decode


class _Part(NamedTuple):
    """The public or the private documents that match: SQL behind SELECT, and its parameters."""

    which: str
    source: str
    parameters: tuple[apsw.SQLiteValue, ...]
    has_words: bool


class _Matches(NamedTuple):
    """What was matched in one of the two tables."""

    groups: list[tuple[Facets, int]]
    total: int
    factor: int
    """Of how many hits one was counted."""
    signatures: list[int]
    """Those that have what is selected."""


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
        self,
        connection: apsw.Connection,
        signatures: dict[int, Facets],
        query: IndexQuery,
        overlay: Overlay,
    ) -> None:
        self._connection = connection
        self._signatures = signatures
        self._query = query
        self._newer = [one for one in overlay.values() if one is not None and matches(one, query)]
        self._replaced = "[]"
        if overlay:
            rows = connection.execute(
                f"SELECT number FROM document WHERE id IN {_IN}",  # noqa: S608 - a constant
                (msgspec.json.encode(list(overlay)).decode(),),
            ).fetchall()
            self._replaced = msgspec.json.encode([number for (number,) in rows]).decode()

    def answer(self) -> IndexAnswer:
        """The hits of the page, their number, and the numbers of facets."""
        query = self._query
        parts = [self._part("public"), *([self._part("private")] if query.with_private else [])]
        matched = [self._groups(part) for part in parts]
        groups = [group for one in matched for group in one.groups]
        groups += [(one.facets, 1) for one in self._newer]
        total, counts = counted(groups, query.selections)
        is_sampled = any(one.factor > 1 for one in matched)
        if is_sampled and not query.selections:
            total = sum(one.total for one in matched) + len(self._newer)
        newer = [one for one in self._newer if is_selected(one.facets, query.selections)]
        if query.order == "relevance" and query.required:
            ids = self._by_relevance(parts, matched, newer)
        else:
            ids = self._by_value(parts, matched, newer)
        return IndexAnswer(
            tuple(ids[query.offset : query.offset + query.limit]),
            total,
            is_sampled and bool(query.selections),
            counts,
            is_sampled,
            self._labels(counts),
        )

    # -- which match ---------------------------------------------------------------------------------------

    def _part(self, which: str, columns: Sequence[int] | None = None) -> _Part:
        query = self._query
        words = expression(query, columns)
        parameters: list[apsw.SQLiteValue] = []
        conditions: list[str] = []
        if words is not None:
            source = f"{which}_words AS f CROSS JOIN place AS p ON p.number = f.rowid"
            conditions.append(f"f.{which}_words MATCH ?")
            parameters.append(words)
        else:
            source = "place AS p"
            conditions.append("p.public = ?")
            parameters.append(which == "public")
            excluded = excluded_expression(query.excluded)
            if excluded is not None:
                conditions.append(
                    f"p.number NOT IN (SELECT rowid FROM {which}_words WHERE {which}_words MATCH ?)"  # noqa: S608
                )
                parameters.append(excluded)
        if query.among is not None:
            conditions.append(f"p.number IN (SELECT number FROM document WHERE id IN {_IN})")  # noqa: S608
            parameters.append(msgspec.json.encode(query.among).decode())
        if self._replaced != "[]":
            conditions.append(f"p.number NOT IN {_IN}")
            parameters.append(self._replaced)
        for value, sign in ((query.price_from, ">="), (query.price_to, "<=")):
            if value is not None:
                conditions.append(f"p.price {sign} ?")
                parameters.append(value)
        sql = f"FROM {source} WHERE {' AND '.join(conditions)}"
        return _Part(which, sql, tuple(parameters), words is not None)

    def _rows(self, sql: str, parameters: Sequence[apsw.SQLiteValue]) -> list[tuple[apsw.SQLiteValue, ...]]:
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    def _groups(self, part: _Part) -> _Matches:
        """What hits have in common, and how many have it."""
        few = f"SELECT count(*) FROM (SELECT 1 {part.source} LIMIT {COUNTED_MAX + 1})"  # noqa: S608
        total, factor, where = self._number(few, part), 1, part.source
        parameters = part.parameters
        if total > COUNTED_MAX:
            total = self._number(f"SELECT count(*) {part.source}", part)
            factor = -(-total // COUNTED_MAX)
            where, parameters = f"{part.source} AND {_SAMPLING} = 0", (*parameters, factor)
        rows = self._rows(f"SELECT p.signature, count(*) {where} GROUP BY p.signature", parameters)
        numbers = [(int(str(number)), int(str(count)) * factor) for number, count in rows]
        facets = self._facets([number for number, _ in numbers])
        groups = [(facets[number], count) for number, count in numbers if number in facets]
        if not self._is_restricted(part):
            return _Matches(groups, total, factor, [])
        if factor > 1:
            rows = self._rows(f"SELECT DISTINCT p.signature {part.source}", part.parameters)
            facets = self._facets([int(str(number)) for (number,) in rows])
        if part.which == "private":
            groups = [group for group in groups if self._may_find(group[0])]
            facets = {number: values for number, values in facets.items() if self._may_find(values)}
            total = sum(count for _, count in groups)
        selections = self._query.selections
        selected = [number for number, values in facets.items() if is_selected(values, selections)]
        return _Matches(groups, total, factor, selected)

    def _is_restricted(self, part: _Part) -> bool:
        """Whether not all hits are shown, by what they have of facets."""
        has_rule = part.which == "private" and self._query.private_having is not None
        return bool(self._query.selections) or has_rule

    def _may_find(self, facets: Facets) -> bool:
        """Whether whoever asks may find private documents with these values."""
        having = self._query.private_having
        return having is None or not set(having).isdisjoint(facets)

    def _number(self, sql: str, part: _Part) -> int:
        ((value,),) = self._rows(sql, part.parameters)
        return int(str(value))

    def _facets(self, numbers: Sequence[int]) -> dict[int, Facets]:
        """The values that signatures stand for."""
        known = self._signatures
        missing = [number for number in numbers if number not in known]
        if missing:
            rows = self._rows(
                f"SELECT number, facets FROM signature WHERE number IN {_IN}",  # noqa: S608 - a constant
                (msgspec.json.encode(missing).decode(),),
            )
            if len(known) + len(rows) > SIGNATURES_CACHED_MAX:
                known.clear()
                return self._facets(numbers) if len(numbers) > len(missing) else self._decoded(rows)
            known.update(self._decoded(rows))
        return {number: known[number] for number in numbers if number in known}

    @staticmethod
    def _decoded(rows: Sequence[tuple[apsw.SQLiteValue, ...]]) -> dict[int, Facets]:
        return {int(str(number)): _decode_facets(str(text)) for number, text in rows}

    # -- in which order ------------------------------------------------------------------------------------

    def _selected(self, part: _Part, matched: _Matches) -> _Part:
        """The hits that have what is selected of facets."""
        if not self._is_restricted(part):
            return part
        numbers = msgspec.json.encode(matched.signatures).decode()
        source = f"{part.source} AND p.signature IN {_IN}"
        return part._replace(source=source, parameters=(*part.parameters, numbers))

    @property
    def _needed(self) -> int:
        return max(WINDOW, self._query.offset + self._query.limit)

    def _by_relevance(
        self, parts: Sequence[_Part], matched: Sequence[_Matches], newer: Sequence[SearchDocument]
    ) -> list[str]:
        candidates: list[Candidate] = []
        for part, one in zip(parts, matched, strict=True):
            if one.total > COUNTED_MAX:
                candidates += self._named_first(part, one)
            elif one.total:
                candidates += self._candidates(self._scored(self._selected(part, one), self._needed))
        if newer:
            candidates += self._scored_newer(newer)
        return [one.id for one in in_window(candidates, self._query.name_words)]

    def _scored(self, part: _Part, limit: int, condition: str = "") -> list[tuple[int, float]]:
        """Numbers and scores of the best hits."""
        score = _BM25.format(which=part.which)
        named = "p.number IN (SELECT number FROM document WHERE name_words = ?)"
        rows = self._rows(
            f"SELECT p.number, {score} AS score {part.source} {condition} "
            f"ORDER BY p.number >> {KIND_SHIFT}, {named} DESC, score LIMIT ?",
            (*part.parameters, self._query.name_words, limit),
        )
        return [(int(str(number)), -float(str(score))) for number, score in rows]

    def _named_first(self, part: _Part, matched: _Matches) -> list[Candidate]:
        """Of very many hits: those with all words in the name by score, then the others by number."""
        in_names = self._selected(self._part(part.which, NAME_COLUMNS), matched)
        scored = self._scored(in_names, self._needed, f"AND p.number < {1 << KIND_SHIFT}")
        missing = self._needed - len(scored)
        if missing > 0:
            part = self._selected(part, matched)
            numbers = msgspec.json.encode([number for number, _ in scored]).decode()
            rows = self._rows(
                f"SELECT p.number {part.source} AND p.number NOT IN {_IN} ORDER BY p.number LIMIT ?",
                (*part.parameters, numbers, missing),
            )
            scored += [(int(str(number)), -float(at)) for at, (number,) in enumerate(rows)]
        return self._candidates(scored)

    def _candidates(self, scored: Sequence[tuple[int, float]]) -> list[Candidate]:
        numbers = msgspec.json.encode([number for number, _ in scored]).decode()
        rows = self._rows(
            f"SELECT number, id, name_words FROM document WHERE number IN {_IN}",  # noqa: S608 - a constant
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

    def _by_value(
        self, parts: Sequence[_Part], matched: Sequence[_Matches], newer: Sequence[SearchDocument]
    ) -> list[str]:
        """Hits by price, by date, or of a question without words."""
        order = self._query.order
        keys = {
            "price": f"p.price IS NULL, p.price, p.number >> {KIND_SHIFT}, p.updated_ms DESC",
            "newest": "p.updated_ms DESC",
            "relevance": f"p.number >> {KIND_SHIFT}, p.updated_ms DESC",
        }[order]
        needed = self._query.offset + self._query.limit
        entries: list[tuple[tuple[object, ...], str]] = []
        for part, one in zip(parts, matched, strict=True):
            chosen = self._selected(part, one)
            rows = self._rows(
                f"SELECT p.number, p.price, p.updated_ms, (SELECT id FROM document WHERE number = p.number) "  # noqa: S608
                f"FROM (SELECT p.number, p.price, p.updated_ms {chosen.source} ORDER BY {keys} LIMIT ?) AS p",
                (*chosen.parameters, needed),
            )
            for number, price, updated_ms, id in rows:
                kind = int(str(number)) >> KIND_SHIFT
                shown = SearchDocument(
                    str(id),
                    kind,
                    True,
                    (),
                    "",
                    (),
                    None if price is None else float(str(price)),
                    int(str(updated_ms)),
                )
                entries.append((sort_key(shown, order), shown.id))
        entries += [(sort_key(one, order), one.id) for one in newer]
        return [id for _, id in sorted(entries)]

    # -- labels --------------------------------------------------------------------------------------------

    def _labels(self, counts: Mapping[str, Mapping[str, int]]) -> Mapping[FacetOf, str]:
        """Texts that name values, as far as whoever asks may read them."""
        shown = [
            (name, value)
            for name, values in counts.items()
            for value in nlargest(LABELS_MAX, values, key=lambda one: (values[one], one))
        ]
        shown += [(name, value) for name, values in self._query.selections for value in values]
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


def answering(signatures: dict[int, Facets], query: IndexQuery, overlay: Overlay) -> Work:
    """The work that answers a question, of one moment of the index."""

    def work(connection: apsw.Connection) -> IndexAnswer:
        connection.execute("BEGIN")
        try:
            return Reading(connection, signatures, query, overlay).answer()
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    return work
