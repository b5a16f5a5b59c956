"""Lists evaluated without SQL, by the plain reading of their definition."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from hansa.core.instants import comparable
from hansa.core.work import no_checkpoint
from hansa.store import AllOf, AnyOf, Condition, EntityDraft, Filter, IsPublic, Query, records
from hansa.store.operators import GTE, REGEX
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import draft

REAL = ("Launched", "Retired", "In design")


def offerings(count: int) -> list[EntityDraft]:
    return [
        draft(
            f"e{n}",
            public=n % 3 < 2,
            name=f"n{n % 10}",
            lifecycleStatus=REAL[n % 3],
            lastUpdate=f"2026-01-{n % 28 + 1:02}",
            category=[{"id": f"c{n % 4}"}, {"id": f"c{n % 5}"}],
            version=f"{n % 7}.0",
            parent="p" if n % 2 else None,
        )
        for n in range(count)
    ]


LAUNCHED = Filter(("lifecycleStatus",), ("Launched",))
SINCE = Filter(("lastUpdate",), ("2026-01-05T00:00:00Z",), GTE, is_instant=True)


def reached(document: Any, path: Sequence[str]) -> list[Any]:
    """What a path reaches; the plain reading of the definition."""
    if not path:
        return [document]
    if not isinstance(document, dict) or path[0] not in document:
        return []
    value = document[path[0]]
    return [x for node in (value if isinstance(value, list) else [value]) for x in reached(node, path[1:])]


ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def compares(value: Any, text: str, filter: Filter) -> bool:
    """Whether a value and the text of a query compare so."""
    if filter.operator is REGEX:
        return isinstance(value, str) and re.search(text, value) is not None
    applies_to = filter.operator.applies_to
    compare = ORDERS.get(filter.operator.name, filter.operator.holds)
    match value:
        case bool():
            return "boolean" in applies_to and compare("true" if value else "false", text)
        case str():
            if filter.has_moments:
                value, text = comparable(value), comparable(text)
            return compare(value, text)
        case int() | float():
            try:
                number = msgspec.json.decode(text)
            except msgspec.DecodeError:
                return False
            is_number = not isinstance(number, bool) and isinstance(number, int | float)
            return "number" in applies_to and is_number and compare(value, number)
        case _:
            return False


def holds(body: Any, condition: Condition, *, is_public: bool) -> bool:
    """Whether an entity satisfies a condition."""
    match condition:
        case Filter():
            return any(
                compares(v, t, condition) for v in reached(body, condition.path) for t in condition.values
            )
        case IsPublic():
            return condition.holds is is_public
        case records.Test():
            return condition.holds(body, no_checkpoint)
        case AnyOf():
            return any(holds(body, one, is_public=is_public) for one in condition.conditions)
        case AllOf():
            return all(holds(body, one, is_public=is_public) for one in condition.conditions)


def place(bodies: dict[str, Any], path: Sequence[str], id: str) -> tuple[int, float, str]:
    """Place of an entity in an order: absent, numbers, strings."""
    for value in reached(bodies[id], path):
        if isinstance(value, str):
            return 2, 0.0, comparable(value) if tuple(path) == ("lastUpdate",) else value
        if isinstance(value, int | float):
            return 1, float(value), ""
    return 0, 0.0, ""


def expected(drafts: Sequence[EntityDraft], query: Query) -> tuple[tuple[str, ...], int]:
    """The page and total, evaluated without SQL."""
    bodies = {one.id: msgspec.json.decode(one.body) for one in drafts}
    ids = [
        one.id
        for one in drafts
        if one.type == query.type
        and (one.public or not query.public_only)
        and query.parent in {None, one.parent}
        and all(holds(bodies[one.id], condition, is_public=one.public) for condition in query.filters)
    ]
    if query.sort and query.sort[-1].descending:
        ids.reverse()
    for key in reversed(query.sort):  # sorting is stable, also with `reverse`
        ids = sorted(ids, key=partial(place, bodies, key.path), reverse=key.descending)
    return tuple(ids[query.offset : query.offset + query.limit]), len(ids)


async def check_list(store: SqliteStore, drafts: Sequence[EntityDraft], query: Query) -> None:
    page = await store.list(query)
    assert (page.ids, page.total) == expected(drafts, query)
    bodies = {one.id: one.body for one in drafts}
    assert page.bodies == tuple(bodies[i] for i in page.ids)
