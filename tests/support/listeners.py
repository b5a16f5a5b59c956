"""Hub listeners in the same process: an HTTP client whose every host is a listener that a test directs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec

from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpRequest, HttpResponse


class Listeners:
    """Receives what is sent to any address (an `HttpClient`)."""

    def __init__(self, content_type: str = "application/json;charset=utf-8") -> None:
        self.content_type = content_type
        self.headers: dict[str, list[dict[str, str]]] = defaultdict(list)
        """Of the events that were accepted, by address."""
        self.received: dict[str, list[Any]] = defaultdict(list)
        """Events that were accepted, by address."""
        self.attempts: dict[str, int] = defaultdict(int)
        self.answers: dict[str, list[int]] = defaultdict(list)
        """Statuses that an address is still to answer before it accepts; 0 for no answer at all."""
        self.dead: set[str] = set()
        """Addresses that never answer."""
        self.silent: dict[str, asyncio.Event] = {}
        """Addresses that answer only after their event was set."""
        self.in_flight = 0
        self.in_flight_max = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Receive one notification."""
        assert request.method == "POST"
        assert request.headers["content-type"] == self.content_type
        self.attempts[request.url] += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            await asyncio.sleep(0)
            if request.url in self.silent:
                await self.silent[request.url].wait()
            status = self.answers[request.url].pop(0) if self.answers[request.url] else 201
            if request.url in self.dead or status == 0:
                raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "Nobody answers.")
            if 200 <= status < 300:
                self.headers[request.url].append(dict(request.headers))
                self.received[request.url].append(msgspec.json.decode(request.body))
            return HttpResponse(status, {}, b"")
        finally:
            self.in_flight -= 1

    def was_tried(self, url: str, times: int) -> bool:
        """Whether an address was tried that often."""
        return self.attempts[url] >= times

    def has_received(self, url: str, events: int) -> bool:
        """Whether an address accepted that many events."""
        return len(self.received[url]) >= events

    def names(self, url: str) -> list[str]:
        """Types of the events that an address accepted."""
        return [event["eventType"] for event in self.received[url]]
