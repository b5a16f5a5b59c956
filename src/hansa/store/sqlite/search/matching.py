"""Which documents match a question, as SQL; how many they are, and what they have of facets."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, Literal, NamedTuple

import apsw
import msgspec

from hansa.store.search.counting import counted, is_selected
from hansa.store.search.records import FacetOf, IndexQuery
from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.search.expressions import excluded_expression, expression
from hansa.store.sqlite.search.placed_facets import IN_LIST, PlacedFacets
from hansa.store.sqlite.search.schema import KIND_SHIFT

COUNTED_MAX: Final = 50_000
"""Of more hits, among which nothing is selected, facets are counted from a sample."""
READ_MAX: Final = 120_000
"""Of more, some are only counted: that reads the words a second time, and a third for the sample."""
SAMPLED_MAX: Final = 10_000
"""So many are in it."""
FACETS_CACHED_MAX: Final = 200_000
"""Values of facets, by their numbers."""

Which = Literal["public", "private"]
Facets = tuple[FacetOf, ...]
Counts = dict[str, dict[str, int]]
Parameters = tuple[Parameter, ...]
Rows = list[Row]


class Hits(NamedTuple):
    """The public or the private documents that match: SQL behind SELECT, and its parameters."""

    which: Which
    has_words: bool
    """Whether the table of words (`f`) is read; otherwise all documents match."""
    needs_place: bool
    """Whether their places (`p`) are, to know whether they match."""
    conditions: tuple[str, ...]
    parameters: Parameters

    @property
    def number(self) -> str:
        """The number of the document."""
        return "f.rowid" if self.has_words else "p.number"

    def source(self, *, with_place: bool = False) -> str:
        """What is read, and what has to hold."""
        tables = "place AS p"
        if self.has_words:
            tables = f"{self.which}_words AS f"
            if with_place or self.needs_place:
                tables += " CROSS JOIN place AS p ON p.number = f.rowid"
        return f"FROM {tables} WHERE {' AND '.join(self.conditions)}"

    def also(self, condition: str, *parameters: Parameter, needs_place: bool = False) -> Hits:
        """Those of them for which something more holds."""
        return self._replace(
            conditions=(*self.conditions, condition),
            parameters=(*self.parameters, *parameters),
            needs_place=self.needs_place or needs_place,
        )


class Counted(NamedTuple):
    """What hits are together."""

    total: int
    counts: Counts
    is_sampled: bool
    matching: int
    """How many match, whatever is selected of facets."""
    selected: Hits
    """Those that have what is selected."""


def hits_of(query: IndexQuery, which: Which, replaced: str, columns: Sequence[int] | None = None) -> Hits:
    """The documents of one table that match, whatever is selected of facets.

    Args:
        query: The question.
        which: The table.
        replaced: Numbers of documents that are left out, as JSON.
        columns: Only these are looked at; None: all.
    """
    words = expression(query, columns)
    if words is not None:
        hits = Hits(which, True, False, (f"f.{which}_words MATCH ?",), (words,))
    else:
        hits = Hits(which, False, True, ("p.public = ?",), (which == "public",))
        excluded = excluded_expression(query.excluded)
        if excluded is not None:
            others = f"SELECT rowid FROM {which}_words WHERE {which}_words MATCH ?"  # noqa: S608 - constants
            hits = hits.also(f"p.number NOT IN ({others})", excluded)
    if query.kind is not None:
        first, end = query.kind << KIND_SHIFT, (query.kind + 1) << KIND_SHIFT
        hits = hits.also(f"{hits.number} >= ? AND {hits.number} < ?", first, end)
    if query.among is not None:
        named = f"SELECT number FROM document WHERE id IN {IN_LIST}"  # noqa: S608 - a constant
        hits = hits.also(f"{hits.number} IN ({named})", msgspec.json.encode(query.among).decode())
    if replaced != "[]":
        hits = hits.also(f"{hits.number} NOT IN {IN_LIST}", replaced)
    for value, sign in ((query.price_from, ">="), (query.price_to, "<=")):
        if value is not None:
            hits = hits.also(f"p.price {sign} ?", value, needs_place=True)
    return hits


class FacetNumbers:
    """What the numbers of facets stand for; used by all threads that read."""

    def __init__(self) -> None:
        self._known: dict[int, FacetOf] = {}

    def named(self, connection: apsw.Connection, numbers: Iterable[int]) -> Mapping[int, FacetOf]:
        """The facets and values of some numbers, and of others."""
        known = self._known
        numbers = tuple(numbers)
        missing = [number for number in numbers if number not in known]
        if missing:
            rows = connection.execute(
                f"SELECT number, name, value FROM facet WHERE number IN {IN_LIST}",  # noqa: S608 - a constant
                (msgspec.json.encode(missing).decode(),),
            )
            read = {int(str(number)): (str(name), str(value)) for number, name, value in rows}
            if len(known) > FACETS_CACHED_MAX:
                # Others may be reading the old one.
                known = self._known = {}
            known.update(read)
            return {number: facet for number in numbers if (facet := read.get(number) or known.get(number))}
        return known

    def of(self, connection: apsw.Connection, name: str, values: Iterable[str]) -> frozenset[int]:
        """The numbers of some values of a facet."""
        rows = connection.execute(
            f"SELECT number FROM facet WHERE name = ? AND value IN {IN_LIST}",  # noqa: S608 - a constant
            (name, msgspec.json.encode(list(values)).decode()),
        )
        return frozenset(int(str(number)) for (number,) in rows)


class Counting:
    """Counts the hits of one question."""

    def __init__(
        self, connection: apsw.Connection, query: IndexQuery, facets: FacetNumbers, placed: PlacedFacets
    ) -> None:
        self._connection = connection
        self._query = query
        self._facets = facets
        self._placed = placed

    def count(self, hits: Hits) -> Counted:
        """How many hits there are, and what they have of facets."""
        if self._is_restricted(hits):
            return self._restricted(hits)
        if not hits.has_words:
            # Documents are counted sooner than their numbers are read; with words both take as long.
            total = self._number(f"SELECT count(*) {hits.source()}", hits)
            if total > COUNTED_MAX:
                return Counted(total, self._sampled_counts(hits, total, ()), True, total, hits)
        every = f"SELECT {hits.number} {hits.source()} ORDER BY {hits.number} LIMIT {READ_MAX + 1}"
        numbers = self._numbers(every, hits)
        if len(numbers) <= COUNTED_MAX:
            return Counted(len(numbers), self._simple_counts(numbers), False, len(numbers), hits)
        others = None
        total = len(numbers)
        if total > READ_MAX:
            others = hits.also(f"{hits.number} > ?", numbers[-1])
            total += self._number(f"SELECT count(*) {others.source()}", others)
        return Counted(total, self._sampled_counts(others, total, numbers), True, total, hits)

    def _sampled_counts(self, hits: Hits | None, total: int, known: Sequence[int]) -> Counts:
        """The numbers from a sample of some hits, and of those whose numbers are known."""
        factor = -(-total // SAMPLED_MAX)
        # Spreads neighbours; numbers are below 2^46, so that it stays below 2^63.
        numbers = [number for number in known if (number * 40503 >> 7) % factor == 0]
        if hits is not None:
            sample = hits.also(f"({hits.number} * 40503 >> 7) % ? = 0", factor)
            numbers += self._numbers(f"SELECT {sample.number} {sample.source()}", sample)
        return self._simple_counts(numbers, factor)

    def _simple_counts(self, documents: Sequence[int], factor: int = 1) -> Counts:
        """The numbers where nothing is selected."""
        numbers = self._placed.counts(self._connection, documents)
        counts: Counts = {}
        named = self._facets.named(self._connection, numbers)
        for number, count in numbers.items():
            facet = named.get(number)
            if facet is not None:
                name, value = facet
                of_facet = counts.get(name)
                if of_facet is None:
                    of_facet = counts[name] = {}
                of_facet[value] = count * factor
        return counts

    def _restricted(self, hits: Hits) -> Counted:
        """The numbers where something is selected, or not all are found by whoever asks."""
        selections = self._query.selections
        if hits.which == "private" and self._query.private_having is not None:
            return self._grouped(hits)
        numbers = sorted(self._numbers(f"SELECT {hits.number} {hits.source()}", hits))
        requested = [self._facets.of(self._connection, name, values) for name, values in selections]
        selected = self._placed.selected(numbers, requested)
        if selected is None:
            return self._grouped(hits)
        chosen, *others = selected
        counts = self._simple_counts(chosen)
        for (name, _), having_others in zip(selections, others, strict=True):
            of_facet = self._simple_counts(having_others).get(name, {})
            counts = {**counts, name: of_facet} if of_facet else counts
        # With a sign in front, words are read in order; without, they are looked up for each document.
        number = f"+{hits.number}" if hits.has_words else hits.number
        shown = hits.also(f"{number} IN {IN_LIST}", msgspec.json.encode(chosen).decode())
        return Counted(len(chosen), counts, False, len(numbers), shown)

    def _grouped(self, hits: Hits) -> Counted:
        """The same, read from the file: by signatures, which documents with the same values share."""
        rows = self._rows(
            f"SELECT p.signature, p.facets, count(*) {hits.source(with_place=True)} GROUP BY p.signature",
            hits.parameters,
        )
        is_private = hits.which == "private"
        groups = [
            (row[0], facets, int(str(row[2])))
            for facets, row in zip(self._decoded(rows), rows, strict=True)
            if not is_private or self._may_find(facets)
        ]
        selected = [
            signature for signature, facets, _ in groups if is_selected(facets, self._query.selections)
        ]
        chosen = hits.also(
            f"p.signature IN {IN_LIST}", msgspec.json.encode(selected).decode(), needs_place=True
        )
        number, counts = counted(((facets, count) for _, facets, count in groups), self._query.selections)
        named: Counts = {name: dict(values) for name, values in counts.items()}
        matching = sum(int(str(row[2])) for row in rows)
        return Counted(number, named, False, matching, chosen)

    def _decoded(self, rows: Rows) -> list[Facets]:
        """The facets of signatures."""
        numbers = [array("I", _bytes(row[1])) for row in rows]
        named = self._facets.named(self._connection, {number for each in numbers for number in each})
        return [tuple(named[number] for number in each if number in named) for each in numbers]

    def _is_restricted(self, hits: Hits) -> bool:
        """Whether not all hits are shown, by what they have of facets."""
        has_rule = hits.which == "private" and self._query.private_having is not None
        return bool(self._query.selections) or has_rule

    def _may_find(self, facets: Facets) -> bool:
        """Whether whoever asks may find private documents with these values."""
        having = self._query.private_having
        return having is None or not set(having).isdisjoint(facets)

    def _number(self, sql: str, hits: Hits) -> int:
        ((value,),) = self._rows(sql, hits.parameters)
        return int(str(value))

    def _numbers(self, sql: str, hits: Hits) -> list[int]:
        return list(map(itemgetter(0), self._rows(sql, hits.parameters)))

    def _rows(self, sql: str, parameters: Parameters) -> Rows:
        return self._connection.execute(sql, parameters).fetchall()


def _bytes(value: Parameter) -> bytes:
    assert isinstance(value, bytes), "facets are bytes"
    return value


def summed(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> Counts:
    """The numbers of several parts together."""
    counted_parts = [part for part in parts if part]
    if len(counted_parts) == 1:
        return {name: dict(values) for name, values in counted_parts[0].items()}
    counts: Counts = {}
    for part in counted_parts:
        for name, values in part.items():
            of_facet = counts.setdefault(name, {})
            for value, count in values.items():
                of_facet[value] = of_facet.get(value, 0) + count
    return counts
