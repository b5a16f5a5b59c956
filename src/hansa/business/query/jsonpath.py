"""JSONPaths (TMF630 Part 6) as a tree, and what they reach in a JSON value.

`hansa.business.query.jsonpath_text` reads the text; here is what it means. The elements of the language are those of
Part 6: names, wildcards, indices, slices, descent (`..`), predicates with comparisons, `=~` and logic, and the
functions min, max, avg, stddev and length, which may also stand at the end of a path (`@.note.length()`).

`$` is the entity; where a path begins with a predicate (`$[?(@.name=='x')]`) or `[*]`, `$` is the list of entities.
`=~` matches whole strings. A comparison has an answer among numbers and among strings; among other values there is
equality alone, and true is not 1.

What one evaluation may visit is bounded, since `..` several times over takes a time that multiplies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.patterns import compiled

Location = tuple[str | int, ...]
"""Names and positions that lead to a value."""

Function = Literal["min", "max", "avg", "stddev", "length"]
Relation = Literal["==", "!=", ">", ">=", "<", "<="]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_EQUALITIES: Final[dict[str, Callable[[Any, Any], bool]]] = {"==": eq, "!=": ne, ">=": eq, "<=": eq}


class _Nothing:
    """The value of a path that reaches none."""


NOTHING: Final = _Nothing()


class Visits:
    """How many more values may be visited."""

    def __init__(self, nodes_max: int) -> None:
        self._nodes_max = nodes_max
        self._left = nodes_max

    def visit(self) -> None:
        """Count a value.

        Raises:
            Refused: `Code.INVALID`, at the bound.
        """
        self._left -= 1
        if self._left < 0:
            raise Refused(
                Code.INVALID,
                f"The JSONPath visits more than {self._nodes_max} values: be more exact.",
            )


class Run:
    """One evaluation."""

    def __init__(self, root: Any, visits: Visits) -> None:
        self.root = root
        self.visit = visits.visit


# -- selectors and segments -----------------------------------------------------------------------------------


class Name(msgspec.Struct, frozen=True):
    """The member of an object."""

    name: str

    def select(self, value: Any, location: Location, _: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value."""
        if isinstance(value, dict) and self.name in value:
            yield value[self.name], (*location, self.name)


class Index(msgspec.Struct, frozen=True):
    """The element of an array, from the end when negative."""

    index: int

    def select(self, value: Any, location: Location, _: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value."""
        if isinstance(value, list) and -len(value) <= self.index < len(value):
            yield value[self.index], (*location, self.index % len(value))


class Slice(msgspec.Struct, frozen=True):
    """Elements of an array."""

    start: int | None
    stop: int | None
    step: int | None

    def select(self, value: Any, location: Location, _: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value."""
        if isinstance(value, list) and self.step != 0:
            for index in range(*slice(self.start, self.stop, self.step).indices(len(value))):
                yield value[index], (*location, index)


class Wildcard(msgspec.Struct, frozen=True):
    """Everything in an array or object."""

    def select(self, value: Any, location: Location, _: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value."""
        for key, child in _children(value):
            yield child, (*location, key)


class Where(msgspec.Struct, frozen=True):
    """What a predicate holds for, in an array or object."""

    predicate: Predicate

    def select(self, value: Any, location: Location, run: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value."""
        for key, child in _children(value):
            run.visit()
            if self.predicate.holds(child, run):
                yield child, (*location, key)


Selector: TypeAlias = Name | Index | Slice | Wildcard | Where


class Segment(msgspec.Struct, frozen=True):
    """One step of a path."""

    selectors: tuple[Selector, ...]
    is_descent: bool = False
    """From a value and everything below it."""

    def select(self, value: Any, location: Location, run: Run) -> Iterator[tuple[Any, Location]]:
        """What it selects of a value, in the order of the document."""
        for node, place in _descendants(value, location, run) if self.is_descent else ((value, location),):
            for selector in self.selectors:
                yield from selector.select(node, place, run)


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _descendants(value: Any, location: Location, run: Run) -> Iterator[tuple[Any, Location]]:
    waiting = [(value, location)]
    while waiting:
        node, place = waiting.pop()
        run.visit()
        yield node, place
        waiting += [(child, (*place, key)) for key, child in _children(node)][::-1]


# -- operands -------------------------------------------------------------------------------------------------


class Constant(msgspec.Struct, frozen=True):
    """A literal."""

    value: str | int | float | bool | None

    def of(self, _: Any, __: Run) -> Any:
        """Its value."""
        return self.value


class Steps(msgspec.Struct, frozen=True):
    """A path within a predicate, from the value that is looked at (`@`) or from the root (`$`)."""

    segments: tuple[Segment, ...]
    function: Function | None = None
    """Applied to what the path reaches."""
    is_from_root: bool = False

    @property
    def is_singular(self) -> bool:
        """Whether it reaches one value at most."""
        return all(
            not segment.is_descent
            and len(segment.selectors) == 1
            and isinstance(segment.selectors[0], Name | Index)
            for segment in self.segments
        )

    def reached(self, current: Any, run: Run) -> Iterator[tuple[Any, Location]]:
        """The values at the path, and where they are."""
        return reach(run.root if self.is_from_root else current, self.segments, run)

    def of(self, current: Any, run: Run) -> Any:
        """Its value; NOTHING when there is none."""
        values = [value for value, _ in self.reached(current, run)]
        if self.function is None:
            return values[0] if values else NOTHING
        return apply(self.function, values[0] if self.is_singular and values else values)


class Call(msgspec.Struct, frozen=True):
    """A function of a path, written in front of it."""

    function: Function
    argument: Steps

    def of(self, current: Any, run: Run) -> Any:
        """Its value; NOTHING when there is none."""
        values = [value for value, _ in self.argument.reached(current, run)]
        if self.argument.is_singular:
            return apply(self.function, values[0]) if values else NOTHING
        return apply(self.function, values)


Operand: TypeAlias = Constant | Steps | Call


def apply(function: Function, value: Any) -> Any:
    """A function of an array (or, for length, a string or object); NOTHING where it has no value."""
    if function == "length":
        return len(value) if isinstance(value, list | dict | str) else NOTHING
    given = value if isinstance(value, list) else [value]
    numbers = [float(n) for n in given if isinstance(n, int | float) and not isinstance(n, bool)]
    if not numbers:
        return NOTHING
    if function == "min":
        return min(numbers)
    if function == "max":
        return max(numbers)
    try:
        mean = math.fsum(numbers) / len(numbers)
        if function == "avg":
            return mean
        return math.sqrt(math.fsum((n - mean) * (n - mean) for n in numbers) / len(numbers))
    except (OverflowError, ValueError):
        return NOTHING


# -- predicates -----------------------------------------------------------------------------------------------


class Compared(msgspec.Struct, frozen=True):
    """A comparison of two operands."""

    left: Operand
    relation: Relation
    right: Operand

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        return compare(self.left.of(current, run), self.relation, self.right.of(current, run))


class Matching(msgspec.Struct, frozen=True):
    """Whether a whole string matches a regular expression of RE2."""

    left: Steps
    pattern: str

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        value = self.left.of(current, run)
        return isinstance(value, str) and compiled(self.pattern).fullmatch(value) is not None


class Exists(msgspec.Struct, frozen=True):
    """Whether a path reaches anything."""

    path: Steps

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        return next(self.path.reached(current, run), None) is not None


class Not(msgspec.Struct, frozen=True):
    """The contrary."""

    predicate: Predicate

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        return not self.predicate.holds(current, run)


class Both(msgspec.Struct, frozen=True):
    """Two predicates that must hold."""

    left: Predicate
    right: Predicate

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        return self.left.holds(current, run) and self.right.holds(current, run)


class Either(msgspec.Struct, frozen=True):
    """Two predicates of which one must hold."""

    left: Predicate
    right: Predicate

    def holds(self, current: Any, run: Run) -> bool:
        """Whether it holds for a value."""
        return self.left.holds(current, run) or self.right.holds(current, run)


Predicate: TypeAlias = Compared | Matching | Exists | Not | Both | Either


def compare(left: Any, relation: Relation, right: Any) -> bool:
    """Whether two values, of which either may be NOTHING, are so related."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return relation == "!="
    order = _ORDERS.get(relation)
    if order is not None and (
        (isinstance(left, str) and isinstance(right, str)) or (_is_number(left) and _is_number(right))
    ):
        return order(left, right)
    equality = _EQUALITIES.get(relation)
    return equality is not None and equality(left, right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- whole paths ----------------------------------------------------------------------------------------------


def reach(value: Any, segments: tuple[Segment, ...], run: Run) -> Iterator[tuple[Any, Location]]:
    """What the segments reach from a value, and where it is, in the order of the document."""
    return _reach(value, (), segments, run)


def _reach(
    value: Any, location: Location, segments: tuple[Segment, ...], run: Run
) -> Iterator[tuple[Any, Location]]:
    if not segments:
        yield value, location
        return
    for node, place in segments[0].select(value, location, run):
        run.visit()
        yield from _reach(node, place, segments[1:], run)


class JsonPath(msgspec.Struct, frozen=True):
    """A path over an entity."""

    text: str
    segments: tuple[Segment, ...]
    nodes_max: int
    """How many values an evaluation may visit."""

    @property
    def is_on_list(self) -> bool:
        """Whether its root is the list of entities, of which it sees one."""
        return bool(self.segments) and all(
            isinstance(selector, Where | Wildcard) and not self.segments[0].is_descent
            for selector in self.segments[0].selectors
        )

    def holds(self, entity: Any) -> bool:
        """Whether it reaches anything in an entity.

        Raises:
            Refused: `Code.INVALID`, when that takes too many steps.
        """
        return next(self._reached(entity, Visits(self.nodes_max)), None) is not None

    def locations(self, entity: Any) -> Iterator[Location]:
        """Where in an entity the values are that it reaches.

        Raises:
            Refused: `Code.INVALID`, when that takes too many steps.
        """
        return self.locating()(entity)

    def locating(self) -> Callable[[Any], Iterator[Location]]:
        """As `locations`, for several entities that share the bound."""
        visits = Visits(self.nodes_max)

        def locations(entity: Any) -> Iterator[Location]:
            for _, location in self._reached(entity, visits):
                yield location[1:] if self.is_on_list else location

        return locations

    def _reached(self, entity: Any, visits: Visits) -> Iterator[tuple[Any, Location]]:
        root = [entity] if self.is_on_list else entity
        return reach(root, self.segments, Run(root, visits))


class Lenient(msgspec.Struct, frozen=True):
    """A path over events, of which one too many is better than one too few."""

    path: JsonPath

    def holds(self, event: Any) -> bool:
        """Whether it reaches anything in an event, or would take too many steps to tell."""
        try:
            return self.path.holds(event)
        except Refused:
            return True

    def locating(self) -> Callable[[Any], Iterator[Location]]:
        """Where in an event the values are that it reaches: everywhere, when that takes too many steps."""

        def locations(event: Any) -> Iterator[Location]:
            try:
                yield from self.path.locations(event)
            except Refused:
                yield ()

        return locations
