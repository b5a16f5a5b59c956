"""What a listener can ask for, and what it is told: hub queries and event envelopes (TMF630 Part 1, chapter 10)."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from hansa.business.evaluation import matches
from hansa.business.models import Api, Models, Resource
from hansa.business.query import event_query
from hansa.business.representation import Representation, Selection
from hansa.core.limits import Limits
from hansa.store import Change, Condition, Entity

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
    filters: tuple[Condition, ...]
    """On the envelope, as `event.productOffering.lifecycleStatus`."""
    fields: Selection | None = None
    """Of the envelope; None for all of it."""


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
    """The query of a registration, in the language of lists.

    Raises:
        Refused: as `hansa.business.query.event_query`.
    """
    found = event_query(text, api, limits)
    types = found.event_types
    return HubQuery(
        frozenset(map(str.lower, types)) if types is not None else None, found.conditions, found.fields
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
