"""The query of a hub registration: the same language on the envelope of an event (TMF630 Part 1, chapter 10).

`eventType=…` names events, `event.<resource>.<path>` filters by their payload, `fields` selects what is sent,
and `filter` is a JSONPath on the envelope. Names of events are compared without regard to case, and may end
with `Notification` where the documents say `Event`, as in the guideline's own examples. Blanks around names
and values are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

import msgspec

from hansa.business.models import Api, Resource
from hansa.business.models.event_names import offered_names
from hansa.business.query.filters import FilterCompiler, conditions, unquoted
from hansa.business.query.jsonpath import EventJsonPath
from hansa.business.query.jsonpath_text import read_jsonpath
from hansa.business.query.parameters import Assertion, groups
from hansa.business.query.paths import NoSuchAttribute, ResolvedPath, resolve_path
from hansa.business.query.selecting import parts_of
from hansa.business.representation import Selection, selection
from hansa.core.errors import Code, Refused
from hansa.core.known_words import check_known
from hansa.core.limits import Limits
from hansa.core.refusals import all_refusals
from hansa.store import AllOf, AnyOf, Condition, Filter, Test
from hansa.store.operators import EQ, REGEX

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
"""Types of an event's attributes beside the payload; `timeOcurred` is the spelling of version 4."""


class EventQuery(msgspec.Struct, frozen=True):
    """Which events a listener receives, and which of their attributes."""

    event_types: frozenset[str] | None
    """Exact names, of which an event must have one; None when the query does not limit them."""
    conditions: tuple[Condition, ...]
    """On the envelope; they include those on `eventType` whenever `event_types` alone does not decide."""
    fields: Selection | None
    """Of the envelope; None for all of it."""


def event_query(text: str, api: Api, limits: Limits) -> EventQuery:
    """The query of a registration.

    Raises:
        Refused: `Code.INVALID`, `Code.MALFORMED`, `Code.NOT_IMPLEMENTED` or `Code.URI_TOO_LONG`, naming the
            problem.
    """
    try:
        return _event_query(text, api, limits)
    except Refused as first:
        raise all_refusals(first, _event_checks(text, api, limits)) from None


def _event_query(text: str, api: Api, limits: Limits) -> EventQuery:
    """The same; it raises at the first fault."""
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
            stripped = one._replace(value=one.value.strip())
            match _directive_of(one):
                case "fields":
                    fields.append(stripped.value)
                case "filter":
                    paths.append(stripped.value)
                case _:
                    rest.append(stripped)
        asserted.append(tuple(rest))
    exact = _exact_conditions(asserted, api, limits)
    event_types = [types for one in exact if (types := _event_types(one)) is not None]
    tests = [Test("filter", _event_path("filter", path, limits).holds) for path in paths]
    return EventQuery(
        frozenset.intersection(*event_types) if event_types else None,
        (*(one for one in exact if not _is_on_event_type(one)), *tests),
        event_fields([_with_exact_resources(value, api) for value in fields], limits),
    )


def _directive_of(asserted: Assertion) -> str | None:
    """`fields` or `filter`, when the assertion is one of these."""
    name = asserted.name.removeprefix(".")
    return name if asserted.operator is None and name in {"fields", "filter"} else None


def _exact_conditions(
    asserted: Iterable[tuple[Assertion, ...]], api: Api, limits: Limits
) -> tuple[Condition, ...]:
    """The conditions on the envelope, with names of events spelt as in the model."""
    try:
        filters = conditions(asserted, FilterCompiler(api, limits, _Envelope(api).resolve), limits)
    except Refused as error:
        raise Refused(error.code, f"query: {error.message}") from None
    offered = {name.lower(): name for resource in api.resources for name in offered_names(resource)}
    return tuple(_with_exact_names(one, offered, api) for one in filters)


def _event_checks(text: str, api: Api, limits: Limits) -> Iterator[Callable[[], object]]:
    """Checks of the parts of a registration's query, each by itself."""
    try:
        asserted = [one for group in groups(text.encode(), limits) for one in group]
    except (Refused, UnicodeEncodeError):
        return  # what cannot be read has no parts
    for one in asserted:
        stripped = one._replace(value=one.value.strip())
        match _directive_of(one):
            case "fields":
                yield partial(event_fields, [_with_exact_resources(stripped.value, api)], limits)
            case "filter":
                yield partial(_event_path, "filter", stripped.value, limits)
            case _:
                yield partial(_exact_conditions, [(stripped,)], api, limits)


class _Envelope:
    """Resolves dotted names in the envelope of an API's events."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._resources = {resource.name.lower(): resource for resource in api.resources}

    def resolve(self, text: str) -> ResolvedPath:
        """Resolve a dotted name."""
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
        below = resolve_path(".".join(path[2:]), self._api, resource.type)
        return ResolvedPath(
            (*start, *below.path), below.type, (False, False, *below.lists), below.is_declared
        )


def _with_exact_names(condition: Condition, offered: Mapping[str, str], api: Api) -> Condition:
    """A condition with names of events spelt as in the model."""
    match condition:
        case Filter(path=("eventType",), operator=operator) if operator is EQ:
            named = {unquoted(name.strip()): None for name in condition.values if "," not in name}
            return Filter(condition.path, tuple(_exact_name(name, offered, api) for name in named))
        case Filter(path=("eventType",), operator=operator) if operator is REGEX:
            return msgspec.structs.replace(condition, values=tuple(f"(?i){one}" for one in condition.values))
        case AnyOf(below):
            return AnyOf(tuple(_with_exact_names(one, offered, api) for one in below))
        case AllOf(below):
            return AllOf(tuple(_with_exact_names(one, offered, api) for one in below))
        case _:
            return condition


def _exact_name(name: str, offered: Mapping[str, str], api: Api) -> str:
    plain = name.lower().removesuffix("notification")
    plain = plain if plain.endswith("event") else plain + "event"
    if plain not in offered:
        try:
            check_known((name,), offered.values(), f"event of {api.id}")
        except Refused as error:
            raise Refused(error.code, f"query: {error.message}") from None
    return offered[plain]


def _is_on_event_type(condition: Condition) -> bool:
    return isinstance(condition, Filter) and condition.path == _EVENT_TYPE_PATH and condition.operator is EQ


def _event_types(condition: Condition) -> frozenset[str] | None:
    """The event types to which a condition limits; None when it does not."""
    match condition:
        case Filter() if _is_on_event_type(condition):
            return frozenset(condition.values)
        case AllOf(below):
            limits = [types for one in below if (types := _event_types(one)) is not None]
            return frozenset.intersection(*limits) if limits else None
        case AnyOf(below):
            alternatives = [_event_types(one) for one in below]
            if None in alternatives:
                return None
            return frozenset().union(*(types or () for types in alternatives))
        case _:
            return None


def _event_path(parameter: str, text: str, limits: Limits) -> EventJsonPath:
    return EventJsonPath(read_jsonpath(parameter, text, limits, nodes_max=limits.event_path_nodes_max))


def event_fields(values: list[str], limits: Limits) -> Selection | None:
    """The selection of `fields` from events; None for whole events.

    Selecting raises nothing: an event in which a JSONPath would visit too many values is sent whole.

    Raises:
        Refused: `Code.INVALID` or `Code.NOT_IMPLEMENTED`, for a JSONPath.
    """
    plain, paths = parts_of(values, limits)
    if not plain and not paths:
        return None
    return selection(plain, [_event_path("fields", path, limits) for path in paths])


def _with_exact_resources(value: str, api: Api) -> str:
    """Names with the resource spelt as in the model; the guideline writes `event.TroubleTicket.name`."""
    exact = {resource.name.lower(): resource.name for resource in api.resources}
    parts = [name.strip().split(".") for name in value.split(",")]
    for part in parts:
        if len(part) > 1 and part[0] == EVENT:
            part[1] = exact.get(part[1].lower(), part[1])
    return ",".join(map(".".join, parts))
