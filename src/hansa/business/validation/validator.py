"""Checks a body against its model, in microseconds; a violation says path, rule and value.

A body that fits the shape of its type (`hansa.business.validation.shapes`) is valid. Any other is walked:
each type of an API is compiled to a function that checks its values, and the violations of a body are
collected, up to a bound. Attributes that are null count as not set, and are removed. Objects below the top
may have attributes that the model does not know, since TM Forum's documents forbid none; at the top an
unknown attribute is most likely a misspelling and is refused, unless the body announces an extension of its
type by `@schemaLocation` or an `@type` of its own (TMF630 Part 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hansa.business.models import Api, Attribute
from hansa.business.validation.inferred import InferredValues
from hansa.business.validation.shapes import NO_URI, shapes_of
from hansa.business.validation.violations import (
    VIOLATIONS_MAX,
    MissingAttribute,
    RespeltWord,
    Violation,
    Violations,
    refuse,
)
from hansa.core.instants import is_date_time
from hansa.core.known_words import folded
from hansa.core.policies import UnknownAttributes

META: Final = frozenset({"@type", "@baseType", "@schemaLocation", "@referredType"})
"""Attributes that every object may have (TMF630 Part 2), whatever its document lists."""

_NO_URI: Final = re.compile(f"[{NO_URI}]")


Path = tuple["Path", str | int] | None
"""Path of a value: that of the object or array that holds it, and its name or index there; None at the
top."""
Check = Callable[[Any, Path, Violations], None]


def _string(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not str:
        violations.append(Violation(_text_of(path), "must be a string", value))


def _boolean(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not bool:
        violations.append(Violation(_text_of(path), "must be true or false", value))


def _integer(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not int and not (type(value) is float and value.is_integer()):
        violations.append(Violation(_text_of(path), "must be an integer", value))


def _number(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not float and type(value) is not int:
        violations.append(Violation(_text_of(path), "must be a number", value))


def _object(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not dict:
        violations.append(Violation(_text_of(path), "must be an object", value))


def _anything(value: Any, path: Path, violations: Violations) -> None:
    del value, path, violations


def _uri(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not str or _NO_URI.search(value):
        violations.append(Violation(_text_of(path), "must be a URI (RFC 3986)", value))


def _date_time(value: Any, path: Path, violations: Violations) -> None:
    if type(value) is not str or not is_date_time(value):
        rule = "must be a date-time (RFC 3339) of the years 1 to 9999, as 2026-01-31T12:00:00Z"
        violations.append(Violation(_text_of(path), rule, value))


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
    """Checks bodies of one API; the functions for its types are compiled when they are first needed."""

    def __init__(
        self,
        api: Api,
        unknown_attributes: UnknownAttributes = "refuse",
        inferred: InferredValues | None = None,
    ) -> None:
        """`inferred`: of what a body leaves out; without it all that is required is demanded."""
        self._api = api
        self.inferred = inferred
        self._keeps_unknown = unknown_attributes == "keep"
        self._checks: dict[str, Check] = dict(_PRIMITIVE_CHECKS)
        self._attributes: dict[str, Mapping[str, Attribute]] = {}
        self._known: dict[str, frozenset[str]] = {}
        self.shapes = shapes_of(api)
        """These accept most valid bodies."""

    def check(self, type_name: str, body: dict[str, Any]) -> tuple[MissingAttribute, ...]:
        """Check a whole entity, complete it, and remove the attributes of its type that are null.

        Returns:
            The required attributes that it does without.

        Raises:
            Refused: `Code.INVALID`, with the violations.
        """
        type_name = self._subtype(type_name, body)
        if self.shapes.fits(type_name, body):
            return ()
        violations = _without_respelt(body, self.violations(type_name, body))
        if self.inferred is None:
            refuse(violations)
            return ()
        missing = [one for one in violations if isinstance(one, MissingAttribute)]
        demanded, tolerated = self.inferred.complete(missing)
        spared = {id(one) for one in missing} - {id(one) for one in demanded}
        refuse([one for one in violations if id(one) not in spared])
        return tuple(tolerated)

    def violations(self, type_name: str, body: dict[str, Any]) -> Violations:
        """The violations in a whole entity, up to a bound; attributes that are null are removed."""
        violations: Violations = []
        self._check_of(type_name)(body, None, violations)
        return violations

    def check_names(self, type_name: str, names: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Refuse top-level attributes among `names` that the type does not have and `body` does not announce.

        Raises:
            Refused: `Code.INVALID`.
        """
        known = self._known_of(type_name)
        if self._keeps_unknown or known.issuperset(names) or body.get("@schemaLocation"):
            return
        unknown = [name for name in names if name not in known]
        subtype = self._subtype(type_name, body)
        if subtype == type_name:
            if body.get("@type", type_name) != type_name:
                return
        else:
            known = self._known_of(subtype)
            unknown = [name for name in unknown if name not in known]
        rule = f"{subtype} has no such attribute; announce an extension by @schemaLocation or an @type of your own"
        refuse([Violation(name, rule) for name in unknown])

    def _subtype(self, type_name: str, body: Mapping[str, Any]) -> str:
        """The type that an entity's `@type` names, when the document derives it from the resource's type."""
        named = body.get("@type")
        if named == type_name or type(named) is not str or named not in self._api.types:
            return type_name
        above = self._api.types[named].extends
        while above is not None and above != type_name:
            above = self._api.types[above].extends
        return type_name if above is None else named

    def _known_of(self, type_name: str) -> frozenset[str]:
        """Names of the attributes that an entity of a type may have at the top."""
        known = self._known.get(type_name)
        if known is None:
            known = self._known[type_name] = META.union(self._attributes_of(type_name))
        return known

    def _attributes_of(self, type_name: str) -> Mapping[str, Attribute]:
        attributes = self._attributes.get(type_name)
        if attributes is None:
            attributes = self._attributes[type_name] = self._api.attributes_of(type_name)
        return attributes

    def _check_of(self, type_name: str) -> Check:
        check = self._checks.get(type_name)
        if check is None:
            check = self._checks[type_name] = self._compiled(type_name)
        return check

    def _compiled(self, type_name: str) -> Check:
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

        def check(value: Any, path: Path, violations: Violations) -> None:
            if type(value) is not dict:
                violations.append(Violation(_text_of(path) or "The body", "must be an object", value))
                return
            if not checks and attributes:  # compiled late: types refer to each other, and to themselves
                checks.update({name: self._value_check(item) for name, item in attributes.items()})
            for name in required_within if path else required:
                if value.get(name) is None:
                    violations.append(_missing(value, path, attributes[name], type_name))
            null: list[str] = []
            for name, item in value.items():
                # Most are strings, which need no path: nothing can be wrong with them.
                if (type(item) is str and name in strings) or name not in checks:
                    continue
                if item is None:
                    null.append(name)
                else:
                    checks[name](item, (path, name), violations)
            for name in null:
                del value[name]

        return check

    def _value_check(self, item: Attribute) -> Check:
        one = self._check_of(item.type)
        if not item.is_list:
            return one

        def check(value: Any, path: Path, violations: Violations) -> None:
            if type(value) is not list:
                violations.append(Violation(_text_of(path), "must be an array", value))
                return
            if len(value) < item.items_min:
                violations.append(
                    Violation(_text_of(path), f"must have at least {item.items_min} element(s)", value)
                )
            if item.items_max is not None and len(value) > item.items_max:
                violations.append(
                    Violation(_text_of(path), f"must have at most {item.items_max} element(s)", value)
                )
            for index, element in enumerate(value):
                before = len(violations)
                one(element, (path, index), violations)
                for number in range(before, len(violations)):
                    violations[number] = _among(violations[number], element, value)
                if len(violations) >= VIOLATIONS_MAX:
                    return

        return check


def _missing(holder: dict[str, Any], path: Path, item: Attribute, owner: str) -> MissingAttribute:
    return MissingAttribute(
        _text_of((path, item.name)),
        "is required",
        holder=holder,
        name=item.name,
        type=item.type,
        owner=owner,
        is_at_top=path is None,
        index=path[1] if path is not None and isinstance(path[1], int) else None,
    )


def _without_respelt(body: dict[str, Any], violations: Violations) -> Violations:
    """The violations but for words in other letters, which are written as their enumeration spells them."""
    rest: Violations = []
    for one in violations:
        if isinstance(one, RespeltWord) and one.steps is not None:
            holder, name = one.steps
            _at(body, holder)[name] = one.word
        else:
            rest.append(one)
    return rest


def _at(body: Any, path: Path) -> Any:
    """The value at a path."""
    return body if path is None else _at(body, path[0])[path[1]]


def _among(violation: Violation, element: Any, siblings: list[Any]) -> Violation:
    """A violation that knows the array in which its object stands."""
    if isinstance(violation, MissingAttribute) and violation.holder is element:
        return msgspec.structs.replace(violation, siblings=siblings)
    return violation


def _text_of(path: Path) -> str:
    """As `category[0].id`."""
    if path is None:
        return ""
    above, step = path
    if isinstance(step, int):
        return f"{_text_of(above)}[{step}]"
    return step if above is None else f"{_text_of(above)}.{step}"


def _strings(attributes: Mapping[str, Attribute]) -> frozenset[str]:
    """Names of the attributes that accept any string, and nothing else."""
    return frozenset(name for name, one in attributes.items() if one.type in STRINGS and not one.is_list)


def _enumeration(values: tuple[str, ...]) -> Check:
    allowed = frozenset(values)
    rule = f"must be one of {', '.join(values)}"
    by_spelling = {folded(value): value for value in values}

    def check(value: Any, path: Path, violations: Violations) -> None:
        if type(value) is str and value not in allowed and (word := by_spelling.get(folded(value))):
            violations.append(RespeltWord(_text_of(path), rule, value, steps=path, word=word))
        elif type(value) is not str or (allowed and value not in allowed):
            violations.append(Violation(_text_of(path), rule if allowed else "must be a string", value))

    return check
