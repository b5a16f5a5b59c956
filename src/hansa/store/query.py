"""From a `Query` to SQL: one compiler, here in SQLite's dialect.

There are two kinds of plan. A *stream* is answered from an index that has the rows in the order asked for: its
cost is that of the page, whatever the size of the catalogue, so it runs on the event loop. Everything else is a
*search*, which may read every entity of the type: it runs in a worker thread and gives back, as one row, the total
and the row numbers of the page. (One row, because a thread that takes the interpreter's lock once per row would
wait for the event loop once per row.)

Order: the keys asked for, then the order in which entities were first written here, which is also the order when
none is asked for. Where the last key descends, so does that. Absent attributes and null come before numbers
(`false` is 0, `true` is 1), those before strings; strings compare by code point. A path that reaches several
values sorts by the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.store.attributes import (
    COLUMNS,
    INDEXED_PATHS,
    AttributePath,
    all_candidates,
    indexed_attribute,
)
from hansa.store.database import Parameter
from hansa.store.records import Filter, Query, SortKey

_STREAMED_IDS_MAX: Final = 100
_STATUS: Final = ("lifecycleStatus",)


class Statement(msgspec.Struct, frozen=True):
    """SQL and its parameters."""

    sql: str
    parameters: tuple[Parameter, ...]


class Stream(msgspec.Struct, frozen=True):
    """A plan whose cost is that of its page."""

    total: Statement
    """One row: (total,)."""
    page: Statement
    """Rows (id, body)."""


class Search(msgspec.Struct, frozen=True):
    """A plan whose cost grows with the catalogue."""

    statement: Statement
    """One row: (total, JSON list of the row numbers of the page)."""


class _Part(msgspec.Struct, frozen=True):
    """A piece of SQL with the parameters in it."""

    sql: str
    parameters: tuple[Parameter, ...] = ()


def compile_query(query: Query, indexed_paths: Sequence[AttributePath] = INDEXED_PATHS) -> Stream | Search:
    """The plan for a query."""
    filters = _Filters(query, indexed_paths)
    keys = [_sort_value(key.path) for key in query.sort]
    if filters.is_streamed(query):
        order = _order(query.sort, keys, filters.row)
        page = _joined(
            f"SELECT e.id, e.body FROM {filters.source} WHERE ",  # noqa: S608 - no input
            (),
            filters.where,
            _Part(f" ORDER BY {order.sql} LIMIT ? OFFSET ?", (*order.parameters, query.limit, query.offset)),
        )
        return Stream(filters.total(query), page)
    names = [f"k{n}" for n in range(len(keys))]
    ordered = _order(query.sort, [_Part(name) for name in names], "r")
    matched = _joined(
        f"WITH matched ({', '.join(['r', *names])}) AS MATERIALIZED ("  # noqa: S608 - names of our own
        f"SELECT {', '.join([filters.row, *(key.sql for key in keys)])} FROM {filters.source} WHERE ",
        tuple(value for key in keys for value in key.parameters),
        filters.where,
        _Part(
            ") SELECT (SELECT count(*) FROM matched), (SELECT json_group_array(r) FROM "  # noqa: S608 - no input
            f"(SELECT r FROM matched ORDER BY {ordered.sql} LIMIT ? OFFSET ?))",
            (query.limit, query.offset),
        ),
    )
    return Search(matched)


class _Filters:
    """The rows of a query: where they are taken from, and under which condition."""

    def __init__(self, query: Query, indexed_paths: Sequence[AttributePath]) -> None:
        self._has_id = any(f.path == ("id",) and len(f.values) <= _STREAMED_IDS_MAX for f in query.filters)
        # The first index entry with one meaning leads the way: its rows come in the order of the entities.
        led = (f for f in query.filters if f.path in indexed_paths and len(all_candidates(f.values)) == 1)
        self._leading = None if self._has_id else next(led, None)
        self.where: list[_Part] = []
        if self._leading is None:
            self.source, self.row = "entity AS e", "e.rowid"
            self.where.append(_Part("e.type = ?", (query.type,)))
            if query.public_only:
                self.where.append(_Part("e.public = 1"))
        else:
            self.source, self.row = (
                "entity_index AS i CROSS JOIN entity AS e ON e.rowid = i.entity",
                "i.entity",
            )
            self.where.append(_Part("i.attribute = ? AND i.value = ?", _entry(query.type, self._leading)))
            if query.public_only:
                self.where.append(_Part("i.public = 1"))
        self.where += (
            _condition(f, query.type, is_indexed=f.path in indexed_paths)
            for f in query.filters
            if f is not self._leading
        )

    def is_streamed(self, query: Query) -> bool:
        """Whether an index gives the rows in order."""
        if self._has_id:
            return True
        if not query.filters:
            return not query.sort or (len(query.sort) == 1 and query.sort[0].path in COLUMNS)
        if query.sort or len(query.filters) > 1:
            return False
        (only,) = query.filters
        return only is self._leading or (only.path in COLUMNS and len(set(only.values)) == 1)

    def total(self, query: Query) -> Statement:
        """The kept counts where they can tell, else a count in the index."""
        public = " AND public = 1" if query.public_only else ""
        if not query.filters:
            return Statement(
                f"SELECT ifnull(sum(count), 0) FROM entity_count WHERE type = ?{public}",  # noqa: S608 - no input
                (query.type,),
            )
        (first, *others) = query.filters
        if not others and first.path == _STATUS and all(first.values):
            return Statement(
                f"SELECT ifnull(sum(count), 0) FROM entity_count WHERE type = ?{public} "  # noqa: S608 - no input
                f"AND lifecycle_status IN ({_marks(first.values)})",
                (query.type, *first.values),
            )
        if not others and first is self._leading:
            return Statement(
                f"SELECT count(*) FROM entity_index WHERE attribute = ? AND value = ?{public}",  # noqa: S608
                _entry(query.type, first),
            )
        return _joined(f"SELECT count(*) FROM {self.source} WHERE ", (), self.where, _Part(""))  # noqa: S608 - no input


def _entry(type_name: str, filter: Filter) -> tuple[str, ...]:
    """Attribute and values of a filter in the index."""
    return (indexed_attribute(type_name, filter.path), *all_candidates(filter.values))


def _joined(head: str, values: tuple[Parameter, ...], where: Sequence[_Part], tail: _Part) -> Statement:
    return Statement(
        head + " AND ".join(part.sql for part in where) + tail.sql,
        (*values, *(value for part in where for value in part.parameters), *tail.parameters),
    )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _condition(filter: Filter, type_name: str, *, is_indexed: bool) -> _Part:
    column = COLUMNS.get(filter.path)
    if column is not None:
        return _Part(f"e.{column} IN ({_marks(filter.values)})", filter.values)
    meanings = all_candidates(filter.values)
    if is_indexed:
        return _Part(
            "EXISTS (SELECT 1 FROM entity_index AS x WHERE x.attribute = ? "  # noqa: S608 - placeholders only
            f"AND x.value IN ({_marks(meanings)}) AND x.entity = e.rowid)",
            _entry(type_name, filter),
        )
    return _json_condition(filter.path, meanings)


def _json_condition(path: AttributePath, meanings: list[str]) -> _Part:
    """Whether a path of the body reaches one of the meanings.

    The body is canonical JSON, so that a value that is in it stands there byte for byte: looking for these bytes
    first spares parsing most bodies.
    """
    walk = _walk(path)
    last = f"n{len(path)}"
    tests: list[str] = []
    values: list[Parameter] = []
    for meaning in meanings:
        if meaning in {"true", "false"}:
            tests.append(f"{last}.type = ?")
        elif meaning.startswith('"'):
            tests.append(f"({last}.type = 'text' AND {last}.atom = json_extract(?, '$'))")
        else:
            tests.append(f"({last}.type IN ('integer', 'real') AND {last}.atom = json_extract(?, '$'))")
        values.append(meaning)
    occurs = " OR ".join("instr(e.body, ?)" for _ in meanings)
    return _Part(
        f"({occurs}) AND EXISTS (SELECT 1 FROM {walk.sql} WHERE {' OR '.join(tests)})",  # noqa: S608 - no input
        (*(meaning.encode() for meaning in meanings), *walk.parameters, *values),
    )


def _walk(path: AttributePath) -> _Part:
    """Table functions that follow a path through the body; `n<k>` are the nodes after k names.

    What a name leads to is made a list (itself, when it is one), whose elements are the nodes. As text the body
    is parsed once per row: SQLite keeps what it parsed last, but not of blobs.
    """
    tables: list[str] = []
    values: list[Parameter] = []
    parent = "CAST(e.body AS TEXT)"
    for depth, name in enumerate(path, start=1):
        tables.append(
            f"json_each(CASE json_type({parent}, ?) WHEN 'array' THEN {parent} -> ? "
            f"ELSE ifnull('[' || ({parent} -> ?) || ']', '[]') END) AS n{depth}"
        )
        # A name in a path of SQLite is quoted as in JSON.
        step = "$." + msgspec.json.encode(name).decode()
        values += [step, step, step]
        parent = f"CASE n{depth}.type WHEN 'object' THEN n{depth}.value ELSE '{{}}' END"
    return _Part(" CROSS JOIN ".join(tables), tuple(values))


def _sort_value(path: AttributePath) -> _Part:
    column = COLUMNS.get(path)
    if column is not None:
        return _Part(f"e.{column}")
    walk = _walk(path)
    atom = f"n{len(path)}.atom"
    return _Part(f"(SELECT {atom} FROM {walk.sql} WHERE {atom} IS NOT NULL LIMIT 1)", walk.parameters)  # noqa: S608


def _order(sort: tuple[SortKey, ...], keys: Sequence[_Part], row: str) -> _Part:
    parts = [f"{part.sql} DESC" if key.descending else part.sql for key, part in zip(sort, keys, strict=True)]
    parts.append(f"{row} DESC" if sort and sort[-1].descending else row)
    return _Part(", ".join(parts), tuple(value for part in keys for value in part.parameters))
