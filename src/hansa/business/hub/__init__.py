"""The hub: registrations, and the delivery of notifications (TMF630 Part 1, chapter 10)."""

from __future__ import annotations

from hansa.business.hub.dispatcher import HubDispatcher
from hansa.business.hub.registrations import HubHandler

__all__ = ["HubDispatcher", "HubHandler"]
