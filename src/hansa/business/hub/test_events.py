"""Test events: what a listener is sent on request, to see that it is reached and verifies signatures."""

from __future__ import annotations

import uuid
from typing import Final

import msgspec

from hansa.business.hub.listeners import signing_secrets
from hansa.business.hub.sending import Attempt, NotificationSender
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store.tables.subscriptions import Subscription

EVENT_TYPE: Final = "HubTestEvent"
IN_FLIGHT_MAX: Final = 4
"""At one API; a further request is answered with 429."""


class TestEvents:
    """Sends them at one API. They change nothing of the delivery of a listener."""

    __test__ = False

    def __init__(self, http: HttpClient | None, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        self._sender = NotificationSender(http, clock, limits) if http is not None else None
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
        envelope = {
            "eventId": event_id,
            "eventTime": rfc3339(now),
            "eventType": EVENT_TYPE,
            "timeOcurred": rfc3339(now),
            "event": {},
        }
        self._in_flight += 1
        try:
            return await self._sender.post(
                subscription.callback,
                signing_secrets(subscription, now),
                event_id,
                msgspec.json.encode(envelope),
                timeout_s=self._timeout_s,
            )
        finally:
            self._in_flight -= 1
