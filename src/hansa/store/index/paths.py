"""Paths through an entity, and how the values that they reach are distinguished.

A path is a tuple of attribute names from the top of an entity. After each name an array stands for its
elements and anything else for itself; so `("category", "id")` reaches every category's identifier, and it
makes no difference whether `category` is one object or a list of them. An array within an array has no
attributes.

Values are compared by their JSON type: the text of a query matches a string that is equal to it, a number
when it is written as a JSON number of the same value, and `true` or `false`. Each such meaning is one
*candidate*, written in canonical JSON, which is also how the index holds values.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from hansa.core.canonical import canonical_json

AttributePath = tuple[str, ...]

INDEXED_PATHS: Final[tuple[AttributePath, ...]] = (
    ("category", "id"),
    ("relatedParty", "id"),
    ("productSpecification", "id"),
)
"""Paths that are indexed in collections without a plan of their own."""

_SCALARS: Final = (str, int, float)
_json: Final = msgspec.json.Encoder()
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_NUMBER_LENGTH_MAX: Final = 64


def values_at(value: Any, path: AttributePath) -> list[Any]:
    """Everything that a path reaches, in document order; containers too."""
    return values_below([value], path)


def values_below(values: list[Any], path: AttributePath) -> list[Any]:
    """Everything that a path reaches from any of some values."""
    reached = values
    for name in path:
        children: list[Any] = []
        for parent in reached:
            if type(parent) is dict and name in parent:
                child = parent[name]
                if type(child) is list:
                    children += child
                else:
                    children.append(child)
        reached = children
    return reached


def index_text(value: Any) -> str | None:
    """What the index holds of a value: a scalar in canonical JSON; None of anything else."""
    if type(value) is str:
        return _json.encode(value).decode()
    return canonical_json(value).decode() if isinstance(value, _SCALARS) else None


def number_of(text: str) -> float | None:
    """The number that a text of a query can mean: one in JSON's notation."""
    if len(text) > _NUMBER_LENGTH_MAX or not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return None if abs(number) == float("inf") else number


def candidates(text: str) -> list[str]:
    """The JSON values, in canonical form, that a text of a query can mean."""
    meanings = [canonical_json(text).decode()]
    if text in {"true", "false"}:
        meanings.append(text)
    elif (number := number_of(text)) is not None:
        meanings.append(canonical_json(number).decode())
    return meanings


def all_candidates(values: tuple[str, ...]) -> list[str]:
    """Candidates of several texts, each once."""
    return list(dict.fromkeys(meaning for text in values for meaning in candidates(text)))
