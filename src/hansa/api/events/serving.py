"""`/league/v1/events`: what is on the ledger, a page at a time or as it arrives.

A page is JSON, or a batch of CloudEvents 1.0 when `Accept` asks for them. The stream is made of server-sent
events (HTML Living Standard, section 9.2); the `id` of each is its position on the ledger, so a client that
reconnects with `Last-Event-ID` misses nothing. Stretches without a match advance the `id`, too. Comments keep
the connection alive, and detect that the client has gone away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hansa.api.events.documents import CLOUD_EVENT, CLOUD_EVENTS, cloud_event, event_document
from hansa.api.events.filters import event_filter, selecting
from hansa.api.parameters import POSITION_MAX, Parameters, Reader, position, whole_number
from hansa.api.responses import json_response
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import EventFilter, EventPage
from hansa.replication.registry import MemberRegistry

KEEP_ALIVE_S: Final = 15.0
STREAM_PAUSE_S: Final = 0.1
EVENT_STREAM: Final = "text/event-stream"
STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
DOCUMENTS_AT_ONCE: Final = 16
"""So many events are encoded before others have their turn."""


class EventStream(StreamingResponse):
    """Server-sent events; tells when it has ended, even before the first of them."""

    def __init__(self, content: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(
            content,
            media_type=EVENT_STREAM,
            headers=STREAM_HEADERS,
        )
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


class EventsApi:
    """Serves committed events.

    Args:
        bus: Where they are.
        registry: The members, whose entities an identifier may stand for.
        clock: For keep-alive comments.
        limits: `events_page_max`, `streams_max`.
        types: Types of which there are events; other names of types and events are refused. None: any name.
    """

    def __init__(
        self,
        bus: BusReads,
        registry: MemberRegistry,
        clock: Clock,
        limits: Limits,
        types: Collection[str] = (),
    ) -> None:
        self._bus = bus
        self._filters: Mapping[str, Reader] = {
            "after": position,
            "from": Parameters.moment,
            **selecting(types),
        }
        self._registry = registry
        self._clock = clock
        self._limits = limits
        self._streams = 0
        self._last_messages: tuple[EventPage | None, bool, bytes] = (None, False, b"")
        """The page that was last made into server-sent events, and these."""
        self._encoding = asyncio.Lock()
        """Of whoever encodes events: one page at a time, whatever the number of streams and readers."""

    async def page(self, request: Request) -> Response:
        """`GET /league/v1/events`."""
        further: dict[str, Reader] = {"to": Parameters.moment, "limit": self._page_size}
        parameters = Parameters(request, {**self._filters, **further}, self._limits)
        after, limit = position(parameters, "after"), self._page_size(parameters, "limit")
        page = await self._bus.search(
            after, await event_filter(parameters, self._registry), limit, with_proofs=True
        )
        headers = {"x-scanned-to": str(page.scanned_to), "x-last-position": str(page.last_position)}
        is_cloud = wants_cloud_events(request)
        documents = b"[%b]" % b",".join(await self._documents(page, as_cloud_events=is_cloud))
        if is_cloud:
            return Response(documents, media_type=CLOUD_EVENTS, headers=headers)
        body = {
            "events": msgspec.Raw(documents),
            "scanned_to": page.scanned_to,
            "last_position": page.last_position,
        }
        return json_response(body, headers=headers)

    def _page_size(self, parameters: Parameters, name: str) -> int:
        size_max = self._limits.events_page_max
        return parameters.number(name, size_max, 1, size_max)

    async def stream(self, request: Request) -> Response:
        """`GET /league/v1/events/stream`; HEAD is answered as it would be, without the stream."""
        if request.method == "HEAD":
            return Response(media_type=EVENT_STREAM, headers=STREAM_HEADERS)
        if self._streams >= self._limits.streams_max:
            raise Unavailable(Code.OVERLOADED, "Too many event streams are open.", retry_after_s=10.0)
        self._streams += 1
        try:
            parameters = Parameters(request, self._filters, self._limits)
            after = position(parameters, "after")
            last = request.headers.get("last-event-id")
            after = whole_number("Last-Event-ID", last, after, 0, POSITION_MAX)
            filter = await event_filter(parameters, self._registry)
            await self._bus.check(filter)  # an error is still a response
        except BaseException:
            self._end_stream()
            raise
        return EventStream(self._server_sent(after, filter, wants_cloud_events(request)), self._end_stream)

    def _end_stream(self) -> None:
        self._streams -= 1
        assert self._streams >= 0, "every stream is counted once"

    async def _documents(self, page: EventPage, *, as_cloud_events: bool) -> list[bytes]:
        """The events of a page as they are handed out, with the locations that their issuers have now."""
        async with self._encoding:
            return await self._encoded(page, as_cloud_events=as_cloud_events)

    async def _encoded(self, page: EventPage, *, as_cloud_events: bool) -> list[bytes]:
        """The same, for whoever has the lock. Others have their turn meanwhile."""
        endpoints = {member.did: member.endpoint for member in await self._registry.members()}
        encoded: list[bytes] = []
        for event in page.events:
            if encoded and len(encoded) % DOCUMENTS_AT_ONCE == 0:
                await self._clock.sleep(0)
            document = event_document(event, endpoints.get(event.event.issuer))
            encoded.append(msgspec.json.encode(cloud_event(event, document) if as_cloud_events else document))
        assert len(encoded) == len(page.events), "every event of the page is handed out"
        return encoded

    async def _page_messages(self, page: EventPage, *, as_cloud_events: bool) -> bytes:
        """The server-sent events of a page; streams that got the same page share them."""
        async with self._encoding:
            last, last_as_cloud_events, messages = self._last_messages
            if last is not page or last_as_cloud_events != as_cloud_events:
                messages = _messages(page, await self._encoded(page, as_cloud_events=as_cloud_events))
                self._last_messages = page, as_cloud_events, messages
        return messages

    async def _server_sent(
        self, after: int, filter: EventFilter, as_cloud_events: bool
    ) -> AsyncIterator[bytes]:
        pages = self._bus.follow(after, filter, with_proofs=True)
        next_page = asyncio.create_task(_next(pages))
        try:
            yield b": follows\n\n"
            while True:
                alarm = asyncio.create_task(self._clock.sleep(KEEP_ALIVE_S))
                try:
                    await asyncio.wait({next_page, alarm}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    alarm.cancel()
                if not next_page.done():
                    yield b": still here\n\n"
                    continue
                page = next_page.result()
                if page is None:
                    return
                yield await self._page_messages(page, as_cloud_events=as_cloud_events)
                # Under load a stream gets the blocks of a while at once instead of each by itself.
                await self._clock.sleep(STREAM_PAUSE_S)
                next_page = asyncio.create_task(_next(pages))
        finally:
            next_page.cancel()
            await asyncio.gather(next_page, return_exceptions=True)


async def _next(pages: AsyncIterator[EventPage]) -> EventPage | None:
    return await anext(pages, None)


def _messages(page: EventPage, documents: Sequence[bytes]) -> bytes:
    """The server-sent events of a page; the last one carries no data when the page ends without a match."""
    parts: list[bytes] = []
    for committed, document in zip(page.events, documents, strict=True):
        name = committed.event.type.encode()
        parts.append(b"id: %d\nevent: %b\ndata: %b\n\n" % (committed.position, name, document))
    if not page.events or page.events[-1].position < page.scanned_to:
        parts.append(b"id: %d\n\n" % page.scanned_to)
    return b"".join(parts)


def wants_cloud_events(request: Request) -> bool:
    """Whether the client asks for CloudEvents."""
    accept = request.headers.get("accept", "").lower()
    return CLOUD_EVENT in accept or CLOUD_EVENTS in accept
