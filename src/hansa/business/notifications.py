"""What a listener can ask for, and what it is told: hub queries and event envelopes (TMF630 Part 1, chapter 10)."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from hansa.business.evaluation import matches
from hansa.business.models import Api, Models, Resource
from hansa.business.query import alternatives, attribute_path, pairs
from hansa.business.representation import Representation
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Change, Entity, Filter

EVENT_TYPE: Final = "eventType"
SUFFIXES: Final = {
    "create": "CreateEvent",
    "change": "AttributeValueChangeEvent",
    "state": "StateChangeEvent",
    "delete": "DeleteEvent",
}

_encode = msgspec.json.Encoder().encode


class HubQuery(msgspec.Struct, frozen=True):
    """Which events a listener wants."""

    event_types: frozenset[str] | None
    """In lower case; None for all of the API."""
    filters: tuple[Filter, ...]
    """On the envelope, as `event.productOffering.lifecycleStatus`."""


class Notification(msgspec.Struct, frozen=True):
    """An event as it is sent to listeners."""

    seq: int
    api: str
    event_type: str
    body: bytes

    def is_wanted(self, query: HubQuery) -> bool:
        """Whether a listener with this query wants it."""
        if query.event_types is not None and self.event_type.lower() not in query.event_types:
            return False
        return not query.filters or matches(msgspec.json.decode(self.body), query.filters)


def hub_query(text: str, api: Api, limits: Limits) -> HubQuery:
    """The query of a registration: `eventType=…`, and paths into the event, joined by `&`.

    Raises:
        Refused: `Code.INVALID`, naming what no event of the API has.
    """
    event_types: set[str] = set()
    filters: list[Filter] = []
    offered = {event.lower() for resource in api.resources for event in resource.events}
    for name, value in pairs("&".join(part.strip() for part in text.split("&")).encode(), limits):
        path = tuple(name.strip().split("."))
        if path == (EVENT_TYPE,):
            for wanted in value.split(","):
                # TM Forum's guideline says …Notification where its documents say …Event.
                plain = wanted.strip().lower().removesuffix("notification")
                event = plain if plain.endswith("event") else plain + "event"
                if event not in offered:
                    raise Refused(Code.INVALID, f"query: {api.id} has no event {wanted.strip()!r}.")
                event_types.add(event)
            continue
        filters.append(Filter(_content_path(path, api), alternatives(value.strip())))
    if len(filters) > limits.filter_count_max:
        raise Refused(Code.INVALID, f"query: at most {limits.filter_count_max} filters.")
    return HubQuery(frozenset(event_types) or None, tuple(filters))


def _content_path(path: tuple[str, ...], api: Api) -> tuple[str, ...]:
    for resource in api.resources:
        if path[:2] == ("event", resource.name):
            if len(path) > 2:
                attribute_path(".".join(path[2:]), api, resource.type)
            return path
    raise Refused(
        Code.INVALID,
        f"query: {'.'.join(path)!r} is neither eventType nor a path as event.{api.resources[0].name}.id.",
    )


def event_of(change: Change, models: Models) -> tuple[Api, Resource, str] | None:
    """API, resource and name of the event that a row of the feed is; None when no API serves its type."""
    if change.type not in models.types:
        return None
    api, resource = models.served(change.type)
    suffix = SUFFIXES[change.operation]
    if change.operation == "state" and any(event.endswith("StatusChangeEvent") for event in resource.events):
        suffix = "StatusChangeEvent"
    return api, resource, resource.event(suffix)


def notification(change: Change, entity: Entity | None, models: Models, endpoint: str) -> Notification | None:
    """What listeners are told of a row of the feed; None when no API serves its type.

    The identifier of the event follows from the row, so that a listener can tell a repetition. The entity is shown
    as given; one that is gone is shown by its identifier, address and type.
    """
    found = event_of(change, models)
    if found is None:
        return None
    api, resource, event_type = found
    shown = Representation(endpoint + api.base_path + resource.path)
    if entity is not None and change.operation != "delete":
        payload = shown.whole(entity.id, entity.body)
    else:
        payload = shown.whole(change.entity_id, _encode({"id": change.entity_id, "@type": change.type}))
    envelope: dict[str, Any] = {
        "eventId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{endpoint}/change/{change.seq}/{change.time}")),
        "eventTime": change.time,
        EVENT_TYPE: event_type,
        "event": {resource.name: msgspec.Raw(payload)},
    }
    return Notification(change.seq, api.id, event_type, _encode(envelope))
