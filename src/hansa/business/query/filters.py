"""From assertions to the store's conditions: operators, and what may be compared with what.

The model decides: a name must be an attribute path, an order needs a type that has one, and date-times are
compared as moments. An equality with a value that an attribute can never have holds for nothing and is no
error. An order with one is an error, since it has no answer; and so is an equality with an object or a list
of objects, which no text is.

A repeated name makes alternatives, as long as the operator is the same: `date.gt=x&date.lt=y` is a range.
Commas make alternatives for equality alone. Since names of real things hold commas as well, the value as a
whole is one too. Many clients write a value as it stands in JSON, `state="active"`: then what is between the
quotation marks is meant. Others write it as JSONPath does, `state='active'` (TMF630 Part 6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import unquote

from hansa.business.models import Api
from hansa.business.query.parameters import Assertion, AssertionGroup
from hansa.business.query.paths import NoSuchAttribute, ResolvedPath
from hansa.core.errors import Code, Refused
from hansa.core.instants import instant
from hansa.core.limits import Limits
from hansa.core.patterns import compiled
from hansa.store import AllOf, AnyOf, Condition, Filter
from hansa.store.index.paths import number_of
from hansa.store.operators import EQ, OPERATORS, Kind, Operand, Operator

SUFFIXES: Final = {suffix: operator for operator in OPERATORS for suffix in operator.suffixes}
"""Operators as the last part of a name. An attribute that is really called so has precedence."""

_KINDS: Final[dict[Kind, str]] = {
    "text": "a text",
    "number": "a number",
    "boolean": "a boolean",
    "object": "an object",
}
_NUMBERS: Final = frozenset({"integer", "number"})
_NO_ZONE_SIGN: Final = re.compile(r"(.+[0-9]) ([0-9]{2}:?[0-9]{2})", re.ASCII)
_QUOTES: Final = frozenset("\"'")
_PART: Final = re.compile(r"""(?:(?<=,)|\A)(?:"[^"]*"(?=,|\Z)|'[^']*'(?=,|\Z)|[^,]*)""")
_TELLING: Final = ("id", "name", "value", "amount", "startDateTime")
"""Attributes of objects that people compare first."""
_ID: Final = ("id",)
_NOTHING: Final = ""
"""No entity has this identifier."""

Resolve = Callable[[str], ResolvedPath]
"""Where a dotted name leads; raises `NoSuchAttribute`."""


class FilterCompiler:
    """Makes filters of assertions on one kind of value: entities of a collection, or events."""

    def __init__(self, api: Api, limits: Limits, resolve: Resolve) -> None:
        self._api = api
        self._limits = limits
        self._resolve = resolve
        self._patterns = 0
        """Which take longer to compile than anything else."""

    def filter(self, asserted: Assertion) -> Filter:
        """The filter that an assertion is.

        Raises:
            Refused: `Code.INVALID`, naming the parameter, the rule and the value.
        """
        place, operator = self._place(asserted)
        value = asserted.value
        is_instant = place.type == "date-time" and operator.has_moments
        if is_instant or operator.operand is Operand.TYPED:
            value = unquoted(value)
        if is_instant:
            value = _with_sign(value)
        self._check(asserted.name, place, operator, value)
        values = alternatives(value) if operator.has_alternatives else (value,)
        if operator is EQ:
            self._check_no_object(asserted.name, place)
        return Filter(place.path, values, operator, is_instant)

    def _place(self, asserted: Assertion) -> tuple[ResolvedPath, Operator]:
        """Where the name leads, and the operator.

        A suffix that is an operator counts when no attribute has its name.
        """
        name, operator, _ = asserted
        bare, _, last = name.rpartition(".")
        suffix = SUFFIXES.get(last) if operator is None and bare else None
        try:
            place = self._resolve(name)
        except NoSuchAttribute as wrong:
            if suffix is None:
                raise _no_path(name, wrong, last if bare and operator is None else "") from None
            try:
                return self._resolve(bare), suffix
            except NoSuchAttribute as also:
                raise _no_path(bare, also, "") from None
        if suffix is not None and not place.is_declared:
            return self._resolve(bare), suffix
        return place, operator or EQ

    def _check(self, name: str, place: ResolvedPath, operator: Operator, value: str) -> None:
        """Refuse an operator that does not apply to the attribute, and what is not its operand."""
        kind = self._kind(place)
        if kind not in operator.applies_to:
            reason = operator.inapplicable.format(kind=_KINDS[kind])
            raise Refused(Code.INVALID, f"{name}: {reason}.")
        match operator.operand:
            case Operand.PATTERN:
                self._patterns += 1
                if self._patterns > self._limits.filter_count_max:
                    count_max = self._limits.filter_count_max
                    raise Refused(Code.INVALID, f"A query takes at most {count_max} regular expressions.")
                check_pattern(name, value, self._limits)
            case Operand.TYPED:
                _check_type(name, place, value)
            case Operand.ANY:
                pass

    def _check_no_object(self, name: str, place: ResolvedPath) -> None:
        """Refuse an equality with objects, which holds for no text."""
        if self._kind(place) == "object":
            attributes = self._api.attributes_of(place.type) if place.type in self._api.types else {}
            below = next((one for one in _TELLING if one in attributes), next(iter(attributes), "…"))
            raise Refused(
                Code.INVALID,
                f"{name}: this attribute holds objects; compare one of their attributes, as {'.'.join((*place.path, below))}=…",
            )

    def _kind(self, place: ResolvedPath) -> Kind:
        if place.type in _NUMBERS:
            return "number"
        if place.type == "boolean":
            return "boolean"
        return "object" if place.type == "object" or place.type in self._api.types else "text"


def _check_type(name: str, place: ResolvedPath, value: str) -> None:
    if place.type in _NUMBERS and number_of(value) is None:
        raise Refused(Code.INVALID, f"{name}: {value[:60]!r} is no number; this attribute holds numbers.")
    if place.type == "date-time" and instant(value) is None:
        raise Refused(
            Code.INVALID,
            f"{name}: {value[:60]!r} is no date-time; write it as 2026-01-31T12:00:00Z or a beginning of that.",
        )


def _no_path(name: str, wrong: NoSuchAttribute, operator: str) -> Refused:
    hint = ""
    if operator in {"ne", "in", "like", "contains", "neq", "ge", "le", "matches"}:
        hint = f" Operators are {', '.join('.' + suffix for suffix in SUFFIXES)}."
    return Refused(
        Code.INVALID, f"{name[:60]!r} is neither a parameter of a list nor an attribute path: {wrong}{hint}"
    )


def check_pattern(name: str, pattern: str, limits: Limits) -> None:
    """Refuse what is no regular expression of RE2, the syntax whose matching takes linear time.

    Raises:
        Refused: `Code.INVALID`, with RE2's complaint.
    """
    if len(pattern) > limits.pattern_length_max_chars:
        raise Refused(
            Code.INVALID,
            f"{name}: a regular expression has at most {limits.pattern_length_max_chars} characters.",
        )
    try:
        compiled(pattern)
    except Refused as error:
        raise Refused(error.code, f"{name}: {error.message}") from None


def alternatives(value: str) -> tuple[str, ...]:
    """The values that an equality accepts.

    The whole, its parts between commas, and what is between the quotation marks of these.
    """
    if value[:1] in _QUOTES:
        parts = _parts(value)
        return tuple(dict.fromkeys((value, *parts, *map(unquoted, parts))))
    if "," not in value:
        return (value,)
    return (value, *map(unquoted, _parts(value)))


def _parts(value: str) -> list[str]:
    """The parts between commas; a comma between quotation marks parts nothing."""
    return [match[0] for match in _PART.finditer(value)]


def unquoted(value: str) -> str:
    """A value without the quotation marks around it, of either kind."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES else value


def _with_sign(value: str) -> str:
    """A date-time whose zone's `+` arrived as a blank because it was not encoded."""
    match = _NO_ZONE_SIGN.fullmatch(value) if " " in value else None
    return f"{match[1]}+{match[2]}" if match is not None and "T" in value else value


def conditions(
    groups: Iterable[AssertionGroup], comparison: FilterCompiler, limits: Limits
) -> tuple[Condition, ...]:
    """What must hold: the filters of one group, or one condition that is any of several groups.

    Raises:
        Refused: `Code.INVALID`.
    """
    filters = [merged(comparison.filter(one) for one in group) for group in groups if group]
    if sum(map(len, filters)) > limits.filter_count_max:
        raise Refused(Code.INVALID, f"A list takes at most {limits.filter_count_max} filters.")
    for one in (one for group in filters for one in group):
        if not one.operator.has_alternatives and len(one.values) > limits.filter_count_max:
            name = f"{'.'.join(one.path)[:60]}.{one.operator.name}"
            raise Refused(Code.INVALID, f"{name} is compared with at most {limits.filter_count_max} values.")
    if len(filters) < 2:
        return filters[0] if filters else ()
    # Alternatives that are one filter each, on the same path, are one filter with more values.
    singles = merged(group[0] for group in filters if len(group) == 1)
    several: list[Condition] = [AllOf(group) for group in filters if len(group) > 1]
    either = (*singles, *several)
    return either if len(either) == 1 else (AnyOf(either),)


def merged(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """Filters, of which those that differ in their values alone are one with all values."""
    by_path: dict[tuple[tuple[str, ...], Operator], list[Filter]] = {}
    for one in filters:
        by_path.setdefault((one.path, one.operator), []).append(one)
    return tuple(map(_as_one, by_path.values()))


def _as_one(alike: list[Filter]) -> Filter:
    first = alike[0]
    if len(alike) == 1:
        return first
    values = tuple(dict.fromkeys(value for one in alike for value in one.values))
    return Filter(first.path, values, first.operator, first.is_instant)


def href_as_id(condition: Filter, collection: str) -> Filter:
    """A filter on `href` as one on `id`: an address is not stored, and says nothing but the identifier.

    Raises:
        Refused: `Code.INVALID`, for another operator than equality.
    """
    if condition.operator is not EQ:
        raise Refused(Code.INVALID, f"href compares for equality only, not with .{condition.operator.name}.")
    start = collection + "/"
    ids = tuple(unquote(value.removeprefix(start)) for value in condition.values if value.startswith(start))
    return Filter(_ID, ids or (_NOTHING,))
