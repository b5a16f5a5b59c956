"""`/league/v1/events`: what is on the ledger, a page at a time or as it arrives."""

from __future__ import annotations

from hansa.api.events.documents import (
    CLOUD_EVENT,
    CLOUD_EVENTS,
    CloudEvent,
    EventDocument,
    EventsPage,
    PublishedEvent,
    cloud_event,
    event_document,
)
from hansa.api.events.filters import event_filter, selecting
from hansa.api.events.serving import EventsApi

__all__ = [
    "CLOUD_EVENT",
    "CLOUD_EVENTS",
    "CloudEvent",
    "EventDocument",
    "EventsApi",
    "EventsPage",
    "PublishedEvent",
    "cloud_event",
    "event_document",
    "event_filter",
    "selecting",
]
