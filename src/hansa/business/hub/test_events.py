"""Test events: what a listener is sent on request, to see that it is reached and verifies signatures."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hansa.business.hub.listeners import signing_secrets
from hansa.business.hub.sending import CONTENT_TYPE, Attempt, NotificationSender
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store.tables.subscriptions import Subscription

EVENT_TYPE: Final = "HubTestEvent"
IN_FLIGHT_MAX: Final = 4
"""At one API; a further request is answered with 429."""


def hub_envelope(event_id: str, time: str) -> Mapping[str, object]:
    """The envelope of a test event of a hub."""
    return {
        "eventId": event_id,
        "eventTime": time,
        "eventType": EVENT_TYPE,
        "timeOcurred": time,
        "event": {},
    }


class TestEvents:
    """Sends them at one API. They change nothing of the delivery of a listener."""

    __test__ = False

    def __init__(
        self,
        http: HttpClient | None,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        envelope_of: Callable[[str, str], Mapping[str, object]] = hub_envelope,
        content_type: str = CONTENT_TYPE,
    ) -> None:
        self._sender = None if http is None else NotificationSender(http, clock, limits, content_type)
        self._envelope_of = envelope_of
        self._clock = clock
        self._entropy = entropy
        self._timeout_s = limits.notification_timeout_s
        self._in_flight = 0

    async def send(self, subscription: Subscription) -> Attempt:
        """Send one, and wait for the answer.

        Raises:
            Unavailable: `Code.OVERLOADED`, or `Code.UNAVAILABLE` where no notifications are sent.
        """
        if self._sender is None:
            raise Unavailable(Code.UNAVAILABLE, "No notifications are sent here.")
        if self._in_flight >= IN_FLIGHT_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many test events are being sent.", retry_after_s=5)
        now = self._clock.now()
        event_id = str(uuid.UUID(bytes=self._entropy(16), version=4))
        self._in_flight += 1
        try:
            return await self._sender.post(
                subscription.callback,
                signing_secrets(subscription, now),
                event_id,
                msgspec.json.encode(self._envelope_of(event_id, rfc3339(now))),
                timeout_s=self._timeout_s,
            )
        finally:
            self._in_flight -= 1
