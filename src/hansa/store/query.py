"""From a `Query` to SQL: one compiler, here in SQLite's dialect.

A path is matched wherever it leads: an object on the way is entered, an array is searched for any element that
matches. Common paths have a column or rows of `entity_reference`; every other one is read from the JSON.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.store.records import Filter, Query, SortKey

COLUMNS: Final[dict[tuple[str, ...], str]] = {
    ("id",): "id",
    ("name",): "name",
    ("lifecycleStatus",): "lifecycle_status",
    ("lastUpdate",): "last_update",
}
"""Paths with a column of their own. They hold strings; a value of another type is not extracted."""

REFERENCE_PATHS: Final[tuple[tuple[str, ...], ...]] = (("category", "id"), ("relatedParty", "id"), ("productSpecification", "id"))
"""Paths with rows in `entity_reference`."""

Parameter = str | int | float | bytes | None


class Statement(msgspec.Struct, frozen=True):
    """SQL and its parameters."""

    sql: str
    parameters: tuple[Parameter, ...]


class Plan(msgspec.Struct, frozen=True):
    """How a query is answered."""

    page: Statement
    total: Statement
    is_indexed: bool
    """Whether the cost does not grow with the catalogue (but for what matches)."""


def compile_query(query: Query) -> Plan:
    """The statements for a page (id, body) and for its exact total."""
    conditions, parameters = ["type = ?"], [query.type]
    values: list[Parameter] = list(parameters)
    if query.public_only:
        conditions.append("public = 1")
    is_indexed = True
    for filter in query.filters:
        condition, more = _condition(filter)
        conditions.append(condition)
        values += more
        is_indexed = is_indexed and (filter.path in COLUMNS or filter.path in REFERENCE_PATHS)
    where = " AND ".join(conditions)
    order, order_values = _order(query.sort)
    page = Statement(
        f"SELECT id, body FROM entity WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608 - placeholders only
        (*values, *order_values, query.limit, query.offset),
    )
    is_indexed = is_indexed and all(key.path in COLUMNS for key in query.sort)
    return Plan(page, _total(query, where, tuple(values)), is_indexed)


def _total(query: Query, where: str, values: tuple[Parameter, ...]) -> Statement:
    """The kept counts when they can tell, else a count of the matches."""
    public = " AND public = 1" if query.public_only else ""
    if not query.filters:
        return Statement(
            f"SELECT ifnull(sum(count), 0) FROM entity_count WHERE type = ?{public}",  # noqa: S608 - placeholders only
            (query.type,),
        )
    if len(query.filters) == 1 and query.filters[0].path == ("lifecycleStatus",) and all(query.filters[0].values):
        wanted = tuple(dict.fromkeys(query.filters[0].values))
        marks = ", ".join("?" * len(wanted))
        return Statement(
            "SELECT ifnull(sum(count), 0) FROM entity_count "  # noqa: S608 - placeholders only
            f"WHERE type = ?{public} AND lifecycle_status IN ({marks})",
            (query.type, *wanted),
        )
    return Statement(f"SELECT count(*) FROM entity WHERE {where}", values)  # noqa: S608 - placeholders only


def _condition(filter: Filter) -> tuple[str, list[Parameter]]:
    marks = ", ".join("?" * len(filter.values))
    column = COLUMNS.get(filter.path)
    if column is not None:
        return f"{column} IN ({marks})", list(filter.values)
    if filter.path in REFERENCE_PATHS:
        return (
            f"rowid IN (SELECT entity FROM entity_reference WHERE path = ? AND value IN ({marks}))",
            [".".join(filter.path), *filter.values],
        )
    tables, values = _json_path(filter.path)
    last = f"n{len(filter.path)}"
    text = (
        f"CASE {last}.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
        f"WHEN 'text' THEN {last}.atom END IN ({marks})"
    )
    numbers = [number for value in filter.values if (number := _as_number(value)) is not None]
    values += filter.values
    if numbers:
        text += f" OR ({last}.type IN ('integer', 'real') AND {last}.atom IN ({', '.join('?' * len(numbers))}))"
        values += numbers
    return f"EXISTS (SELECT 1 FROM {tables} WHERE {text})", values


def _json_path(path: tuple[str, ...]) -> tuple[str, list[Parameter]]:
    """Table functions that walk from the body to the values at a path; `n<k>` are the nodes after k names.

    After each name a node that is an array stands for its elements, any other for itself: `json_each` of an array
    wrapped in an array where it is not one.
    """
    tables: list[str] = []
    values: list[Parameter] = []
    parent = "body"
    for depth, name in enumerate(path, start=1):
        tables.append(
            f"json_each(CASE WHEN json_type({parent}, ?) = 'array' THEN json_extract({parent}, ?) "
            f"WHEN json_type({parent}, ?) IS NULL THEN '[]' "
            f"ELSE json_array({parent} -> ?) END) AS n{depth}"
        )
        key = '$."' + name.replace('"', '""') + '"'
        values += [key, key, key, key]
        parent = f"CASE WHEN n{depth}.type = 'object' THEN n{depth}.value ELSE '{{}}' END"
    return ", ".join(tables), values


def _as_number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def _order(sort: tuple[SortKey, ...]) -> tuple[str, list[Parameter]]:
    """Ends with the row number, which keeps pages apart when keys are equal: without keys, oldest first."""
    parts: list[str] = []
    values: list[Parameter] = []
    for key in sort:
        column = COLUMNS.get(key.path)
        if column is None:
            column = "json_extract(body, ?)"
            values.append("$" + "".join(f'."{name}"' for name in key.path))
        parts.append(f"{column} {'DESC' if key.descending else 'ASC'}")
    return ", ".join([*parts, "rowid"]), values
