"""Committed events as they are handed out: as they are, and as CloudEvents 1.0."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.batches import EventProof
from hansa.core.events import LifecycleEvent, entity_location
from hansa.pubsub.ledger_records import CommittedEvent

CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_EVENTS: Final = "application/cloudevents-batch+json"


class EventDocument(msgspec.Struct, frozen=True):
    """A committed event as it is handed out: where it is, what it says, and the proof of it."""

    position: int
    height: int
    time: str
    """Of the block; the event has a time of its own."""
    event: msgspec.Raw
    """The content that was signed, and in front of it `issuer` and `location`."""
    proof: EventProof | None


class PublishedEvent(LifecycleEvent, frozen=True, omit_defaults=True):
    """A lifecycle event with where its issuer serves that version of the entity."""

    location: str | None = None
    """Address of the version at its origin; absent of a sealed event, and when the registry does not know the
    issuer any more."""


class EventsPage(msgspec.Struct, frozen=True):
    """Events in the order of the ledger, and how far it was searched for them."""

    events: tuple[EventDocument, ...]
    scanned_to: int
    """Position up to which the ledger was searched; `after` continues there."""
    last_position: int
    """Position of the newest event on the ledger."""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a CloudEvent 1.0 in JSON, with the `sequence` extension and those for its block."""

    specversion: str = "1.0"
    """Version of CloudEvents: always `1.0`."""
    id: str
    """Identifier of the event: UUIDv7."""
    source: str
    """DID of the member that issued it."""
    type: str
    """Name of the event, as `productOfferingCreateEvent`."""
    subject: str
    """Ledger key of the entity."""
    time: str
    """When the issuer built it."""
    sequence: str
    """Position on the ledger, as 20 digits, so that texts sort as positions do."""
    blocktime: str
    """Time of the block that committed it."""
    blockheight: str
    """Height of that block, in decimal digits."""
    datacontenttype: str = "application/json"
    """Media type of `data`."""
    data: EventDocument
    """The event and its proof, as it is without CloudEvents."""


def event_document(committed: CommittedEvent, endpoint: str | None) -> EventDocument:
    """A committed event as it is handed out.

    Args:
        committed: With its proof.
        endpoint: Of its issuer; None when the registry does not know it any more.
    """
    event = committed.event
    added = {"issuer": event.issuer}
    if endpoint is not None and event.sealed is None:
        added["location"] = entity_location(endpoint, event.entity.key, event.hashlink)
    # The content is a JSON object: what is added goes in front of its first name.
    document = b"%b,%b" % (msgspec.json.encode(added)[:-1], committed.content[1:])
    return EventDocument(
        committed.position, committed.height, committed.time, msgspec.Raw(document), committed.proof
    )


def cloud_event(committed: CommittedEvent, document: EventDocument) -> CloudEvent:
    """An event as a CloudEvent."""
    event = committed.event
    return CloudEvent(
        id=event.id,
        source=event.issuer,
        type=event.type,
        subject=event.entity.key,
        time=event.time,
        sequence=f"{committed.position:020d}",
        blocktime=committed.time,
        blockheight=str(committed.height),
        data=document,
    )
