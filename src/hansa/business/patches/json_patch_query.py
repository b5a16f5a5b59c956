"""JSON Patch Query (TMF630 Part 5): a JSON Patch whose paths select elements of arrays.

A path is a JSON Pointer with conditions, or a JSONPath. `/note/text?note.author=John` leads to the text of
every note of that author: a path goes through all elements of the arrays on its way, and conditions select
some of them.

- A condition names an attribute from the top (`note.author`) or from the elements (`/note?author=John`).
  Where it shares a part with the path, it is about the same element; beyond that, it holds when any element
  has the value.
- Several conditions are joined by `&`, or by a comma where `name=` follows; other commas separate alternative
  values.
- Conditions may follow any segment: `/orderItem?id=1/product`. A `/` in a value is written `%2F` or `~1`.
- A path that ends at an array means the array; with a condition on its elements it means these.
- An operation is applied at every location that the path selects; when there is none the patch fails.
- `add` to an array appends (an array: each of its elements), to an object sets the attributes of the value,
  and otherwise does what RFC 6902 says. `move` and `copy` need one source and one target.
- The later form is a JSONPath: `$.note[?(@.author=='John')].text`; the leading `$.` may be left out.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from hansa.business.patches.json_patch import (
    Editor,
    PatchOperation,
    apply_operation,
    checked_result,
    operations,
)
from hansa.business.patches.json_path import json_path_pointers
from hansa.business.patches.pointer import END, PathNotFound, Pointer, index_of, value_at
from hansa.business.query.jsonpath import VisitBudget
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

_BETWEEN_CONDITIONS: Final = re.compile(r"&|,(?=[^,&=]+=)")

JSON_PATH_STEPS: Final = 1000
"""The cost of a JSONPath: how many elements it compares is unknown."""


class _Condition(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    values: tuple[str, ...]


class _Segment(msgspec.Struct, frozen=True):
    token: str
    conditions: tuple[_Condition, ...]


class _Location(msgspec.Struct, frozen=True):
    """One of the values to which a path, or its first segments, lead."""

    pointer: Pointer
    values: tuple[Any, ...]
    """The document, and the value after each name of the path; of arrays, the selected element."""
    names: tuple[str, ...] = ()
    is_exact: bool = False
    """The path itself contains the index."""
    element_at: int = 0
    """Index in `values` of the last element of an array."""

    @property
    def value(self) -> Any:
        return self.values[-1]

    def element(self, token: str, value: Any, *, is_exact: bool) -> _Location:
        return _Location(
            (*self.pointer, token), (*self.values[:-1], value), self.names, is_exact, len(self.values) - 1
        )

    def attribute(self, name: str, value: Any) -> _Location:
        return _Location(
            (*self.pointer, name), (*self.values, value), (*self.names, name), element_at=self.element_at
        )


def json_patch_query(target: dict[str, Any], patch: Any, limits: Limits) -> dict[str, Any]:
    """The result of a JSON Patch Query; neither argument is changed.

    Raises:
        Refused: `Code.INVALID`; `Code.CONFLICT`, when a path leads to nothing or a test fails;
            `Code.TOO_LARGE`.
    """
    editor = Editor(target, limits)
    resolver = _PathResolver(limits)
    for operation in operations(patch, limits):
        locations = resolver.locations(editor.document, operation, "path")
        source: Pointer = ()
        if operation.op in {"move", "copy"}:
            sources = resolver.locations(editor.document, operation, "from")
            if len(sources) != 1:
                raise operation.conflict(f"must lead to one value, there are {len(sources)}", "from")
            if len(locations) != 1:
                raise operation.conflict(f"must lead to one value, there are {len(locations)}")
            source = sources[0].pointer
        for location in reversed(locations):  # from the end, so that the indexes of the others stay valid
            for step, pointer in _steps(editor.document, operation, location):
                apply_operation(editor, step, source, pointer)
    return checked_result(editor.document, limits)


def _steps(
    document: Any, operation: PatchOperation, location: _Location
) -> list[tuple[PatchOperation, Pointer]]:
    """An operation as operations of RFC 6902, with their pointers."""
    value = operation.value
    if operation.op != "add" or location.is_exact:
        return [(operation, location.pointer)]
    try:
        existing = value_at(document, location.pointer)
    except PathNotFound:
        existing = None
    added: list[tuple[Pointer, Any]] = [(location.pointer, value)]
    if type(existing) is list:
        added = [((*location.pointer, END), item) for item in (value if type(value) is list else [value])]
    elif type(existing) is dict and type(value) is dict:
        added = [((*location.pointer, name), item) for name, item in value.items()]
    return [(msgspec.structs.replace(operation, value=item), pointer) for pointer, item in added]


class _PathResolver:
    """Resolves paths to locations, within a bound for one patch."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps_left = limits.patch_steps_max
        self._visits = VisitBudget(limits.path_nodes_max)

    def locations(self, document: Any, operation: PatchOperation, member: str) -> list[_Location]:
        """The locations to which a path of an operation leads, in the order of the document; at least one.

        Raises:
            Refused: `Code.INVALID`, `Code.CONFLICT` or `Code.TOO_LARGE`.
        """
        text = operation.path if member == "path" else operation.source
        try:
            if text and not text.startswith("/"):
                self._count(JSON_PATH_STEPS)
                pointers = json_path_pointers(
                    document, text, self._limits, self._visits, may_be_new=operation.op == "add"
                )
                self._count(len(pointers))
                locations = [_Location(pointer, ()) for pointer in pointers]
            else:
                segments = _segments(text)
                if sum(len(segment.conditions) for segment in segments) > self._limits.filter_count_max:
                    raise ValueError(f"must have at most {self._limits.filter_count_max} conditions")
                locations = self._by_query(document, segments)
        except ValueError as error:
            raise operation.invalid(str(error), member) from None
        if not locations:
            raise operation.conflict("leads to nothing", member)
        return locations

    def _by_query(self, document: Any, segments: list[_Segment]) -> list[_Location]:
        locations = [_Location((), (document,))]
        for depth, segment in enumerate(segments):
            is_last = depth == len(segments) - 1
            locations = [
                after for one in locations for after in self._follow(one, segment.token, is_last=is_last)
            ]
            if segment.conditions:
                locations = [match for one in locations for match in self._matches(one, segment.conditions)]
        return locations

    def _follow(self, location: _Location, token: str, *, is_last: bool) -> list[_Location]:
        value = location.value
        if type(value) is list:
            if token == END and is_last:
                return [location.element(token, None, is_exact=True)]
            index = index_of(token, len(value) + 1)
            if index is not None:
                element = value[index] if index < len(value) else None
                if index < len(value) or is_last:
                    return [location.element(token, element, is_exact=True)]
                return []
            elements = self._elements(location)
        else:
            elements = [location]
        locations = []
        for one in elements:
            inner = one.value
            if type(inner) is dict and (token in inner or is_last):
                locations.append(one.attribute(token, inner.get(token)))
        return locations

    def _elements(self, location: _Location) -> list[_Location]:
        self._count(len(location.value))
        return [
            location.element(str(index), item, is_exact=False) for index, item in enumerate(location.value)
        ]

    def _matches(self, location: _Location, conditions: tuple[_Condition, ...]) -> list[_Location]:
        """The location if it meets the conditions; of an array that they are about, its elements that do."""
        depth = len(location.names)
        about = [
            condition.names[:depth] == location.names or condition.names[:1] != location.names[:1]
            for condition in conditions
        ]
        candidates = self._elements(location) if type(location.value) is list and any(about) else [location]
        return [one for one in candidates if all(self._meets(one, condition) for condition in conditions)]

    def _meets(self, location: _Location, condition: _Condition) -> bool:
        if condition.names[0] == location.names[0]:
            shared = 0
            for ours, theirs in zip(location.names, condition.names, strict=False):
                if ours != theirs:
                    break
                shared += 1
            start = location.values[shared]
        else:
            shared, start = 0, location.values[location.element_at]
        return self._holds(start, condition.names[shared:], condition.values)

    def _holds(self, value: Any, names: tuple[str, ...], values: tuple[str, ...]) -> bool:
        if type(value) is list:
            self._count(len(value))
            return any(self._holds(item, names, values) for item in value)
        if names:
            return (
                type(value) is dict and names[0] in value and self._holds(value[names[0]], names[1:], values)
            )
        return any(_equals_text(value, text) for text in values)

    def _count(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise Refused(
                Code.TOO_LARGE,
                f"The patch looks at more than {self._limits.patch_steps_max} elements of arrays.",
            )


def _segments(text: str) -> list[_Segment]:
    return [_segment(part) for part in text[1:].split("/")] if text else []


def _segment(text: str) -> _Segment:
    token, _, query = text.partition("?")
    conditions = []
    for part in _BETWEEN_CONDITIONS.split(query) if query else []:
        name, equals, values = part.partition("=")
        if not name or not equals:
            raise ValueError("must have conditions of the form name=value")
        conditions.append(
            _Condition(
                tuple(_unescaped(name).split(".")), tuple(_unescaped(value) for value in values.split(","))
            )
        )
    return _Segment(token.replace("~1", "/").replace("~0", "~"), tuple(conditions))


def _unescaped(text: str) -> str:
    return unquote(text).replace("~1", "/").replace("~0", "~")


def _equals_text(value: Any, text: str) -> bool:
    """Whether a value equals a text, compared by the type of the value (TMF630 Part 1, chapter 4)."""
    if type(value) is str:
        return value == text
    if type(value) is bool:
        return text == ("true" if value else "false")
    if type(value) in {int, float}:
        try:
            return bool(float(text) == value)
        except (ValueError, OverflowError):
            return False
    return value is None and text == "null"
