"""JSON Patch Query (TMF630 Part 5): a JSON Patch whose paths say which elements of an array they mean.

A path is a JSON Pointer with conditions, or a JSONPath. `/note/text?note.author=John` leads to the text of every
note of that author: a path goes through all elements of the arrays on its way, and conditions keep some of them.

- A condition names an attribute from the top (`note.author`) or from the elements (`/note?author=John`). What it has
  in common with the path is the same element; what goes beyond holds when any element there has the value.
- Several conditions are joined by `&`, or by a comma where `name=` follows; else a comma parts alternative values.
- Conditions may stand at any segment: `/orderItem?id=1/product`. A `/` in a value is written `%2F` or `~1`.
- A path that ends at an array means the array; with a condition on its elements it means these.
- An operation is applied at every place that is meant; when there is none the patch fails.
- `add` to an array appends (an array: each of its elements), to an object sets the attributes of the value, and else
  does what RFC 6902 says. `move` and `copy` go from one place to one place.
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
from hansa.business.patches.json_path import json_path_places
from hansa.business.patches.pointer import END, NoPlace, Pointer, index_of, value_at
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

_BETWEEN_CONDITIONS: Final = re.compile(r"&|,(?=[^,&=]+=)")

JSON_PATH_STEPS: Final = 1000
"""What looking up a JSONPath counts for: how many elements it compares is not told."""


class _Condition(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    values: tuple[str, ...]


class _Segment(msgspec.Struct, frozen=True):
    token: str
    conditions: tuple[_Condition, ...]


class _Place(msgspec.Struct, frozen=True):
    """How far a path has been followed, in one of the ways that there are."""

    pointer: Pointer
    way: tuple[Any, ...]
    """The document, and the value after each name of the path; of arrays, the element that was taken."""
    names: tuple[str, ...] = ()
    is_exact: bool = False
    """The path itself gives the index."""
    near: int = 0
    """Where in `way` the last element of an array stands."""

    @property
    def value(self) -> Any:
        return self.way[-1]

    def element(self, token: str, value: Any, *, is_exact: bool) -> _Place:
        return _Place(
            (*self.pointer, token), (*self.way[:-1], value), self.names, is_exact, len(self.way) - 1
        )

    def attribute(self, name: str, value: Any) -> _Place:
        return _Place((*self.pointer, name), (*self.way, value), (*self.names, name), near=self.near)


def json_patch_query(target: dict[str, Any], patch: Any, limits: Limits) -> dict[str, Any]:
    """The result of a JSON Patch Query; neither argument is changed.

    Raises:
        Refused: `Code.INVALID`; `Code.CONFLICT`, when a path leads to nothing or a test fails; `Code.TOO_LARGE`.
    """
    editor = Editor(target, limits)
    finder = _Finder(limits)
    for operation in operations(patch, limits):
        places = finder.places(editor.document, operation, "path")
        source: Pointer = ()
        if operation.op in {"move", "copy"}:
            sources = finder.places(editor.document, operation, "from")
            if len(sources) != 1:
                raise operation.conflict(f"must lead to one place, there are {len(sources)}", "from")
            if len(places) != 1:
                raise operation.conflict(f"must lead to one place, there are {len(places)}")
            source = sources[0].pointer
        for place in reversed(places):  # from the end, so that the indexes of the others stay right
            for step, pointer in _steps(editor.document, operation, place):
                apply_operation(editor, step, source, pointer)
    return checked_result(editor.document, limits)


def _steps(document: Any, operation: PatchOperation, place: _Place) -> list[tuple[PatchOperation, Pointer]]:
    """What an operation is in terms of RFC 6902."""
    value = operation.value
    if operation.op != "add" or place.is_exact:
        return [(operation, place.pointer)]
    try:
        standing = value_at(document, place.pointer)
    except NoPlace:
        standing = None
    added: list[tuple[Pointer, Any]] = [(place.pointer, value)]
    if type(standing) is list:
        added = [((*place.pointer, END), item) for item in (value if type(value) is list else [value])]
    elif type(standing) is dict and type(value) is dict:
        added = [((*place.pointer, name), item) for name, item in value.items()]
    return [(msgspec.structs.replace(operation, value=item), pointer) for pointer, item in added]


class _Finder:
    """Finds the places that paths mean, within a bound for one patch."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps_left = limits.patch_steps_max

    def places(self, document: Any, operation: PatchOperation, member: str) -> list[_Place]:
        """The places that a path of an operation means, in the order of the document; at least one.

        Raises:
            Refused: `Code.INVALID`, `Code.CONFLICT` or `Code.TOO_LARGE`.
        """
        text = operation.path if member == "path" else operation.source
        try:
            if text and not text.startswith("/"):
                self._count(JSON_PATH_STEPS)
                pointers = json_path_places(document, text, self._limits, may_be_new=operation.op == "add")
                self._count(len(pointers))
                found = [_Place(pointer, ()) for pointer in pointers]
            else:
                segments = _segments(text)
                if sum(len(segment.conditions) for segment in segments) > self._limits.filter_count_max:
                    raise ValueError(f"must have at most {self._limits.filter_count_max} conditions")
                found = self._by_query(document, segments)
        except ValueError as error:
            raise operation.invalid(str(error), member) from None
        if not found:
            raise operation.conflict("leads to nothing", member)
        return found

    def _by_query(self, document: Any, segments: list[_Segment]) -> list[_Place]:
        places = [_Place((), (document,))]
        for depth, segment in enumerate(segments):
            is_last = depth == len(segments) - 1
            places = [
                after for place in places for after in self._follow(place, segment.token, is_last=is_last)
            ]
            if segment.conditions:
                places = [kept for place in places for kept in self._kept(place, segment.conditions)]
        return places

    def _follow(self, place: _Place, token: str, *, is_last: bool) -> list[_Place]:
        value = place.value
        if type(value) is list:
            if token == END and is_last:
                return [place.element(token, None, is_exact=True)]
            index = index_of(token, len(value) + 1)
            if index is not None:
                element = value[index] if index < len(value) else None
                return [place.element(token, element, is_exact=True)] if index < len(value) or is_last else []
            elements = self._elements(place)
        else:
            elements = [place]
        found = []
        for one in elements:
            inner = one.value
            if type(inner) is dict and (token in inner or is_last):
                found.append(one.attribute(token, inner.get(token)))
        return found

    def _elements(self, place: _Place) -> list[_Place]:
        self._count(len(place.value))
        return [place.element(str(index), item, is_exact=False) for index, item in enumerate(place.value)]

    def _kept(self, place: _Place, conditions: tuple[_Condition, ...]) -> list[_Place]:
        """The place when it meets the conditions; of an array that they are about, the elements that do."""
        depth = len(place.names)
        about = [
            condition.names[:depth] == place.names or condition.names[:1] != place.names[:1]
            for condition in conditions
        ]
        candidates = self._elements(place) if type(place.value) is list and any(about) else [place]
        return [one for one in candidates if all(self._meets(one, condition) for condition in conditions)]

    def _meets(self, place: _Place, condition: _Condition) -> bool:
        if condition.names[0] == place.names[0]:
            shared = 0
            for ours, theirs in zip(place.names, condition.names, strict=False):
                if ours != theirs:
                    break
                shared += 1
            start = place.way[shared]
        else:
            shared, start = 0, place.way[place.near]
        return self._holds(start, condition.names[shared:], condition.values)

    def _holds(self, value: Any, names: tuple[str, ...], values: tuple[str, ...]) -> bool:
        if type(value) is list:
            self._count(len(value))
            return any(self._holds(item, names, values) for item in value)
        if names:
            return (
                type(value) is dict and names[0] in value and self._holds(value[names[0]], names[1:], values)
            )
        return any(_says(value, text) for text in values)

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
            _Condition(tuple(_plain(name).split(".")), tuple(_plain(value) for value in values.split(",")))
        )
    return _Segment(token.replace("~1", "/").replace("~0", "~"), tuple(conditions))


def _plain(text: str) -> str:
    return unquote(text).replace("~1", "/").replace("~0", "~")


def _says(value: Any, text: str) -> bool:
    """Whether a text stands for a value, by the type of the value, as in filters (TMF630 Part 1, chapter 4)."""
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
