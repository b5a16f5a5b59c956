"""A page of a set of entities (`intersecting`) in the order of a column that has an index.

Two ways, of which the one with less to read is taken. *Walking*: the index of the column is read in order,
and entities that are not in the set are passed over; few are when many of the collection are in it.
*Sorting*: the values of the column are read of all entities in the set; that is little when they are few.

Where both would read more than the event loop can wait for, as far down a list of many, there is no page, and
the list is a search in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from hansa.store.records import Query
from hansa.store.sql import Row
from hansa.store.sqlite.lists.analysis import INDEX_OF, Analysis
from hansa.store.sqlite.lists.statements import Statement
from hansa.store.sqlite.number_sets import STRETCH, JoinedSet

WALKED_MAX: Final = 5000
"""Rows of the index that are passed over on the event loop; half a microsecond each."""
SORTED_MAX: Final = 1500
"""Entities whose values are read and sorted there; two microseconds each."""
WALKED_PER_SORTED: Final = 4
"""Rows of the index that are passed over while one entity is read."""
PART_MIN: Final = 100


def ordered_page(
    rows: Callable[[Statement], list[Row]],
    analysis: Analysis,
    query: Query,
    joined: JoinedSet,
    collection: int,
) -> Sequence[int] | None:
    """The numbers of a page; None where that is too much for the event loop.

    The first pages are read ahead, and remembered with the set.

    Args:
        rows: Runs a statement.
        analysis: Of the list, whose only sort key has an index.
        query: The page.
        joined: The entities of all pages.
        collection: How many entities the collection has.
    """
    assert analysis.sort_column is not None, "the order is that of an index"
    if query.limit == 0 or joined.total <= query.offset:
        return []
    page = joined.ordered(query.offset, query.limit)
    if page is not None:
        return page
    last = min(query.offset + query.limit, joined.total)
    ahead = min(-(-last // STRETCH) * STRETCH, joined.total)
    if ahead * collection / joined.total > WALKED_MAX:
        ahead = last
    numbers = _first(rows, analysis, query, joined, ahead * collection / joined.total, ahead)
    if numbers is None:
        return None
    joined.note_ordered(numbers)
    return numbers[query.offset : last]


def _first(
    rows: Callable[[Statement], list[Row]],
    analysis: Analysis,
    query: Query,
    joined: JoinedSet,
    walked: float,
    count: int,
) -> list[int] | None:
    """The first numbers of a list, `count` at least."""
    matches = joined.total
    if matches <= SORTED_MAX and matches * WALKED_PER_SORTED <= walked:
        return _sorted(rows, analysis, query, joined)
    if walked <= WALKED_MAX:
        numbers = _walked(rows, analysis, query, joined, int(walked), count)
        if numbers is not None:
            return numbers
    return _sorted(rows, analysis, query, joined) if matches <= SORTED_MAX else None


def _walked(
    rows: Callable[[Statement], list[Row]],
    analysis: Analysis,
    query: Query,
    joined: JoinedSet,
    expected: int,
    count: int,
) -> list[int] | None:
    """The first numbers from the index; None when those of the set are not as even in it as expected."""
    raw = joined.raw
    end = len(raw) * 8
    part = max(PART_MIN, expected + expected // 2)
    while part <= 2 * WALKED_MAX:
        # Always from the first on: two statements may be of two moments.
        passed = rows(_index_part(analysis, query, part))
        numbers = [n for (n,) in passed if n < end and raw[n >> 3] >> (n & 7) & 1]
        if len(numbers) >= count or len(passed) < part:
            return numbers
        part *= 3
    return None


def _index_part(analysis: Analysis, query: Query, limit: int) -> Statement:
    """The first entities (number) of the collection in the order of the column."""
    column = analysis.sort_column
    assert column is not None
    public = " AND public = 1" if query.public_only else ""
    descending = " DESC" if query.sort[0].descending else ""
    return Statement(
        f"SELECT number FROM entity INDEXED BY {INDEX_OF[column]} WHERE type = ?{public} "  # noqa: S608 - no input
        f"ORDER BY {column}{descending}, number{descending} LIMIT ?",
        (query.type, limit),
    )


def _sorted(
    rows: Callable[[Statement], list[Row]], analysis: Analysis, query: Query, joined: JoinedSet
) -> list[int]:
    """All numbers, from the values of all entities in the set."""
    numbers = list(joined.page(0, joined.total))
    descending = " DESC" if query.sort[0].descending else ""
    statement = Statement(
        "SELECT e.number FROM json_each(?) AS j CROSS JOIN entity AS e ON e.number = j.value "  # noqa: S608 - no input
        f"ORDER BY e.{analysis.sort_column}{descending}, e.number{descending}",
        (msgspec.json.encode(numbers).decode(),),
    )
    return [number for (number,) in rows(statement)]
