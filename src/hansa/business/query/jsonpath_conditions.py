"""A JSONPath as conditions of the store, so that indexes serve the simple ones.

`$[?(@.name=='x')]` and `$.relatedParty[?(@.id=='x')]` are exactly filters, provided that by the model the
values have the type of the literal and arrays are where the path has predicates. Of other paths a part may be
necessary (of `a && b` in an array, both parts, though not in one element): that part narrows the search, and
the path itself is evaluated on the rest.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from hansa.business.models import Api
from hansa.business.query.jsonpath import (
    And,
    Comparison,
    Constant,
    Exists,
    Name,
    Or,
    Predicate,
    RegexMatch,
    Segment,
    SubPath,
    Where,
    Wildcard,
)
from hansa.business.query.jsonpath_text import read_jsonpath
from hansa.business.query.paths import NoSuchAttribute, Path, ResolvedPath, resolve_path
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, Filter, Test
from hansa.store.operators import OPERATORS, REGEX, Operator

_TEXTS: Final = frozenset({"string", "uri", "base64", "date-time"})
_NUMBERS: Final = frozenset({"integer", "number"})
_OPERATORS: Final = {one.relation: one for one in OPERATORS if one.relation is not None}
_MIRRORED: Final = {one.mirrored: one for one in OPERATORS if one.mirrored is not None}


class _Part(NamedTuple):
    """A necessary condition, and whether it is also sufficient."""

    condition: Condition | None
    is_exact: bool


_UNKNOWN: Final = _Part(None, is_exact=False)


def jsonpath_conditions(
    parameter: str, text: str, api: Api, type_name: str, limits: Limits
) -> tuple[Condition, ...]:
    """The conditions for entities in which a JSONPath selects something.

    Raises:
        Refused: `Code.INVALID` or `Code.NOT_IMPLEMENTED`, naming the parameter.
    """
    path = read_jsonpath(parameter, text, limits)
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
    necessary = tuple(one for part in parts for one in _flattened(part.condition))
    if all(part.is_exact for part in parts):
        return necessary
    # The name appears in a header and in metrics: it must not be what the client wrote.
    return (*necessary, Test(parameter, path.holds))


def _flattened(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions of a conjunction, flattened."""
    if isinstance(condition, AllOf):
        return tuple(below for one in condition.conditions for below in _flattened(one))
    return () if condition is None else (condition,)


class _Translation:
    """Translates a path by the model."""

    def __init__(self, api: Api, type_name: str) -> None:
        self._api = api
        self._type = type_name

    def path(self, segments: tuple[Segment, ...], base: Path) -> _Part:
        """The condition that a path selects something: known where it ends in the predicate of an array."""
        names: list[str] = []
        for position, segment in enumerate(segments):
            match segment:
                case Segment((Name(name),), False):
                    names.append(name)
                case Segment((Where(predicate),), False) if names:
                    resolved = self._resolve((*base, *names))
                    if resolved is None or not resolved.lists[-1] or any(resolved.lists[len(base) : -1]):
                        return _UNKNOWN
                    part = self.predicate(predicate, resolved.path, is_in_list=True)
                    return _Part(part.condition, part.is_exact and position == len(segments) - 1)
                case _:
                    return _UNKNOWN
        return _UNKNOWN

    def predicate(self, predicate: Predicate, base: Path, *, is_in_list: bool) -> _Part:
        """The condition that a predicate holds for the entity, or for an element of the array at `base`."""
        match predicate:
            case And(left, right):
                parts = [self.predicate(one, base, is_in_list=is_in_list) for one in (left, right)]
                known = tuple(part.condition for part in parts if part.condition is not None)
                # In an array each operand may hold for another element.
                is_exact = not is_in_list and all(part.is_exact for part in parts)
                return _Part((AllOf(known) if len(known) > 1 else known[0]) if known else None, is_exact)
            case Or(left, right):
                parts = [self.predicate(one, base, is_in_list=is_in_list) for one in (left, right)]
                known = tuple(part.condition for part in parts if part.condition is not None)
                if len(known) < len(parts):
                    return _UNKNOWN
                return _Part(AnyOf(known), all(part.is_exact for part in parts))
            case Exists(SubPath(segments, None, False)):
                return self.path(segments, base)
            case Comparison(SubPath() as steps, relation, Constant(value)) if relation in _OPERATORS:
                return self._filter(steps, _OPERATORS[relation], value, base)
            case Comparison(Constant(value), relation, SubPath() as steps) if relation in _MIRRORED:
                return self._filter(steps, _MIRRORED[relation], value, base)
            case RegexMatch(steps, pattern):
                return self._filter(steps, REGEX, rf"\A(?:{pattern})\z", base)
            case _:
                return _UNKNOWN

    def _filter(self, steps: SubPath, operator: Operator, value: object, base: Path) -> _Part:
        names: list[str] = []
        for segment in steps.segments:
            match segment:
                case Segment((Name(name),), False):
                    names.append(name)
                case _:
                    return _UNKNOWN
        if steps.function is not None or steps.is_from_root or not names or value is None:
            return _UNKNOWN
        resolved = self._resolve((*base, *names))
        if resolved is None:
            return _UNKNOWN
        if isinstance(value, bool) and "boolean" not in operator.applies_to:
            return _UNKNOWN
        text = value if isinstance(value, str) else json.dumps(value)
        is_exact = self._is_of_type(resolved, value) and not any(resolved.lists[len(base) :])
        return _Part(Filter(resolved.path, (text,), operator), is_exact)

    def _resolve(self, path: Path) -> ResolvedPath | None:
        if any("." in name for name in path):
            return None
        try:
            return resolve_path(".".join(path), self._api, self._type)
        except NoSuchAttribute:
            return None

    def _is_of_type(self, resolved: ResolvedPath, value: object) -> bool:
        """Whether the values of a path have the type of a literal, as comparisons go by the value's type."""
        if isinstance(value, bool):
            return resolved.type == "boolean"
        if isinstance(value, str):
            return resolved.type in _TEXTS or resolved.type in self._api.enumerations
        return resolved.type in _NUMBERS
