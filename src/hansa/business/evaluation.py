"""Filters evaluated on a JSON value in memory: for events, and as the measure of the store's SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hansa.store import Filter


def matches(value: Any, filters: Iterable[Filter]) -> bool:
    """Whether a value satisfies all filters."""
    return all(_satisfies(value, one) for one in filters)


def _satisfies(value: Any, filter: Filter) -> bool:
    return any(equals(found, wanted) for found in values_at(value, filter.path) for wanted in filter.values)


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """The values at a path; an array on the way, or at its end, stands for its elements."""
    if not path:
        yield from value if isinstance(value, list) else (value,)
        return
    for parent in value if isinstance(value, list) else (value,):
        if isinstance(parent, dict) and path[0] in parent:
            yield from values_at(parent[path[0]], path[1:])


def equals(value: Any, text: str) -> bool:
    """Whether a JSON value equals what a query string says, by the type of the value."""
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, int | float):
        try:
            return value == int(text)
        except ValueError:
            try:
                return value == float(text)
            except ValueError:
                return False
    return False
