"""What listeners are told: the events of a row of the feed, in their envelopes (TMF630 Part 1, section 10.3).

A row is one event as a rule. Reaching a state for which the document has an event of its own (`…ResolvedEvent`)
makes a second one. An event published into a topic (TMF688) is told twice as well: to the hub of the API as something
that was created, and to the topic's hub as it is.

The place of an event is its row times `PARTS`, plus its number within the row: places order all events there are.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from hansa.business.models import Api, Models, Resource
from hansa.business.models.event_names import event_name, reached_names
from hansa.business.representation import Representation, collection_address
from hansa.store import Change, Entity

PARTS: Final = 8
"""Places per row of the feed."""
TOPIC: Final = "topic"
"""Name of the resource that has events and a hub of its own below it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Event:
    """An event as it is sent to listeners."""

    __slots__ = ("_content", "api", "body", "event_id", "event_type", "place", "topic")

    def __init__(self, place: int, api: str, topic: str, event_type: str, event_id: str, body: bytes) -> None:
        """`topic` is the identifier of the topic whose listeners it is for; empty for those of the API."""
        self.place = place
        self.api = api
        self.topic = topic
        self.event_type = event_type
        self.event_id = event_id
        self.body = body
        self._content: dict[str, Any] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The body, decoded; once, however many listeners look at it."""
        if self._content is None:
            self._content = _decode(self.body)
        return self._content


def place_of(seq: int, part: int = 0) -> int:
    """The place of an event of a row."""
    return seq * PARTS + part


def row_of(place: int) -> int:
    """The row of the feed that an event tells of."""
    return place // PARTS


def end_of(seq: int) -> int:
    """The place behind every event of a row."""
    return place_of(seq, PARTS - 1)


def is_published(resource: Resource) -> bool:
    """Whether the entities of a resource are events of a topic."""
    return resource.parent_name == TOPIC and resource.name == "event"


def names_of(change: Change, resource: Resource) -> tuple[str, ...]:
    """Names of the events of a row for the hub of the API, in the order of their parts."""
    name = event_name(resource, change.operation)
    if change.operation not in {"create", "state"} or change.status is None:
        return (name,)
    return (name, *reached_names(resource, change.status))


def topic_of(change: Change, resource: Resource) -> str:
    """The topic whose listeners a row is an event for; empty when there is none."""
    return change.parent or "" if change.operation == "create" and is_published(resource) else ""


def events_of(change: Change, entity: Entity | None, models: Models, endpoint: str) -> tuple[Event, ...]:
    """The events of a row of the feed; none when no API serves its type.

    Their identifiers follow from the row, so that a listener can tell a repetition. The entity is shown as given;
    one that is gone is shown by its identifier, address and type.
    """
    if change.type not in models.types:
        return ()
    api, resource = models.served(change.type)
    if change.operation == "delete":
        entity = None
    start = f"{endpoint}/change/{change.seq}/{change.time}"
    payload = msgspec.Raw(_payload(change, entity, api, resource, endpoint))
    found = []
    for part, name in enumerate(names_of(change, resource)):
        event_id = _identifier(f"{start}/{name}" if part else start)
        envelope = {
            "eventId": event_id,
            "eventTime": change.time,
            "eventType": name,
            "timeOcurred": change.time,
            "event": {resource.name: payload},
        }
        found.append(Event(place_of(change.seq, part), api.id, "", name, event_id, _encode(envelope)))
    if entity is not None and topic_of(change, resource):
        found.append(_published(change, entity, api))
    return tuple(found)


def _published(change: Change, entity: Entity, api: Api) -> Event:
    """An event that was published into a topic, as it is; what its publisher left out of the envelope is filled in."""
    content = _decode(entity.body)
    content.setdefault("eventId", entity.id)
    content.setdefault("eventTime", change.time)
    content.pop("id", None)
    event_id, event_type = str(content["eventId"]), str(content.get("eventType", ""))
    return Event(end_of(change.seq), api.id, change.parent or "", event_type, event_id, _encode(content))


def _payload(change: Change, entity: Entity | None, api: Api, resource: Resource, endpoint: str) -> bytes:
    shown = Representation(collection_address(endpoint, api, resource, change.parent))
    if entity is not None:
        return shown.whole(entity.id, entity.body)
    return shown.whole(change.entity_id, _encode({"id": change.entity_id, "@type": resource.type}))


def _identifier(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
