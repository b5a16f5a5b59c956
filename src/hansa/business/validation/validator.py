"""Checks a body against its model, in microseconds, and says path, rule and value of what is wrong.

A body that fits the shape of its type (`hansa.business.validation.shapes`) is right. Any other is walked: each type of an API becomes
one function that does so for its values, and all findings of a body are collected, up to a bound.
Attributes that are null count as not set, and are taken away. Objects below the top may hold attributes that the model
does not know, since TM Forum's documents forbid none; at the top an unknown attribute is most likely a misspelling and
is refused, unless the body announces an extension of its type by `@schemaLocation` or an `@type` of its own (TMF630
Part 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from hansa.business.models import Api, Attribute
from hansa.business.validation.shapes import NO_URI, Shapes
from hansa.core.errors import Code, Refused

VIOLATIONS_MAX: Final = 10
META: Final = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType"})
"""What every object may say of itself (TMF630 Part 2), whatever its document lists."""
VALUE_SHOWN_MAX_CHARS: Final = 60

_NO_URI: Final = re.compile(f"[{NO_URI}]")


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong in a body."""

    path: str
    """As `category[0].id`."""
    rule: str
    value: object = msgspec.UNSET

    def __str__(self) -> str:
        """One sentence for the person who sent it."""
        if self.value is msgspec.UNSET:
            return f"{self.path}: {self.rule}"
        shown = msgspec.json.encode(self.value).decode()
        if len(shown) > VALUE_SHOWN_MAX_CHARS:
            shown = shown[:VALUE_SHOWN_MAX_CHARS] + "…"
        return f"{self.path}: {self.rule}, not {shown}"


UnknownAttributes = Literal["refuse", "keep"]
Found = list[Violation]
Path = tuple["Path", str | int] | None
"""Where a value stands: where what holds it stands, and its name or index in that; None at the top."""
Check = Callable[[Any, Path, Found], None]


def _string(value: Any, path: Path, found: Found) -> None:
    if type(value) is not str:
        found.append(Violation(_written(path), "must be a string", value))


def _boolean(value: Any, path: Path, found: Found) -> None:
    if type(value) is not bool:
        found.append(Violation(_written(path), "must be true or false", value))


def _integer(value: Any, path: Path, found: Found) -> None:
    if type(value) is not int and not (type(value) is float and value.is_integer()):
        found.append(Violation(_written(path), "must be an integer", value))


def _number(value: Any, path: Path, found: Found) -> None:
    if type(value) is not float and type(value) is not int:
        found.append(Violation(_written(path), "must be a number", value))


def _object(value: Any, path: Path, found: Found) -> None:
    if type(value) is not dict:
        found.append(Violation(_written(path), "must be an object", value))


def _anything(value: Any, path: Path, found: Found) -> None:
    del value, path, found


def _uri(value: Any, path: Path, found: Found) -> None:
    if type(value) is not str or _NO_URI.search(value):
        found.append(Violation(_written(path), "must be a URI (RFC 3986)", value))


def _date_time(value: Any, path: Path, found: Found) -> None:
    # ISO 8601 in the forms that TM Forum's own examples use: RFC 3339, and the same without zone or zone colon.
    try:
        if value[10] in "Tt":
            datetime.fromisoformat(value)
            return
    except (TypeError, ValueError, IndexError, KeyError):
        pass
    found.append(Violation(_written(path), "must be a date-time (RFC 3339), as 2026-01-31T12:00:00Z", value))


STRINGS: Final = frozenset({"string", "base64"})
"""Types of which every string is a value."""

_PRIMITIVE_CHECKS: Final[dict[str, Check]] = {
    **dict.fromkeys(STRINGS, _string),
    "uri": _uri,
    "date-time": _date_time,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "object": _object,
    "any": _anything,
}


class Validator:
    """Checks bodies of one API; the functions for its types are made when they are first needed."""

    def __init__(self, api: Api, unknown_attributes: UnknownAttributes = "refuse") -> None:
        self._api = api
        self._keeps_unknown = unknown_attributes == "keep"
        self._checks: dict[str, Check] = dict(_PRIMITIVE_CHECKS)
        self._attributes: dict[str, Mapping[str, Attribute]] = {}
        self._known: dict[str, frozenset[str]] = {}
        self.shapes = Shapes(api)
        """Which know most bodies that are right."""

    def check(self, type_name: str, body: dict[str, Any]) -> None:
        """Check a whole entity, and take away the attributes of its type that are null.

        Raises:
            Refused: `Code.INVALID`, naming what is wrong.
        """
        type_name = self._subtype(type_name, body)
        if not self.shapes.fits(type_name, body):
            refuse(self.violations(type_name, body))

    def violations(self, type_name: str, body: dict[str, Any]) -> Found:
        """All that is wrong in a whole entity, up to a bound; attributes that are null are taken away."""
        found: Found = []
        self._check_of(type_name)(body, None, found)
        return found

    def unknown(self, type_name: str, names: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Refuse top-level attributes among `names` that the type does not have and `body` does not announce.

        Raises:
            Refused: `Code.INVALID`.
        """
        known = self._known_of(type_name)
        if self._keeps_unknown or known.issuperset(names) or body.get("@schemaLocation"):
            return
        strangers = [name for name in names if name not in known]
        subtype = self._subtype(type_name, body)
        if subtype == type_name:
            if body.get("@type", type_name) != type_name:
                return
        else:
            known = self._known_of(subtype)
            strangers = [name for name in strangers if name not in known]
        rule = f"{subtype} has no such attribute; announce an extension by @schemaLocation or an @type of your own"
        refuse([Violation(name, rule) for name in strangers])

    def _subtype(self, type_name: str, body: Mapping[str, Any]) -> str:
        """The type of the document that an entity says it is of, when that is derived from the resource's type."""
        said = body.get("@type")
        if said == type_name or type(said) is not str or said not in self._api.types:
            return type_name
        above = self._api.types[said].extends
        while above is not None and above != type_name:
            above = self._api.types[above].extends
        return type_name if above is None else said

    def _known_of(self, type_name: str) -> frozenset[str]:
        """What an entity of a type may have at the top."""
        found = self._known.get(type_name)
        if found is None:
            found = self._known[type_name] = META.union(self._attributes_of(type_name))
        return found

    def _attributes_of(self, type_name: str) -> Mapping[str, Attribute]:
        found = self._attributes.get(type_name)
        if found is None:
            found = self._attributes[type_name] = self._api.attributes_of(type_name)
        return found

    def _check_of(self, type_name: str) -> Check:
        found = self._checks.get(type_name)
        if found is None:
            found = self._checks[type_name] = self._made(type_name)
        return found

    def _made(self, type_name: str) -> Check:
        if type_name in self._api.enumerations:
            return _enumeration(self._api.enumerations[type_name])
        if type_name in self._api.lists:
            return self._value_check(self._api.lists[type_name])
        return self._object_check(type_name)

    def _object_check(self, type_name: str) -> Check:
        attributes = self._attributes_of(type_name)
        required = self._api.required_of(type_name, is_whole=True)
        required_within = self._api.required_of(type_name, is_whole=False)
        strings = _strings(attributes)
        checks: dict[str, Check] = {}

        def check(value: Any, path: Path, found: Found) -> None:
            if type(value) is not dict:
                found.append(Violation(_written(path) or "The body", "must be an object", value))
                return
            if not checks and attributes:  # made late: types refer to each other, and to themselves
                checks.update({name: self._value_check(item) for name, item in attributes.items()})
            for name in required_within if path else required:
                if value.get(name) is None:
                    found.append(Violation(_written((path, name)), "is required"))
            null: list[str] = []
            for name, item in value.items():
                # Most are strings, and need no path for what might be wrong with them.
                if (type(item) is str and name in strings) or name not in checks:
                    continue
                if item is None:
                    null.append(name)
                else:
                    checks[name](item, (path, name), found)
            for name in null:
                del value[name]

        return check

    def _value_check(self, item: Attribute) -> Check:
        one = self._check_of(item.type)
        if not item.is_list:
            return one

        def check(value: Any, path: Path, found: Found) -> None:
            if type(value) is not list:
                found.append(Violation(_written(path), "must be an array", value))
                return
            if len(value) < item.items_min:
                found.append(
                    Violation(_written(path), f"must have at least {item.items_min} element(s)", value)
                )
            if item.items_max is not None and len(value) > item.items_max:
                found.append(
                    Violation(_written(path), f"must have at most {item.items_max} element(s)", value)
                )
            for index, element in enumerate(value):
                one(element, (path, index), found)
                if len(found) >= VIOLATIONS_MAX:
                    return

        return check


def _written(path: Path) -> str:
    """As `category[0].id`."""
    if path is None:
        return ""
    above, step = path
    if isinstance(step, int):
        return f"{_written(above)}[{step}]"
    return step if above is None else f"{_written(above)}.{step}"


def _strings(attributes: Mapping[str, Attribute]) -> frozenset[str]:
    """Names of those that take any string, and nothing else."""
    return frozenset(name for name, one in attributes.items() if one.type in STRINGS and not one.is_list)


def _enumeration(values: tuple[str, ...]) -> Check:
    allowed = frozenset(values)
    rule = f"must be one of {', '.join(values)}"

    def check(value: Any, path: Path, found: Found) -> None:
        if type(value) is not str or (allowed and value not in allowed):
            found.append(Violation(_written(path), rule if allowed else "must be a string", value))

    return check


def refuse(found: Found) -> None:
    """Raise one error that tells all findings, when there are any.

    Raises:
        Refused: `Code.INVALID`.
    """
    if found:
        shown = "; ".join(map(str, found[:VIOLATIONS_MAX]))
        more = len(found) - VIOLATIONS_MAX
        raise Refused(Code.INVALID, shown + (f"; and {more} more" if more > 0 else "") + ".")
