"""JSONPaths (TMF630 Part 6) as a tree, and the values that they select in a JSON value.

`hansa.business.query.jsonpath_text` parses the text; this module evaluates. The language is that of Part 6:
names, wildcards, indices, slices, descendants (`..`), predicates with comparisons, `=~` and logic, and the
functions min, max, avg, stddev and length, which may also end a path (`@.note.length()`).

`$` is the entity; where a path begins with a predicate (`$[?(@.name=='x')]`) or `[*]`, `$` is the list of
entities. `=~` matches whole strings. Numbers and strings are ordered among themselves; other values can only
be equal, and `true` is not 1.

The number of values that one evaluation may visit is bounded, since several `..` multiply the time. Work on a
value that its author or the client makes large counts as visits too: what a function adds up, the members of
arrays and objects that are compared, the steps of a regular expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.patterns import compiled
from hansa.core.work import Checkpoint, no_checkpoint

Location = tuple[str | int, ...]
"""Names and positions that lead to a value."""

Function = Literal["min", "max", "avg", "stddev", "length"]
Relation = Literal["==", "!=", ">", ">=", "<", "<="]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_EQUALITIES: Final[dict[str, Callable[[Any, Any], bool]]] = {"==": eq, "!=": ne, ">=": eq, "<=": eq}


_CONTAINERS: Final = (list, dict)


class _Nothing:
    """The value of a path that selects none (as Nothing in RFC 9535)."""


NOTHING: Final = _Nothing()


STEPS_PER_VISIT: Final = 500
"""Steps of a regular expression that count as one value visited; they take as long."""
CHECKED_EVERY: Final = 1000
"""So many visits lie between two checkpoints; some hundred microseconds."""


class VisitBudget:
    """The number of values that may still be visited."""

    def __init__(self, nodes_max: int, checkpoint: Checkpoint = no_checkpoint) -> None:
        """A full budget.

        Args:
            nodes_max: How many values may be visited.
            checkpoint: Called every `CHECKED_EVERY` visits.
        """
        self.nodes_max: Final = nodes_max
        self._left = nodes_max
        self._checkpoint = checkpoint
        self._next_check = nodes_max - CHECKED_EVERY

    def visit(self, count: int = 1) -> None:
        """Count values.

        Raises:
            Refused: `Code.INVALID`, at the bound.
        """
        self._left -= count
        if self._left <= self._next_check:
            self._next_check = self._left - CHECKED_EVERY
            self._checkpoint()
        if self._left < 0:
            raise Refused(
                Code.INVALID,
                f"The JSONPath visits more than {self.nodes_max} values; use a more specific path.",
            )


class Evaluation:
    """One evaluation of a path."""

    def __init__(self, root: Any, budget: VisitBudget) -> None:
        self.root = root
        self.visit = budget.visit
        self.nodes_max = budget.nodes_max


# -- selectors and segments ----------------------------------------------------------------------------------


class Name(msgspec.Struct, frozen=True):
    """The member of an object."""

    name: str

    def select(self, value: Any, location: Location, _: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The selected children of a value, and their locations."""
        if isinstance(value, dict) and self.name in value:
            yield value[self.name], (*location, self.name)


class Index(msgspec.Struct, frozen=True):
    """The element of an array, from the end when negative."""

    index: int

    def select(self, value: Any, location: Location, _: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The selected children of a value, and their locations."""
        if isinstance(value, list) and -len(value) <= self.index < len(value):
            yield value[self.index], (*location, self.index % len(value))


class Slice(msgspec.Struct, frozen=True):
    """Elements of an array."""

    start: int | None
    stop: int | None
    step: int | None

    def select(self, value: Any, location: Location, _: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The selected children of a value, and their locations."""
        if isinstance(value, list) and self.step != 0:
            for index in range(*slice(self.start, self.stop, self.step).indices(len(value))):
                yield value[index], (*location, index)


class Wildcard(msgspec.Struct, frozen=True):
    """All children of an array or object."""

    def select(self, value: Any, location: Location, _: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The selected children of a value, and their locations."""
        for key, child in _children(value):
            yield child, (*location, key)


class Where(msgspec.Struct, frozen=True):
    """The children of an array or object for which a predicate holds."""

    predicate: Predicate

    def select(self, value: Any, location: Location, run: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The selected children of a value, and their locations."""
        for key, child in _children(value):
            run.visit()
            if self.predicate.holds(child, run):
                yield child, (*location, key)


Selector: TypeAlias = Name | Index | Slice | Wildcard | Where


class Segment(msgspec.Struct, frozen=True):
    """One step of a path."""

    selectors: tuple[Selector, ...]
    is_descent: bool = False
    """It selects from a value and all of its descendants."""

    def select(self, value: Any, location: Location, run: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The values that it selects from a value, in the order of the document, and their locations."""
        for node, node_location in (
            _descendants(value, location, run) if self.is_descent else ((value, location),)
        ):
            for selector in self.selectors:
                yield from selector.select(node, node_location, run)


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _descendants(value: Any, location: Location, run: Evaluation) -> Iterator[tuple[Any, Location]]:
    waiting = [(value, location)]
    while waiting:
        node, node_location = waiting.pop()
        run.visit()
        yield node, node_location
        waiting += [(child, (*node_location, key)) for key, child in _children(node)][::-1]


# -- operands ------------------------------------------------------------------------------------------------


class Constant(msgspec.Struct, frozen=True):
    """A literal."""

    value: str | int | float | bool | None

    def evaluate(self, _: Any, __: Evaluation) -> Any:
        """Its value."""
        return self.value


class SubPath(msgspec.Struct, frozen=True):
    """A path within a predicate, from the current value (`@`) or from the root (`$`)."""

    segments: tuple[Segment, ...]
    function: Function | None = None
    """Applied to the values that the path selects."""
    is_from_root: bool = False

    @property
    def is_singular(self) -> bool:
        """Whether it selects one value at most."""
        return all(
            not segment.is_descent
            and len(segment.selectors) == 1
            and isinstance(segment.selectors[0], Name | Index)
            for segment in self.segments
        )

    def select(self, current: Any, run: Evaluation) -> Iterator[tuple[Any, Location]]:
        """The values that it selects, and their locations."""
        return select(run.root if self.is_from_root else current, self.segments, run)

    def evaluate(self, current: Any, run: Evaluation) -> Any:
        """Its value; NOTHING if there is none."""
        values = [value for value, _ in self.select(current, run)]
        if self.function is None:
            return values[0] if values else NOTHING
        return apply(self.function, values[0] if self.is_singular and values else values, run)


class Call(msgspec.Struct, frozen=True):
    """A function of a path, written in front of it."""

    function: Function
    argument: SubPath

    def evaluate(self, current: Any, run: Evaluation) -> Any:
        """Its value; NOTHING if there is none."""
        values = [value for value, _ in self.argument.select(current, run)]
        if self.argument.is_singular:
            return apply(self.function, values[0], run) if values else NOTHING
        return apply(self.function, values, run)


Operand: TypeAlias = Constant | SubPath | Call


def apply(function: Function, value: Any, run: Evaluation) -> Any:
    """The result of a function of an array (or, for length, a string or object); NOTHING if undefined."""
    if function == "length":
        return len(value) if isinstance(value, list | dict | str) else NOTHING
    values = value if isinstance(value, list) else [value]
    run.visit(len(values))
    numbers = [float(n) for n in values if isinstance(n, int | float) and not isinstance(n, bool)]
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


# -- predicates ----------------------------------------------------------------------------------------------


class Comparison(msgspec.Struct, frozen=True):
    """A comparison of two operands."""

    left: Operand
    relation: Relation
    right: Operand

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        left, right = self.left.evaluate(current, run), self.right.evaluate(current, run)
        if isinstance(left, _CONTAINERS) and isinstance(right, _CONTAINERS) and len(left) == len(right):
            run.visit(_node_count(left, run.nodes_max))
        return compare(left, self.relation, right)


class RegexMatch(msgspec.Struct, frozen=True):
    """Whether a whole string matches a regular expression (RE2)."""

    left: SubPath
    pattern: str

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        value = self.left.evaluate(current, run)
        if not isinstance(value, str):
            return False
        pattern = compiled(self.pattern)
        run.visit(pattern.steps(value) // STEPS_PER_VISIT)
        return pattern.is_whole(value)


class Exists(msgspec.Struct, frozen=True):
    """Whether a path selects anything."""

    path: SubPath

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        return next(self.path.select(current, run), None) is not None


class Not(msgspec.Struct, frozen=True):
    """Negation."""

    predicate: Predicate

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        return not self.predicate.holds(current, run)


class And(msgspec.Struct, frozen=True):
    """Conjunction of two predicates."""

    left: Predicate
    right: Predicate

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        return self.left.holds(current, run) and self.right.holds(current, run)


class Or(msgspec.Struct, frozen=True):
    """Disjunction of two predicates."""

    left: Predicate
    right: Predicate

    def holds(self, current: Any, run: Evaluation) -> bool:
        """Whether it holds for a value."""
        return self.left.holds(current, run) or self.right.holds(current, run)


Predicate: TypeAlias = Comparison | RegexMatch | Exists | Not | And | Or


def _node_count(value: Any, count_max: int) -> int:
    """How many values a container consists of; it is not counted further than `count_max`."""
    todo, count = [value], 0
    while todo and count <= count_max:
        for _, child in _children(todo.pop()):
            count += 1
            if isinstance(child, _CONTAINERS):
                todo.append(child)
    return count


def compare(left: Any, relation: Relation, right: Any) -> bool:
    """Whether a relation holds between two values, of which either may be NOTHING."""
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


# -- whole paths ---------------------------------------------------------------------------------------------


def select(value: Any, segments: tuple[Segment, ...], run: Evaluation) -> Iterator[tuple[Any, Location]]:
    """The values that segments select from a value, in the order of the document, and their locations."""
    return _select(value, (), segments, run)


def _select(
    value: Any, location: Location, segments: tuple[Segment, ...], run: Evaluation
) -> Iterator[tuple[Any, Location]]:
    if not segments:
        yield value, location
        return
    for node, node_location in segments[0].select(value, location, run):
        run.visit()
        yield from _select(node, node_location, segments[1:], run)


class JsonPath(msgspec.Struct, frozen=True):
    """A path over an entity."""

    text: str
    segments: tuple[Segment, ...]
    nodes_max: int
    """Number of values that an evaluation may visit."""

    @property
    def is_on_list(self) -> bool:
        """Whether its root is the list of entities, which is evaluated with one at a time."""
        return bool(self.segments) and all(
            isinstance(selector, Where | Wildcard) and not self.segments[0].is_descent
            for selector in self.segments[0].selectors
        )

    def holds(self, entity: Any, checkpoint: Checkpoint = no_checkpoint) -> bool:
        """Whether it selects anything in an entity.

        Args:
            entity: The decoded body.
            checkpoint: Called now and then, to end the evaluation by an exception.

        Raises:
            Refused: `Code.INVALID`, when too many values would be visited.
        """
        return next(self._selected(entity, VisitBudget(self.nodes_max, checkpoint)), None) is not None

    def locations(self, entity: Any) -> Iterator[Location]:
        """The locations of the values that it selects in an entity.

        Raises:
            Refused: `Code.INVALID`, when too many values would be visited.
        """
        return self.locating()(entity)

    def locating(self, budget: VisitBudget | None = None) -> Callable[[Any], Iterator[Location]]:
        """`locations` for several entities that share the bound; several paths may share one, too."""
        budget = budget or VisitBudget(self.nodes_max)

        def locations(entity: Any) -> Iterator[Location]:
            for _, location in self._selected(entity, budget):
                yield location[1:] if self.is_on_list else location

        return locations

    def _selected(self, entity: Any, budget: VisitBudget) -> Iterator[tuple[Any, Location]]:
        root = [entity] if self.is_on_list else entity
        return select(root, self.segments, Evaluation(root, budget))


class EventJsonPath(msgspec.Struct, frozen=True):
    """A path on events; where it would visit too many values, it selects the whole event."""

    path: JsonPath

    def holds(self, event: Any, checkpoint: Checkpoint = no_checkpoint) -> bool:
        """Whether it selects anything in an event, or would visit too many values."""
        try:
            return self.path.holds(event, checkpoint)
        except Refused:
            return True

    def locating(self) -> Callable[[Any], Iterator[Location]]:
        """The locations of the values that it selects; the whole event, where it would visit too many."""

        def locations(event: Any) -> Iterator[Location]:
            try:
                yield from self.path.locations(event)
            except Refused:
                yield ()

        return locations
