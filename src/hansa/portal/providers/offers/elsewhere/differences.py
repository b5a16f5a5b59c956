"""What differs between two versions of an entity, attribute by attribute.

Elements of a list that have an identifier are compared with the one that has the same; others by their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

DIFFERENCES_MAX: Final = 300
VALUE_MAX_CHARS: Final = 400
DEPTH_MAX: Final = 40
"""Deeper, values are compared as a whole."""
_ABSENT: Final = object()


class ValueDifference(msgspec.Struct, frozen=True):
    """A value that is not the same."""

    path: str
    """As `productOfferingPrice[urn:…].name`."""
    kind: Literal["added", "removed", "changed"]
    before: str = ""
    """As JSON, when it is no text; cut."""
    after: str = ""


def differences(before: Any, after: Any) -> tuple[ValueDifference, ...]:
    """What makes one JSON value another, in the order of the paths; the first `DIFFERENCES_MAX` of it."""
    result: list[ValueDifference] = []
    for one in _differences("", before, after, 0):
        if len(result) == DIFFERENCES_MAX:
            break
        result.append(one)
    return tuple(result)


def _differences(path: str, before: Any, after: Any, depth: int) -> Iterator[ValueDifference]:
    if depth < DEPTH_MAX and isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            below = f"{path}.{name}" if path else name
            yield from _differences(below, before.get(name, _ABSENT), after.get(name, _ABSENT), depth + 1)
    elif depth < DEPTH_MAX and isinstance(before, list) and isinstance(after, list):
        former, latter = _elements(before), _elements(after)
        for name in dict.fromkeys((*former, *latter)):
            below = f"{path}[{name}]"
            yield from _differences(below, former.get(name, _ABSENT), latter.get(name, _ABSENT), depth + 1)
    elif before is _ABSENT:
        yield ValueDifference(path, "added", after=_text(after))
    elif after is _ABSENT:
        yield ValueDifference(path, "removed", before=_text(before))
    elif not _is_same(before, after):
        yield ValueDifference(path, "changed", _text(before), _text(after))


def _elements(values: list[Any]) -> dict[str, Any]:
    """The elements of a list by what they are compared by: identifiers, when all have different ones."""
    ids = [one.get("id") if isinstance(one, dict) else None for one in values]
    if all(isinstance(one, str) and one for one in ids) and len(set(ids)) == len(ids):
        return dict(zip(map(str, ids), values, strict=True))
    return {str(place): one for place, one in enumerate(values)}


def _is_same(before: Any, after: Any) -> bool:
    """Whether two values are the same in JSON, where true is no number."""
    return isinstance(before, bool) is isinstance(after, bool) and bool(before == after)


def _text(value: Any) -> str:
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown if len(shown) <= VALUE_MAX_CHARS else shown[:VALUE_MAX_CHARS] + "…"
