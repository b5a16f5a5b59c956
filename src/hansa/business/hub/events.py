"""The events that listeners receive: a row of the feed in its envelopes (TMF630 Part 1, section 10.3).

A row is one event as a rule. Reaching a state for which the document has an event of its own
(`…ResolvedEvent`) makes a second one. An event published into a topic (TMF688) is sent twice as well: at the
hub of the API as an entity that was created, and at the topic's hub as it was published.

The place of an event is its row times `PLACES_PER_ROW`, plus its number within the row: places order all
events.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from hansa.business.models import Api, Models, Resource
from hansa.business.models.event_names import event_name, reached_names
from hansa.business.representation import Representation, collection_address
from hansa.store import Change, Entity

PLACES_PER_ROW: Final = 8
TOPIC: Final = "topic"
"""Name of the resource that has events and a hub of its own below it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Event:
    """An event as it is sent to listeners."""

    __slots__ = ("_content", "api", "body", "event_id", "event_type", "place", "topic")

    def __init__(self, place: int, api: str, topic: str, event_type: str, event_id: str, body: bytes) -> None:
        """Put an event together.

        Args:
            place: Orders it among all events; see the module.
            api: Identifier of the API, as `TMF620`.
            topic: Identifier of the topic at whose hub it is sent; empty at the hub of the API.
            event_type: As `ProductOfferingCreateEvent`.
            event_id: `eventId`, by which a listener recognizes a repetition.
            body: The envelope, encoded.
        """
        assert place > 0, "rows of the feed are numbered from 1"
        self.place = place
        self.api = api
        self.topic = topic
        self.event_type = event_type
        self.event_id = event_id
        self.body = body
        self._content: dict[str, Any] | None = None

    @property
    def content(self) -> dict[str, Any]:
        """The body, decoded; once, however many filters read it."""
        if self._content is None:
            self._content = _decode(self.body)
        return self._content


def place_of(seq: int, part: int = 0) -> int:
    """The place of an event of a row."""
    assert 0 <= part < PLACES_PER_ROW, "a row has few events"
    return seq * PLACES_PER_ROW + part


def row_of(place: int) -> int:
    """Number of the feed's row that an event is made from."""
    return place // PLACES_PER_ROW


def end_of_row(seq: int) -> int:
    """The last place of a row: no event of the row is behind it."""
    return seq * PLACES_PER_ROW + PLACES_PER_ROW - 1


def is_published_event(resource: Resource) -> bool:
    """Whether the entities of a resource are events of a topic."""
    return resource.parent_name == TOPIC and resource.name == "event"


def event_names_of(change: Change, resource: Resource) -> tuple[str, ...]:
    """Names of a row's events at the hub of the API, in the order of their parts."""
    name = event_name(resource, change.operation)
    if change.operation not in {"create", "state"} or change.status is None:
        return (name,)
    return (name, *reached_names(resource, change.status))


def topic_of(change: Change, resource: Resource) -> str:
    """The topic into which a row published an event; empty when it did not."""
    return change.parent or "" if change.operation == "create" and is_published_event(resource) else ""


def events_of(change: Change, entity: Entity | None, models: Models, endpoint: str) -> tuple[Event, ...]:
    """The events of a row of the feed; none when no API serves its type, or when the row is pending.

    Their identifiers are derived from the row, so that a listener recognizes a repetition. The entity is
    shown as it is passed in; a deleted one by its identifier, address and type.
    """
    if change.is_pending or change.type not in models.types:
        return ()
    api, resource = models.served(change.type)
    if change.operation == "delete":
        entity = None
    start = f"{endpoint}/change/{change.seq}/{change.time}"
    payload = msgspec.Raw(_payload(change, entity, api, resource, endpoint))
    events = []
    for part, name in enumerate(event_names_of(change, resource)):
        event_id = _identifier(f"{start}/{name}" if part else start)
        envelope = {
            "eventId": event_id,
            "eventTime": change.time,
            "eventType": name,
            "timeOcurred": change.time,
            "event": {resource.name: payload},
        }
        events.append(Event(place_of(change.seq, part), api.id, "", name, event_id, _encode(envelope)))
    if entity is not None and topic_of(change, resource):
        events.append(_published_event(change, entity, api))
    return tuple(events)


def _published_event(change: Change, entity: Entity, api: Api) -> Event:
    """An event as it was published into a topic; what its publisher left out of the envelope is filled in."""
    content = _decode(entity.body)
    content.setdefault("eventId", entity.id)
    content.setdefault("eventTime", change.time)
    content.pop("id", None)
    event_id, event_type = str(content["eventId"]), str(content.get("eventType", ""))
    return Event(end_of_row(change.seq), api.id, change.parent or "", event_type, event_id, _encode(content))


def _payload(change: Change, entity: Entity | None, api: Api, resource: Resource, endpoint: str) -> bytes:
    representation = Representation(collection_address(endpoint, api, resource, change.parent))
    if entity is not None:
        return representation.whole(entity.id, entity.body)
    return representation.whole(change.entity_id, _encode({"id": change.entity_id, "@type": resource.type}))


def _identifier(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
