"""Conditions evaluated on a JSON value in memory: for events, and as the measure of the store's SQL.

What a filter means is written at `hansa.store.Filter`; this is the plain form of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final

from hansa.core.instants import comparable
from hansa.core.patterns import compiled
from hansa.store import AllOf, AnyOf, Condition, Filter, SortKey, Test

_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_NUMBER_LENGTH_MAX: Final = 64
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def matches(value: Any, conditions: Iterable[Condition]) -> bool:
    """Whether a value satisfies all conditions."""
    return all(satisfies(value, one) for one in conditions)


def satisfies(value: Any, condition: Condition) -> bool:
    """Whether a value satisfies a condition."""
    match condition:
        case Filter():
            return any(
                compares(found, wanted, condition)
                for found in values_at(value, condition.path)
                for wanted in condition.values
            )
        case AnyOf():
            return any(satisfies(value, one) for one in condition.conditions)
        case AllOf():
            return all(satisfies(value, one) for one in condition.conditions)
        case Test():
            return condition.holds(value)


def ordered(values: Iterable[Any], sort: Sequence[SortKey]) -> list[Any]:
    """Values in an order, as `hansa.store.sqlite.lists.planner` describes it; the order in which they come decides at last."""
    found = list(values)
    if sort and sort[-1].descending:
        found.reverse()
    for key in reversed(sort):
        found.sort(key=lambda value: _rank(value, key), reverse=key.descending)
    return found


def _rank(value: Any, key: SortKey) -> tuple[int, float, str]:
    """What a value is ordered by: nothing before numbers, those before strings."""
    for found in values_at(value, key.path):
        if isinstance(found, str):
            return 2, 0.0, comparable(found) if key.is_instant else found
        if isinstance(found, int | float):
            return 1, found, ""
    return 0, 0.0, ""


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """The values at a path; an array on the way, or at its end, stands for its elements."""
    if not path:
        yield from value if isinstance(value, list) else (value,)
        return
    for parent in value if isinstance(value, list) else (value,):
        if isinstance(parent, dict) and path[0] in parent:
            yield from values_at(parent[path[0]], path[1:])


def compares(value: Any, text: str, filter: Filter) -> bool:
    """Whether a JSON value compares with what a query string says, by the type of the value."""
    if filter.operator == "regex":
        return isinstance(value, str) and compiled(text).search(value) is not None
    if filter.is_instant and isinstance(value, str):
        value, text = comparable(value), comparable(text)
    if filter.operator == "eq":
        return equals(value, text)
    if isinstance(value, str):
        return _ORDERS[filter.operator](value, text)
    if isinstance(value, int | float) and not isinstance(value, bool) and is_number(text):
        return _ORDERS[filter.operator](value, float(text))
    return False


def equals(value: Any, text: str) -> bool:
    """Whether a JSON value equals what a query string says, by the type of the value."""
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int | float):
        return is_number(text) and value == float(text)
    return False


def is_number(text: str) -> bool:
    """Whether a text is a JSON number that is finite."""
    return (
        len(text) <= _NUMBER_LENGTH_MAX
        and _NUMBER.fullmatch(text) is not None
        and abs(float(text)) != float("inf")
    )
