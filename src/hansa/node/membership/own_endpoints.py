"""Where the other members reach this marketplace: the endpoints that their requests to it may be bound to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hansa.core.clock import Clock
from hansa.core.members import Member

BEFORE_FOR_S: Final = 120.0
"""For how long requests to the endpoint before are taken: members that are behind do not know the new one."""


class OwnEndpoints:
    """The endpoints of this marketplace.

    Args:
        did: Of this marketplace.
        configured: `endpoint` of its settings.
        clock: For how long ago the endpoint was another one.
    """

    def __init__(self, did: str, configured: str, clock: Clock) -> None:
        self._did = did
        self._configured = configured
        self._clock = clock
        self._before = self.registered = configured
        self._before_until_s = float("-inf")

    def note_members(self, members: Iterable[Member]) -> None:
        """Take note of the registry."""
        endpoint = next((one.endpoint for one in members if one.did == self._did), self.registered)
        if endpoint != self.registered:
            self._before, self.registered = self.registered, endpoint
            self._before_until_s = self._clock.monotonic() + BEFORE_FOR_S

    @property
    def configured(self) -> str:
        """What the settings say, and what links in responses begin with."""
        return self._configured

    def accepted(self) -> tuple[str, ...]:
        """Endpoints that a request of another member may be bound to."""
        if self._clock.monotonic() < self._before_until_s:
            return self.registered, self._configured, self._before
        return self.registered, self._configured
