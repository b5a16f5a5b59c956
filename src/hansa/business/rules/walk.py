"""Collects the values of certain types within a body, without visiting parts that cannot hold any.

For each type of an API it is computed once which attributes hold such values or lead to them; a walk follows
only these. Types that contain themselves are no problem: a body is finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from hansa.business.models import Api

Mark = TypeVar("Mark")


class _Step(msgspec.Struct, frozen=True):
    """An attribute to visit."""

    name: str
    type: str
    mark: Any
    """Mark of its type; None when it only leads to others."""
    leads_on: bool


class Walk(Generic[Mark]):
    """Walks through the bodies of one API."""

    def __init__(self, api: Api, mark: Callable[[str], Mark | None]) -> None:
        """Prepare for an API.

        Args:
            api: Whose bodies.
            mark: The mark of a type whose values are collected; None for other types.
        """
        mark_by_type = {name: mark(name) for name in api.types}
        attributes = {name: api.attributes_of(name) for name in api.types}
        leading: set[str] = set()
        known = -1
        while known != len(leading):
            known = len(leading)
            leading |= {
                name
                for name, items in attributes.items()
                if any(
                    item.type in leading or mark_by_type.get(item.type) is not None for item in items.values()
                )
            }
        self._steps: Mapping[str, tuple[_Step, ...]] = {
            name: tuple(
                _Step(item.name, item.type, mark_by_type.get(item.type), item.type in leading)
                for item in items.values()
                if item.type in leading or mark_by_type.get(item.type) is not None
            )
            for name, items in attributes.items()
            if name in leading
        }

    def values(
        self, type_name: str, body: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> list[tuple[str, Mapping[str, Any], Mark]]:
        """Path, value and mark of each value of a marked type.

        Args:
            type_name: Type of the body.
            body: Checked against the model.
            before: An older body; attributes at the top that are the same in both are skipped.
        """
        values: list[tuple[str, Mapping[str, Any], Mark]] = []
        for step in self._steps.get(type_name, ()):
            value = body.get(step.name)
            if value and (before is None or before.get(step.name) != value):
                self._collect(step, step.name, value, values)
        return values

    def _collect(
        self, step: _Step, path: str, value: Any, values: list[tuple[str, Mapping[str, Any], Mark]]
    ) -> None:
        """Add the objects that an attribute holds, and those within them."""
        is_list = type(value) is list
        for index, element in enumerate(value if is_list else (value,)):
            if type(element) is not dict:
                continue
            element_path = f"{path}[{index}]" if is_list else path
            if step.mark is not None:
                values.append((element_path, element, step.mark))
            if step.leads_on:
                for inner in self._steps[step.type]:
                    if inner_value := element.get(inner.name):
                        self._collect(inner, f"{element_path}.{inner.name}", inner_value, values)

    def paths(
        self, type_name: str, depth_max: int, within: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], Mark]]:
        """The paths at which such values can be: attribute names from the top, and the mark.

        Args:
            type_name: Type of the body.
            depth_max: Names in a path, at most.
            within: Types that the path already passed through; none is entered twice.
        """
        for step in self._steps.get(type_name, ()) if depth_max > 0 else ():
            if step.mark is not None:
                yield (step.name,), step.mark
            if step.leads_on and step.type not in within:
                for path, mark in self.paths(step.type, depth_max - 1, (*within, step.type)):
                    yield (step.name, *path), mark
