"""What a listener asks of a hub: the same language on the envelope of an event (TMF630 Part 1, chapter 10).

`eventType=…` names events, `event.<resource>.<path>` asks about what they carry, `fields` chooses what is told, and
`filter` is a JSONPath over the envelope. Names of events count without regard to case, and may end with `Notification`
where the documents say `Event`: the guideline's own examples do that. Blanks around names and values mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.business.models import Api, Resource
from hansa.business.models.event_names import offered_names
from hansa.business.query.filters import FilterCompiler, conditions
from hansa.business.query.jsonpath import Lenient
from hansa.business.query.jsonpath_text import read
from hansa.business.query.parameters import Assertion, groups
from hansa.business.query.paths import NoSuchAttribute, ResolvedPath, follow
from hansa.business.query.selecting import parts_of
from hansa.business.representation import Selection, selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, Filter, Test
from hansa.store.operators import EQ

EVENT_TYPE: Final = "eventType"
EVENT: Final = "event"
_EVENT_TYPE_PATH: Final = (EVENT_TYPE,)

_ENVELOPE: Final[Mapping[str, str]] = {
    EVENT_TYPE: "string",
    "eventId": "string",
    "eventTime": "date-time",
    "timeOccurred": "date-time",
    "timeOcurred": "date-time",
    "correlationId": "string",
    "domain": "string",
    "title": "string",
    "description": "string",
    "priority": "string",
    "fieldPath": "string",
    "@type": "string",
    "@baseType": "string",
}
"""Attributes of an event beside its payload; `timeOcurred` is how the documents of version 4 write it."""


class EventQuery(msgspec.Struct, frozen=True):
    """Which events a listener wants, and what of them."""

    event_types: frozenset[str] | None
    """Exact names, of which a wanted event has one; None when the query leaves that open."""
    conditions: tuple[Condition, ...]
    """On the envelope; they include those on `eventType` whenever `event_types` alone does not decide."""
    fields: Selection | None
    """Of the envelope; None for all of it."""


def event_query(text: str, api: Api, limits: Limits) -> EventQuery:
    """The query of a registration.

    Raises:
        Refused: `Code.INVALID`, `Code.MALFORMED`, `Code.NOT_IMPLEMENTED` or `Code.URI_TOO_LONG`, naming what is wrong.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise Refused(Code.MALFORMED, "query: it is not UTF-8.") from None
    fields: list[str] = []
    paths: list[str] = []
    asserted: list[tuple[Assertion, ...]] = []
    for group in groups(raw, limits):
        rest: list[Assertion] = []
        for one in group:
            name, operator, value = one.name, one.operator, one.value.strip()
            if operator is None and name in {"fields", ".fields"}:
                fields.append(value)
            elif operator is None and name in {"filter", ".filter"}:
                paths.append(value)
            else:
                rest.append(Assertion(name, operator, value))
        asserted.append(tuple(rest))
    try:
        found = conditions(asserted, FilterCompiler(api, limits, _Envelope(api).place), limits)
    except Refused as error:
        raise Refused(error.code, f"query: {error.message}") from None
    offered = {name.lower(): name for resource in api.resources for name in offered_names(resource)}
    exact = tuple(_named(one, offered, api) for one in found)
    event_types = [types for one in exact if (types := _types(one)) is not None]
    tests = [Test("filter", _lenient("filter", path, limits).holds) for path in paths]
    return EventQuery(
        frozenset.intersection(*event_types) if event_types else None,
        (*(one for one in exact if not _is_of_type(one)), *tests),
        event_fields([_fields(value, api) for value in fields], limits),
    )


class _Envelope:
    """Follows dotted names through the envelope of an API's events."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._resources = {resource.name.lower(): resource for resource in api.resources}

    def place(self, text: str) -> ResolvedPath:
        """Where a name leads."""
        path = text.split(".")
        if path[0] in _ENVELOPE and len(path) == 1:
            return ResolvedPath((text,), _ENVELOPE[text], (False,), is_declared=True)
        resource: Resource | None = self._resources.get(path[1].lower()) if len(path) > 1 else None
        if path[0] != EVENT or resource is None:
            first = self._api.resources[0].name
            raise NoSuchAttribute(text[:60], f"an event of {self._api.id}", [f"event.{first}.id", EVENT_TYPE])
        start = (EVENT, resource.name)
        if len(path) == 2:
            return ResolvedPath(start, "object", (False, False), is_declared=True)
        below = follow(".".join(path[2:]), self._api, resource.type)
        return ResolvedPath(
            (*start, *below.path), below.type, (False, False, *below.lists), below.is_declared
        )


def _named(condition: Condition, offered: Mapping[str, str], api: Api) -> Condition:
    """A condition with the exact names of the events that it names."""
    match condition:
        case Filter(path=("eventType",), operator=operator) if operator is EQ:
            named = (name.strip() for name in condition.values if "," not in name)
            return Filter(condition.path, tuple(_exact(name, offered, api) for name in named))
        case AnyOf(below):
            return AnyOf(tuple(_named(one, offered, api) for one in below))
        case AllOf(below):
            return AllOf(tuple(_named(one, offered, api) for one in below))
        case _:
            return condition


def _exact(name: str, offered: Mapping[str, str], api: Api) -> str:
    plain = name.lower().removesuffix("notification")
    found = offered.get(plain if plain.endswith("event") else plain + "event")
    if found is None:
        raise Refused(Code.INVALID, f"query: {api.id} has no event {name[:60]!r}.")
    return found


def _is_of_type(condition: Condition) -> bool:
    return isinstance(condition, Filter) and condition.path == _EVENT_TYPE_PATH and condition.operator is EQ


def _types(condition: Condition) -> frozenset[str] | None:
    """The event types to which a condition limits; None when it does not."""
    match condition:
        case Filter() if _is_of_type(condition):
            return frozenset(condition.values)
        case AllOf(below):
            limits = [types for one in below if (types := _types(one)) is not None]
            return frozenset.intersection(*limits) if limits else None
        case AnyOf(below):
            found = [_types(one) for one in below]
            return frozenset().union(*(types or () for types in found)) if None not in found else None
        case _:
            return None


def _lenient(parameter: str, text: str, limits: Limits) -> Lenient:
    return Lenient(read(parameter, text, limits, nodes_max=limits.event_path_nodes_max))


def event_fields(values: list[str], limits: Limits) -> Selection | None:
    """What `fields` selects of events; None for all of them.

    Selecting raises nothing: an event in which a JSONPath would visit too much is shown whole.

    Raises:
        Refused: `Code.INVALID` or `Code.NOT_IMPLEMENTED`, for a JSONPath.
    """
    plain, paths = parts_of(values, limits)
    if not plain and not paths:
        return None
    return selection(plain, [_lenient("fields", path, limits) for path in paths])


def _fields(value: str, api: Api) -> str:
    """Names with the resource spelt as in the model: the guideline's own example writes `event.TroubleTicket.name`."""
    exact = {resource.name.lower(): resource.name for resource in api.resources}
    parts = [name.strip().split(".") for name in value.split(",")]
    for part in parts:
        if len(part) > 1 and part[0] == EVENT:
            part[1] = exact.get(part[1].lower(), part[1])
    return ",".join(map(".".join, parts))
