"""The SQL of each way to answer a page, from the analysis of its list. All yield numbers of entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hansa.core.work import Checkpoint
from hansa.store.operators import IndexUse
from hansa.store.records import Filter, Query, SortKey
from hansa.store.sql import Parameter, placeholders
from hansa.store.sqlite.lists.analysis import (
    INDEX_OF,
    Analysis,
    IndexScan,
    NumberScan,
    Posting,
    collection_posting,
    flattened,
)
from hansa.store.sqlite.lists.conditions import Fragment, joined


class Statement(msgspec.Struct, frozen=True):
    """SQL to run."""

    sql: str
    parameters: tuple[Parameter, ...]
    tests: tuple[Callable[[Any, Checkpoint], bool], ...] = ()
    """The functions that `hansa_test` calls, by position."""


def stream(analysis: Analysis, offset: int, limit: int, after: int | None) -> Statement:
    """Some entities (number) of the only index scan, or of the whole collection, in the order of numbers.

    Args:
        analysis: Of the list.
        offset: How many entities come before them.
        limit: How many at most.
        after: Number of the entity before them, when that is known: then none has to be skipped.
    """
    scan = analysis.only_scan
    assert scan is not None or analysis.condition_count == 0, "nothing is left to check"
    postings = scan.postings if scan is not None else (collection_posting(analysis.query),)
    selects = [_behind(one, after) for one in _number_scans(postings)]
    merged = _union(selects, distinct=scan is not None and not scan.is_disjoint)
    skipped = offset if after is None else 0
    return Statement(f"{merged.sql} ORDER BY n LIMIT ? OFFSET ?", (*merged.parameters, limit, skipped))


def named(analysis: Analysis) -> Statement:
    """All entities (number) that the identifiers and the other conditions accept, in the order of numbers."""
    where = joined(" AND ", [*_base(analysis), *_checks(analysis, None)], "1")
    return Statement(
        f"SELECT e.number FROM entity AS e WHERE {where.sql} ORDER BY e.number",  # noqa: S608 - no input
        where.parameters,
        analysis.tests,
    )


def walk(analysis: Analysis, query: Query) -> Statement:
    """The page (number) in the order of a column, with every condition checked."""
    column = analysis.sort_column
    assert column is not None, "the order is that of an index"
    where = joined(" AND ", [*_base(analysis), *_checks(analysis, None)], "1")
    descending = " DESC" if query.sort[0].descending else ""
    return Statement(
        f"SELECT e.number AS n FROM entity AS e INDEXED BY {INDEX_OF[column]} WHERE {where.sql} "  # noqa: S608 - no input
        f"ORDER BY e.{column}{descending}, e.number{descending} LIMIT ? OFFSET ?",
        (*where.parameters, query.limit, query.offset),
        analysis.tests,
    )


def range_count(analysis: Analysis, count_max: int | None = None) -> Statement:
    """How many entities (count) the range of a column has.

    Args:
        analysis: Of a list whose only condition is such a range.
        count_max: No more than these are counted.
    """
    assert analysis.range_column is not None, "the only condition is a range"
    where = joined(" AND ", [*_base(analysis), *analysis.checks], "1")
    rows = f"FROM entity AS e INDEXED BY {INDEX_OF[analysis.range_column]} WHERE {where.sql}"
    if count_max is None:
        return Statement(f"SELECT count(*) {rows}", where.parameters)
    return Statement(
        f"SELECT count(*) FROM (SELECT 1 {rows} LIMIT ?)",  # noqa: S608 - no input
        (*where.parameters, count_max),
    )


def search(analysis: Analysis, query: Query, scan: IndexScan | None) -> Statement:
    """One row: the total, and a JSON list of the numbers of the page.

    Args:
        analysis: Of the list.
        query: The page.
        scan: The index scan that the entities are from, or None: then they are those of the collection.
    """
    source, parameters = _search_source(analysis, scan)
    where = joined(" AND ", [*_base(analysis), *_checks(analysis, scan)], "1")
    keys = [f"k{position}" for position in range(len(analysis.sort_values))]
    values = ["e.number", *(value.sql for value in analysis.sort_values)]
    return Statement(
        f"WITH matched ({', '.join(['r', *keys])}) AS MATERIALIZED ("  # noqa: S608 - names of our own
        f"SELECT {', '.join(values)} FROM {source} WHERE {where.sql}) "
        "SELECT (SELECT count(*) FROM matched), (SELECT json_group_array(r) "
        f"FROM (SELECT r FROM matched ORDER BY {_order(query.sort, keys)} LIMIT ? OFFSET ?))",
        (
            *(parameter for value in analysis.sort_values for parameter in value.parameters),
            *parameters,
            *where.parameters,
            *(query.limit, query.offset),
        ),
        analysis.tests,
    )


def searched_bytes(analysis: Analysis, scan: IndexScan | None) -> Statement:
    """How many bytes (one row) the bodies have that a search parses.

    They are those of an index scan, of a range, or of the identifiers that the list names.
    """
    if analysis.has_ids:
        ids = [
            value
            for one in flattened(analysis.query.filters)
            if isinstance(one, Filter) and one.path == ("id",) and one.operator.index is IndexUse.POSTINGS
            for value in one.values
        ]
        return Statement(
            f"SELECT ifnull(sum(length(body)), 0) FROM entity WHERE id IN ({placeholders(len(ids))})",  # noqa: S608 - placeholders only
            tuple(ids),
        )
    source, parameters = _search_source(analysis, scan)
    where = joined(" AND ", [*_base(analysis), *(analysis.checks if analysis.range_column else ())], "1")
    return Statement(
        f"SELECT ifnull(sum(length(e.body)), 0) FROM {source} WHERE {where.sql}",  # noqa: S608 - no input
        (*parameters, *where.parameters),
    )


def _search_source(analysis: Analysis, scan: IndexScan | None) -> tuple[str, tuple[Parameter, ...]]:
    """Where a search has its entities from: the text behind FROM, with its parameters."""
    if scan is not None:
        selects = [one.select for one in _number_scans(scan.postings)]
        merged = _union(selects, distinct=not scan.is_disjoint)
        return f"({merged.sql}) AS p CROSS JOIN entity AS e ON e.number = p.n", merged.parameters
    if analysis.range_column is not None:
        return f"entity AS e INDEXED BY {INDEX_OF[analysis.range_column]}", ()
    return ("entity AS e" if analysis.has_ids else "entity AS e INDEXED BY entity_by_type"), ()


def _base(analysis: Analysis) -> list[Fragment]:
    """What holds for every list: the collection, and who reads it."""
    fragments = [Fragment("e.type = ?", (analysis.query.type,))]
    if analysis.query.public_only:
        fragments.append(Fragment("e.public = 1"))
    return fragments


def _checks(analysis: Analysis, scan: IndexScan | None) -> list[Fragment]:
    """All conditions but the one that the entities are from."""
    return [*(one.check for one in analysis.scans if one is not scan), *analysis.checks]


def _number_scans(postings: Sequence[Posting]) -> list[NumberScan]:
    return [scan for posting in postings for scan in posting.scans]


def _behind(scan: NumberScan, after: int | None) -> Fragment:
    """The part of a scan behind a number."""
    if after is None:
        return scan.select
    return Fragment(f"{scan.select.sql} AND {scan.number} > ?", (*scan.select.parameters, after))


def _union(selects: Sequence[Fragment], *, distinct: bool) -> Fragment:
    """Sorted streams of numbers as one, which SQLite merges without sorting."""
    return Fragment(
        (" UNION " if distinct else " UNION ALL ").join(select.sql for select in selects),
        tuple(parameter for select in selects for parameter in select.parameters),
    )


def _order(sort: tuple[SortKey, ...], keys: Sequence[str]) -> str:
    parts = [f"{name} DESC" if key.descending else name for key, name in zip(sort, keys, strict=True)]
    parts.append("r DESC" if sort and sort[-1].descending else "r")
    return ", ".join(parts)
