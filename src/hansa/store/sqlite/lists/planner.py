"""From a `Query` to SQL: one compiler, here in SQLite's dialect.

The conditions of a query are *leads* or *checks*. A lead says by itself where its entities are: it is one posting or
the union of several (an attribute's value, or several values, in an index), and what it finds comes in the order of a
list. A check is asked of one entity. A query is answered in one of four ways:

- by *identifiers*, when a condition names them;
- as a *stream*, from an index that has the page in the order asked for, with a total that is kept: its cost is that
  of the page, whatever the size of the catalogue;
- as a *walk* in the order of a column, checking entities until the page is full, where most of them match;
- as a *search*, which collects everything that matches, counts it and sorts it. One that looks at few entities runs on
  the event loop, like the other three; every other runs in a worker thread, bounded in time. It gives back one row, the
  total and the numbers of the page: a thread that takes the interpreter's lock once per row would wait for the event
  loop once per row.

Order: the keys asked for, then the order in which entities were first written here, which is also the order when
none is asked for. Where the last key descends, so does that. Absent attributes and null come before numbers
(`false` is 0, `true` is 1), those before strings; strings compare by code point, date-times as moments. A path that
reaches several values sorts by the first.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from hansa.core.instants import comparable
from hansa.store.index.extraction import CollectionIndex, IndexKey
from hansa.store.index.paths import AttributePath, candidates
from hansa.store.operators import IndexUse
from hansa.store.records import AllOf, AnyOf, Condition, Filter, Query, SortKey, Test
from hansa.store.sql import Parameter
from hansa.store.sqlite.index_tail import AFTER
from hansa.store.sqlite.lists.conditions import Conditions, Part, equality, joined, walked

IDS_MAX: Final = 500
"""So many identifiers are looked up on the event loop."""
ENDS_MAX: Final = 5000
"""So many pages of one list are remembered the ends of."""
STRETCH: Final = 100
"""So many entities are read ahead of who turns pages."""
STRETCHES_MAX: Final = 20

Numbers: TypeAlias = "array[int]"
POSTINGS_MAX: Final = 50
"""So many are merged into one lead."""

INDEX_OF: Final = {
    "status": "entity_by_status",
    "name": "entity_by_name",
    "last_update": "entity_by_last_update",
    "parent": "entity_by_parent",
}


class Statement(msgspec.Struct, frozen=True):
    """SQL and its parameters."""

    sql: str
    parameters: tuple[Parameter, ...]
    tests: tuple[Callable[[Any], bool], ...] = ()


class Reached(msgspec.Struct, frozen=True):
    """Entities that are found in one place."""

    part: Part
    """A SELECT of `n`, in ascending order."""
    number: str
    """What `n` is called in there."""


class Posting(msgspec.Struct, frozen=True):
    """One posting: its entities are `number`s in ascending order."""

    posting: IndexKey | None
    """Whose total is kept; None for a status, of which it always is."""
    column: str | None
    value: str
    numbers: tuple[Reached, ...]
    """From the index, and from its tail."""
    counted: Part
    """A SELECT of `public`, for counting; always with the tail, for a thread counts at a moment of its own."""


class Order:
    """What has been read of the order of a list, so that whoever turns pages skips nothing, however far down it is.

    It holds for one state of the collection: while entities only come behind all others.
    """

    def __init__(self) -> None:
        self._state = 0
        self._before: dict[int, int] = {}
        self._stretches: dict[int, Numbers] = {}

    def number_before(self, offset: int, state: int) -> int | None:
        """Number of the last entity before an offset, if that has been read in this state."""
        return self._before.get(offset) if state == self._state else None

    def stretch(self, place: int, state: int) -> Numbers | None:
        """The numbers from `place * STRETCH` on, `STRETCH` of them, if they have been read in this state."""
        return self._stretches.get(place) if state == self._state else None

    def note_page(self, end: int, number: int, state: int) -> None:
        """An entity is the last before an offset."""
        if state != self._state or len(self._before) >= ENDS_MAX:
            self._before.clear()
            self._stretches.clear()
            self._state = state
        self._before[end] = number

    def note_stretch(self, place: int, numbers: Numbers, state: int) -> None:
        """A whole stretch has been read."""
        self.note_page((place + 1) * STRETCH, numbers[-1], state)
        if len(self._stretches) >= STRETCHES_MAX:
            del self._stretches[next(iter(self._stretches))]
        self._stretches[place] = numbers


class IndexScan(msgspec.Struct, frozen=True):
    """A condition whose entities an index names."""

    sources: tuple[Posting, ...]
    is_disjoint: bool
    """Whether an entity can be in one source only, so that totals add up."""
    check: Part
    """The same as a condition on one entity."""


class Plan(msgspec.Struct, frozen=True):
    """A query taken apart; the choice of the way to answer it depends on the totals."""

    query: Query
    leads: tuple[IndexScan, ...]
    checks: tuple[Part, ...]
    """All conditions but the leads."""
    has_ids: bool
    ranged: str | None
    """The column of the only condition, when that is a range of a column."""
    sorted_column: str | None
    """The column of the only key of the order, if that has an index."""
    keys: tuple[Part, ...]
    """What is sorted by."""
    unindexed: tuple[str, ...]
    tests: tuple[Callable[[Any], bool], ...]
    is_slow: bool
    """A pattern or test of the client's decides about entities: how long that takes for one is the client's choice too."""
    looks_in_index: bool
    """Whether it would be faster if the index had no tail."""
    order: Order
    """Of the list, as far as it has been streamed."""

    @property
    def conditions(self) -> int:
        """How many there are."""
        return len(self.leads) + len(self.checks)

    # -- statements -------------------------------------------------------------------------------------------

    def stream(self, offset: int, limit: int, behind: int | None = None) -> Statement:
        """Part (number) of the only lead, or of the whole collection, in the order of numbers.

        Args:
            offset: Where it begins.
            limit: How many.
            behind: Number of the entity before it, when that is known.
        """
        sources = self.leads[0].sources if self.leads else (_whole(self.query),)
        reached = [one for source in sources for one in source.numbers]
        parts = [one.part for one in reached]
        if behind is not None:
            parts = [
                Part(f"{one.part.sql} AND {one.number} > ?", (*one.part.parameters, behind))
                for one in reached
            ]
        merged = _union(parts, distinct=not self._is_disjoint())
        skipped = offset if behind is None else 0
        return Statement(
            f"{merged.sql} ORDER BY n LIMIT ? OFFSET ?", (*merged.parameters, limit, skipped), self.tests
        )

    def named(self) -> Statement:
        """Everything (number) that the identifiers and the other conditions let through, in the order of numbers."""
        where = joined(" AND ", [*self._base(), *(lead.check for lead in self.leads), *self.checks], "1")
        return Statement(
            f"SELECT e.number FROM entity AS e WHERE {where.sql} ORDER BY e.number",  # noqa: S608 - no input
            where.parameters,
            self.tests,
        )

    def walk(self) -> Statement:
        """The page (number) in the order of a column, with every condition checked."""
        column = self.sorted_column
        assert column is not None
        where = joined(" AND ", [*self._base(), *(lead.check for lead in self.leads), *self.checks], "1")
        descending = " DESC" if self.query.sort[0].descending else ""
        return Statement(
            f"SELECT e.number AS n FROM entity AS e INDEXED BY {INDEX_OF[column]} WHERE {where.sql} "  # noqa: S608 - no input
            f"ORDER BY e.{column}{descending}, e.number{descending} LIMIT ? OFFSET ?",
            (*where.parameters, self.query.limit, self.query.offset),
            self.tests,
        )

    def range_count(self, count_max: int | None = None) -> Statement:
        """How many entities the only condition lets through, a range of a column; (count,)."""
        assert self.ranged is not None
        where = joined(" AND ", [*self._base(), *self.checks], "1")
        rows = f"FROM entity AS e INDEXED BY {INDEX_OF[self.ranged]} WHERE {where.sql}"
        if count_max is None:
            return Statement(f"SELECT count(*) {rows}", where.parameters)
        return Statement(
            f"SELECT count(*) FROM (SELECT 1 {rows} LIMIT ?)",  # noqa: S608 - no input
            (*where.parameters, count_max),
        )

    def search(self, leading: IndexScan | None) -> Statement:
        """One row: the total and a JSON list of the numbers of the page."""
        names = [f"k{n}" for n in range(len(self.keys))]
        where = [*self._base(), *(lead.check for lead in self.leads if lead is not leading), *self.checks]
        source = "entity AS e"
        values: tuple[Parameter, ...] = ()
        if leading is not None:
            parts = [one.part for source in leading.sources for one in source.numbers]
            merged = _union(parts, distinct=not leading.is_disjoint)
            source = f"({merged.sql}) AS p CROSS JOIN entity AS e ON e.number = p.n"
            values = merged.parameters
        elif self.ranged is not None:
            source = f"entity AS e INDEXED BY {INDEX_OF[self.ranged]}"
        elif not self.has_ids:
            source = "entity AS e INDEXED BY entity_by_type"
        condition = joined(" AND ", where, "1")
        ordered = _order(self.query.sort, names, "r")
        return Statement(
            f"WITH matched ({', '.join(['r', *names])}) AS MATERIALIZED ("  # noqa: S608 - names of our own
            f"SELECT {', '.join(['e.number', *(key.sql for key in self.keys)])} FROM {source} "
            f"WHERE {condition.sql}) SELECT (SELECT count(*) FROM matched), (SELECT json_group_array(r) "
            f"FROM (SELECT r FROM matched ORDER BY {ordered} LIMIT ? OFFSET ?))",
            (
                *(value for key in self.keys for value in key.parameters),
                *values,
                *condition.parameters,
                *(self.query.limit, self.query.offset),
            ),
            self.tests,
        )

    def _is_disjoint(self) -> bool:
        return not self.leads or self.leads[0].is_disjoint

    def _base(self) -> list[Part]:
        parts = [Part("e.type = ?", (self.query.type,))]
        if self.query.public_only:
            parts.append(Part("e.public = 1"))
        return parts


def plan_query(query: Query, index: CollectionIndex, *, has_tail: bool) -> Plan:
    """A query taken apart.

    Args:
        query: The query.
        index: What its collection has an index of.
        has_tail: Whether there may be entities that the index does not reach (`hansa.store.sqlite.index_tail`).

    Raises:
        Refused: `Code.INVALID`, for what is no regular expression.
    """
    conditions = Conditions(index, has_tail=has_tail)
    leads: list[IndexScan] = []
    checks: list[Part] = []
    unindexed: list[str] = []
    has_ids = False
    ranged: str | None = None
    flat = _flat(query.filters)
    if query.parent is not None:
        leads.append(_parent(query, index))
    for one in flat:
        lead = _lead(one, query, conditions, index)
        if lead is not None:
            leads.append(lead)
            continue
        checks.append(conditions.part(one))
        unindexed += conditions.names(one)
        if isinstance(one, Filter):
            column = conditions.column(one)
            use = one.operator.index
            has_ids |= column == "id" and use is IndexUse.POSTINGS and len(one.values) <= IDS_MAX
            if column in INDEX_OF and use is IndexUse.RANGE and len(flat) == 1:
                ranged = column
    columns = [index.columns.get(key.path) for key in query.sort]
    keys = tuple(_sort_value(key, column) for key, column in zip(query.sort, columns, strict=True))
    unindexed += (
        ".".join(key.path)
        for key, column in zip(query.sort, columns, strict=True)
        if column is None and key.path != ("id",)
    )
    return Plan(
        query=query,
        leads=tuple(leads),
        checks=tuple(checks),
        has_ids=has_ids,
        ranged=None if leads else ranged,
        sorted_column=columns[0] if len(columns) == 1 else None,
        keys=keys,
        unindexed=tuple(dict.fromkeys(unindexed)),
        tests=tuple(conditions.tests),
        is_slow=any(map(_is_slow, flat)),
        looks_in_index=conditions.looks_in_index,
        order=Order(),
    )


def _is_slow(condition: Condition) -> bool:
    match condition:
        case Filter(operator=operator):
            return operator.is_slow
        case Test():
            return True
        case AnyOf(below) | AllOf(below):
            return any(map(_is_slow, below))


def _flat(conditions: Sequence[Condition]) -> list[Condition]:
    found: list[Condition] = []
    for one in conditions:
        found += _flat(one.conditions) if isinstance(one, AllOf) else [one]
    return found


def _lead(
    condition: Condition, query: Query, conditions: Conditions, index: CollectionIndex
) -> IndexScan | None:
    if isinstance(condition, Filter):
        sources = _sources(condition, query, conditions, index)
        if not sources or len(sources) > POSTINGS_MAX:
            return None
        is_disjoint = len(sources) == 1 or sources[0].column is not None
        return IndexScan(tuple(sources), is_disjoint, conditions.part(condition))
    if isinstance(condition, AnyOf):
        found: dict[tuple[object, str], Posting] = {}
        for one in condition.conditions:
            lead = _lead(one, query, conditions, index)
            if lead is None:
                return None
            found.update(((s.column or (s.posting and s.posting[0]), s.value), s) for s in lead.sources)
        if not found or len(found) > POSTINGS_MAX:
            return None
        places = {place for place, _ in found}
        is_disjoint = len(found) == 1 or (len(places) == 1 and isinstance(next(iter(places)), str))
        return IndexScan(tuple(found.values()), is_disjoint, conditions.part(condition))
    return None


def _sources(filter: Filter, query: Query, conditions: Conditions, index: CollectionIndex) -> list[Posting]:
    """The postings of an equality; none when no index serves it."""
    if filter.operator.index is not IndexUse.POSTINGS:
        return []
    column = conditions.column(filter)
    if column in INDEX_OF:
        values = map(comparable, filter.values) if filter.has_moments else filter.values
        return [_column_source(column, value, query, index) for value in dict.fromkeys(values)]
    number = index.numbers.get(filter.path)
    if number is None or filter.has_moments:
        return []
    meanings = dict.fromkeys(meaning for text in filter.values for meaning in candidates(text))
    has_tail = conditions.has_tail
    return [_index_source((number, meaning), filter.path, query, has_tail=has_tail) for meaning in meanings]


def _index_source(posting: IndexKey, path: AttributePath, query: Query, *, has_tail: bool) -> Posting:
    public = " AND public = 1" if query.public_only else ""
    rows = "FROM entity_index WHERE attribute = ? AND value = ?"
    walk = equality(path, posting[1:])
    tail = (
        f"FROM entity AS e INDEXED BY entity_by_type WHERE e.type = ? AND e.number > {AFTER} AND {walk.sql}"
    )
    sought = (query.type, *walk.parameters)
    numbers = [Reached(Part(f"SELECT entity AS n {rows}{public}", posting), "entity")]
    if has_tail:
        numbers.append(Reached(Part(f"SELECT number AS n {tail}{public}", sought), "number"))
    return Posting(
        posting=posting,
        column=None,
        value=posting[1],
        numbers=tuple(numbers),
        counted=Part(f"SELECT public {rows} UNION ALL SELECT public {tail}", (*posting, *sought)),
    )


def _column_source(column: str, value: str, query: Query, index: CollectionIndex) -> Posting:
    public = " AND public = 1" if query.public_only else ""
    rows = f"FROM entity INDEXED BY {INDEX_OF[column]} WHERE type = ? AND {column} = ?"
    return Posting(
        posting=None if column == "status" else (index.column_numbers[column], value),
        column=column,
        value=value,
        numbers=(Reached(Part(f"SELECT number AS n {rows}{public}", (query.type, value)), "number"),),
        counted=Part(f"SELECT public {rows}", (query.type, value)),
    )


def _parent(query: Query, index: CollectionIndex) -> IndexScan:
    parent = query.parent
    assert parent is not None
    return IndexScan((_column_source("parent", parent, query, index),), True, Part("e.parent = ?", (parent,)))


def _whole(query: Query) -> Posting:
    public = " AND public = 1" if query.public_only else ""
    rows = "FROM entity INDEXED BY entity_by_type WHERE type = ?"
    return Posting(
        posting=None,
        column=None,
        value="",
        numbers=(Reached(Part(f"SELECT number AS n {rows}{public}", (query.type,)), "number"),),
        counted=Part(f"SELECT public {rows}", (query.type,)),
    )


def _union(parts: Sequence[Part], *, distinct: bool) -> Part:
    """Sorted streams of numbers as one, which SQLite merges without sorting."""
    return Part(
        (" UNION " if distinct else " UNION ALL ").join(part.sql for part in parts),
        tuple(value for part in parts for value in part.parameters),
    )


def _sort_value(key: SortKey, column: str | None) -> Part:
    if column is not None:
        return Part(f"e.{column}")
    if key.path == ("id",):
        return Part("e.id")
    walk = walked(key.path)
    node = f"n{len(key.path)}"
    atom = value = f"{node}.atom"
    if key.is_instant:
        value = f"CASE {node}.type WHEN 'text' THEN hansa_instant({atom}) ELSE {atom} END"
    return Part(
        f"(SELECT {value} FROM {walk.sql} WHERE {atom} IS NOT NULL LIMIT 1)",  # noqa: S608 - no input
        walk.parameters,
    )


def _order(sort: tuple[SortKey, ...], keys: Sequence[str], row: str) -> str:
    parts = [f"{name} DESC" if key.descending else name for key, name in zip(sort, keys, strict=True)]
    parts.append(f"{row} DESC" if sort and sort[-1].descending else row)
    return ", ".join(parts)
