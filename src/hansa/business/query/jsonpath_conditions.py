"""A JSONPath as conditions of the store, so that indexes serve the simple ones.

`$[?(@.name=='x')]` and `$.relatedParty[?(@.id=='x')]` are filters, exactly, as long as the model says that the values
have the type of the literal and that arrays stand where the path has predicates. Of other paths a part may be
necessary (of `a && b` in an array, both parts, though not of one element): that part narrows the search, and the path
itself decides what is left.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from hansa.business.models import Api
from hansa.business.query.jsonpath import (
    Both,
    Compared,
    Constant,
    Either,
    Exists,
    Matching,
    Name,
    Predicate,
    Segment,
    Steps,
    Where,
    Wildcard,
)
from hansa.business.query.jsonpath_text import read
from hansa.business.query.paths import NoSuchAttribute, Path, ResolvedPath, follow
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, Filter, Test
from hansa.store.operators import OPERATORS, REGEX, Operator

_TEXTS: Final = frozenset({"string", "uri", "base64", "date-time"})
_NUMBERS: Final = frozenset({"integer", "number"})
_OPERATORS: Final = {one.relation: one for one in OPERATORS if one.relation is not None}
_MIRRORED: Final = {one.mirrored: one for one in OPERATORS if one.mirrored is not None}


class _Part(NamedTuple):
    """What is necessary, and whether that is all."""

    condition: Condition | None
    is_exact: bool


_UNKNOWN: Final = _Part(None, is_exact=False)


def selecting(parameter: str, text: str, api: Api, type_name: str, limits: Limits) -> tuple[Condition, ...]:
    """What must hold for an entity in which a JSONPath reaches something.

    Raises:
        Refused: `Code.INVALID` or `Code.NOT_IMPLEMENTED`, naming the parameter.
    """
    path = read(parameter, text, limits)
    if not path.segments:
        return ()
    translation = _Translation(api, type_name)
    if path.is_on_list:
        first, *rest = path.segments
        parts = [translation.path(tuple(rest), ())] if rest else []
        match first.selectors:
            case (Where(predicate),):
                parts.insert(0, translation.predicate(predicate, (), is_in_list=False))
            case (Wildcard(),):
                pass
            case _:
                parts.append(_UNKNOWN)
    else:
        parts = [translation.path(path.segments, ())]
    necessary = tuple(one for part in parts for one in _each(part.condition))
    if all(part.is_exact for part in parts):
        return necessary
    # The name appears in a header and in metrics: it must not be what the client wrote.
    return (*necessary, Test(parameter, path.holds))


def _each(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions that must all hold for one to hold, side by side."""
    if isinstance(condition, AllOf):
        return tuple(below for one in condition.conditions for below in _each(one))
    return () if condition is None else (condition,)


class _Translation:
    """Follows a path through the model."""

    def __init__(self, api: Api, type_name: str) -> None:
        self._api = api
        self._type = type_name

    def path(self, segments: tuple[Segment, ...], base: Path) -> _Part:
        """That a path reaches something: known where it ends in the predicate of an array."""
        names: list[str] = []
        for position, segment in enumerate(segments):
            match segment:
                case Segment((Name(name),), False):
                    names.append(name)
                case Segment((Where(predicate),), False) if names:
                    place = self._place((*base, *names))
                    if place is None or not place.lists[-1] or any(place.lists[len(base) : -1]):
                        return _UNKNOWN
                    found = self.predicate(predicate, place.path, is_in_list=True)
                    return _Part(found.condition, found.is_exact and position == len(segments) - 1)
                case _:
                    return _UNKNOWN
        return _UNKNOWN

    def predicate(self, predicate: Predicate, base: Path, *, is_in_list: bool) -> _Part:
        """That a predicate holds for the entity, or for an element of the array at `base`."""
        match predicate:
            case Both(left, right):
                parts = [self.predicate(one, base, is_in_list=is_in_list) for one in (left, right)]
                known = tuple(part.condition for part in parts if part.condition is not None)
                # In an array each part may hold for another element.
                is_exact = not is_in_list and all(part.is_exact for part in parts)
                return _Part((AllOf(known) if len(known) > 1 else known[0]) if known else None, is_exact)
            case Either(left, right):
                parts = [self.predicate(one, base, is_in_list=is_in_list) for one in (left, right)]
                known = tuple(part.condition for part in parts if part.condition is not None)
                if len(known) < len(parts):
                    return _UNKNOWN
                return _Part(AnyOf(known), all(part.is_exact for part in parts))
            case Exists(Steps(segments, None, False)):
                return self.path(segments, base)
            case Compared(Steps() as steps, relation, Constant(value)) if relation in _OPERATORS:
                return self._filter(steps, _OPERATORS[relation], value, base)
            case Compared(Constant(value), relation, Steps() as steps) if relation in _MIRRORED:
                return self._filter(steps, _MIRRORED[relation], value, base)
            case Matching(steps, pattern):
                return self._filter(steps, REGEX, rf"\A(?:{pattern})\z", base)
            case _:
                return _UNKNOWN

    def _filter(self, steps: Steps, operator: Operator, value: object, base: Path) -> _Part:
        names: list[str] = []
        for segment in steps.segments:
            match segment:
                case Segment((Name(name),), False):
                    names.append(name)
                case _:
                    return _UNKNOWN
        if steps.function is not None or steps.is_from_root or not names or value is None:
            return _UNKNOWN
        place = self._place((*base, *names))
        if place is None:
            return _UNKNOWN
        if isinstance(value, bool) and "boolean" not in operator.applies_to:
            return _UNKNOWN
        text = value if isinstance(value, str) else json.dumps(value)
        is_exact = self._is_of_type(place, value) and not any(place.lists[len(base) :])
        return _Part(Filter(place.path, (text,), operator), is_exact)

    def _place(self, path: Path) -> ResolvedPath | None:
        if any("." in name for name in path):
            return None
        try:
            return follow(".".join(path), self._api, self._type)
        except NoSuchAttribute:
            return None

    def _is_of_type(self, place: ResolvedPath, value: object) -> bool:
        """Whether values there have the type of a literal, so that comparing them by their own type is the same."""
        if isinstance(value, bool):
            return place.type == "boolean"
        if isinstance(value, str):
            return place.type in _TEXTS or place.type in self._api.enumerations
        return place.type in _NUMBERS
