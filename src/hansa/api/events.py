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

from hansa.api.parameters import (
    POSITION_MAX,
    Parameters,
    Reader,
    dids,
    entity_names,
    known_types,
    position,
    whole_number,
)
from hansa.api.responses import json_response
from hansa.core.batches import EventProof
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.events import LifecycleEvent, entity_location, event_names
from hansa.core.identifiers import entity_key, is_entity_key
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads, CommittedEvent, EventFilter, EventPage
from hansa.replication.registry import MemberRegistry

KEEP_ALIVE_S: Final = 15.0
STREAM_PAUSE_S: Final = 0.1
EVENT_STREAM: Final = "text/event-stream"
STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
DOCUMENTS_AT_ONCE: Final = 16
"""So many events are encoded before others have their turn."""
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
    """Address of the version at its origin; absent when the registry does not know the issuer any more."""


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
        names = frozenset().union(*map(event_names, types))
        self._filters: Mapping[str, Reader] = {
            "after": position,
            "from": Parameters.moment,
            "type": known_types(names, "event"),
            "issuer": dids,
            "entity": entity_names,
            "entityType": known_types(types, "entity type"),
            **dict.fromkeys(("lifecycleStatus", "category", "region", "compliance"), Parameters.texts),
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
        page = await self._bus.search(after, await self._filter(parameters), limit, with_proofs=True)
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
            filter = await self._filter(parameters)
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

    async def _filter(self, parameters: Parameters) -> EventFilter:
        keys: list[str] = []
        for name in parameters.texts("entity"):
            if is_entity_key(name):
                keys.append(name)
            else:
                keys += [entity_key(member.did, name) for member in await self._registry.members()]
        return EventFilter(
            types=parameters.texts("type"),
            issuers=parameters.texts("issuer"),
            keys=tuple(keys),
            entity_types=parameters.texts("entityType"),
            lifecycle_statuses=parameters.texts("lifecycleStatus"),
            categories=parameters.texts("category"),
            regions=parameters.texts("region"),
            compliance=parameters.texts("compliance"),
            from_time=parameters.moment("from"),
            to_time=parameters.moment("to"),
        )

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


def event_document(committed: CommittedEvent, endpoint: str | None) -> EventDocument:
    """A committed event as it is handed out.

    Args:
        committed: With its proof.
        endpoint: Of its issuer; None when the registry does not know it any more.
    """
    event = committed.event
    added = {"issuer": event.issuer}
    if endpoint is not None:
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
