"""Sends one event to one listener, and says what the answer means for the event and for the listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.business.hub.events import Event
from hansa.business.hub.listeners import Listener
from hansa.business.hub.signatures import signature_headers
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, HansaError
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.limits import Limits

FIRST_TIMEOUT_S: Final = 2.0
"""For the first answer of a listener that was never reached."""
ANSWER_SIZE_MAX_BYTES: Final = 65_536
STATUSES_OF_ABSENCE: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that say that the listener is not there, or too busy, and nothing about the event."""
CONTENT_TYPE: Final = "application/json;charset=utf-8"
_CODES: Final = {
    Code.RETRIEVAL_UNREACHABLE: Code.LISTENER_UNREACHABLE,
    Code.RETRIEVAL_TIMEOUT: Code.LISTENER_TIMEOUT,
}


class Attempt(msgspec.Struct, frozen=True):
    """The outcome of sending an event once."""

    problem: Code | None = None
    """None when the listener accepted it."""
    answered: int | None = None
    """HTTP status; None when there was no answer."""

    @property
    def is_about_event(self) -> bool:
        """Whether the listener answered, and did not accept the event."""
        return (
            self.problem is not None
            and self.answered is not None
            and self.answered not in STATUSES_OF_ABSENCE
        )

    @property
    def is_refusal(self) -> bool:
        """Whether sending the event again is of no use."""
        return self.is_about_event and 400 <= (self.answered or 0) < 500


class NotificationSender:
    """Posts events to the callbacks of listeners."""

    def __init__(
        self, http: HttpClient, clock: Clock, limits: Limits, content_type: str = CONTENT_TYPE
    ) -> None:
        self._http = http
        self._clock = clock
        self._limits = limits
        self._content_type = content_type

    async def send(self, listener: Listener, event: Event) -> Attempt:
        """Send an event once; a listener's failure is an outcome, not an error."""
        timeout_s = self._limits.notification_timeout_s
        is_first = not listener.delivered and not listener.failures
        return await self.post(
            listener.callback,
            listener.secrets(self._clock.now()),
            event.event_id,
            listener.group.filter.body_of(event),
            timeout_s=min(timeout_s, FIRST_TIMEOUT_S) if is_first else timeout_s,
        )

    async def post(
        self,
        callback: str,
        secrets: Sequence[str],
        event_id: str,
        body: bytes,
        *,
        timeout_s: float,
    ) -> Attempt:
        """Send a body once, signed with the secrets."""
        timestamp_s = epoch_s(self._clock)
        request = HttpRequest(
            "POST",
            callback,
            {"content-type": self._content_type, **signature_headers(secrets, event_id, timestamp_s, body)},
            body,
            timeout_s=timeout_s,
            answer_size_max_bytes=ANSWER_SIZE_MAX_BYTES,
        )
        try:
            status = (await self._http.send(request)).status
        except HansaError as error:
            return Attempt(_CODES.get(error.code, error.code))
        if 200 <= status < 300:
            return Attempt(None, status)
        return Attempt(Code.LISTENER_REFUSED if 400 <= status < 500 else Code.LISTENER_FAILED, status)
