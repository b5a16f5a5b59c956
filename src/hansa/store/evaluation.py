"""Conditions and orders evaluated on a JSON value in memory.

They are defined at `hansa.store.Filter` and `hansa.store.Query`; this is the plain form of that. For events
and what is embedded in an entity, and as the measure of the store's SQL, which gives the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hansa.core.instants import comparable
from hansa.core.work import Checkpoint, no_checkpoint
from hansa.store.index.paths import number_of, values_at
from hansa.store.operators import EQ, Operator
from hansa.store.records import AllOf, AnyOf, Condition, Filter, IsPublic, SortKey, Test


def matches(value: Any, conditions: Iterable[Condition], checkpoint: Checkpoint = no_checkpoint) -> bool:
    """Whether a value satisfies all conditions; tests of it call `checkpoint` now and then."""
    return all(satisfies(value, one, checkpoint) for one in conditions)


def satisfies(value: Any, condition: Condition, checkpoint: Checkpoint = no_checkpoint) -> bool:
    """Whether a value satisfies a condition."""
    match condition:
        case Filter(path, texts, operator):
            has_moments = condition.has_moments
            return any(
                compares(actual, text, operator, has_moments=has_moments)
                for actual in values_at(value, path)
                for text in texts
            )
        case AnyOf():
            return any(satisfies(value, one, checkpoint) for one in condition.conditions)
        case AllOf():
            return all(satisfies(value, one, checkpoint) for one in condition.conditions)
        case Test():
            return condition.holds(value, checkpoint)
        case IsPublic():
            raise AssertionError("who knows whether the value is public resolves the condition")


def resolved(condition: Condition, *, is_public: bool) -> Condition:
    """A condition on an entity of which is known whether it is public: what is left of it for the body."""
    match condition:
        case IsPublic(holds):
            return AllOf(()) if holds is is_public else AnyOf(())
        case AnyOf(conditions):
            return AnyOf(tuple(resolved(one, is_public=is_public) for one in conditions))
        case AllOf(conditions):
            return AllOf(tuple(resolved(one, is_public=is_public) for one in conditions))
        case _:
            return condition


def compares(value: Any, text: str, operator: Operator, *, has_moments: bool = False) -> bool:
    """Whether a JSON value compares with the text of a query, by the type of the value.

    Args:
        value: Any JSON value; null and containers compare with nothing.
        text: As in the query string.
        operator: How they compare.
        has_moments: Strings are date-times, and compare as moments.
    """
    if isinstance(value, str):
        if has_moments:
            value, text = comparable(value), comparable(text)
        return operator.holds(value, text)
    if isinstance(value, bool):
        return "boolean" in operator.applies_to and operator.holds("true" if value else "false", text)
    if isinstance(value, int | float) and "number" in operator.applies_to:
        number = number_of(text)
        return number is not None and operator.holds(value, number)
    return False


def equals(value: Any, text: str) -> bool:
    """Whether a JSON value equals the text of a query, by the type of the value."""
    return compares(value, text, EQ)


def ordered(values: Iterable[Any], sort: Sequence[SortKey]) -> list[Any]:
    """Values in an order; those that are equal in all keys stay in the order in which they are passed.

    Where the last key descends, these are turned around too.
    """
    result = list(values)
    if sort and sort[-1].descending:
        result.reverse()
    for key in reversed(sort):
        result.sort(key=lambda value: _rank(value, key), reverse=key.descending)
    return result


def _rank(value: Any, key: SortKey) -> tuple[int, float, str]:
    """What a value is ordered by: absent before numbers, those before strings."""
    for actual in values_at(value, key.path):
        if isinstance(actual, str):
            return 2, 0.0, comparable(actual) if key.is_instant else actual
        if isinstance(actual, int | float):
            return 1, actual, ""
    return 0, 0.0, ""
