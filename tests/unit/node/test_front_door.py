from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hansa.business.http.compression import Compressor
from hansa.business.http.messages import Response as BusinessResponse
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.node.http.application import rest_application
from hansa.node.http.front_door import QUERY_PARAMETERS_MAX, FrontDoor
from hansa.node.http.traffic import Traffic

Message = MutableMapping[str, Any]


class EchoBusiness:
    """Answers its own paths with 200, and fails where it is asked to."""

    def handles(self, path: str) -> bool:
        return path.startswith("/tmf-api/")

    async def answer(self, scope: Any, receive: Any) -> BusinessResponse:
        if scope["path"].endswith("/broken"):
            raise ValueError("inner detail")
        return BusinessResponse(200, b"business")

    def answer_at_once(
        self, path: str, query_string: bytes, headers: Mapping[bytes, bytes]
    ) -> BusinessResponse | None:
        del headers
        if path.endswith("/broken"):
            raise ValueError("inner detail")
        size = int(query_string or b"8")
        return BusinessResponse(200, b"x" * size) if path.startswith("/tmf-api/") else None


async def endless(_: Request) -> Response:
    async def lines() -> Any:
        yield b"first\n"
        await asyncio.Event().wait()

    return StreamingResponse(lines())


async def refusing(_: Request) -> Response:
    raise Refused(Code.FORBIDDEN, "Not you.")


async def broken(_: Request) -> Response:
    raise ValueError("inner detail")


class Door:
    """A front door with stand-ins behind it."""

    def __init__(self) -> None:
        self.is_disk_full = False
        self.traffic = Traffic()
        self.has_answered = asyncio.Event()
        routes = [
            Route("/page", refusing),
            Route("/folder/", refusing),
            Route("/league/v1/events/stream", endless),
            Route("/league/v1/refusing", refusing),
            Route("/broken", broken),
        ]
        self.app = FrontDoor(
            EchoBusiness(),
            rest_application(routes),
            self.traffic,
            lambda: self.is_disk_full,
            ManualClock(),
            os.urandom,
            compressor=Compressor(1_000_000),
        )

    async def ask(
        self,
        path: str,
        method: str = "GET",
        sent: list[Message] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        query: bytes = b"",
    ) -> tuple[int, Any]:
        """Status and body of an answer; JSON is decoded."""
        messages: list[Message] = [] if sent is None else sent
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if not requests:
                await asyncio.Event().wait()
            return requests.pop()

        async def send(message: Message) -> None:
            messages.append(message)
            if message.get("body"):
                self.has_answered.set()

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": list(headers),
            "root_path": "",
            "http_version": "1.1",
            "scheme": "http",
            "server": ("x", 80),
        }
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in messages)
        is_json = b"json" in dict(messages[0]["headers"]).get(b"content-type", b"")
        return messages[0]["status"], msgspec.json.decode(body) if is_json else body


@pytest.fixture
def door() -> Door:
    structlog.configure(logger_factory=structlog.testing.CapturingLoggerFactory())
    return Door()


async def test_a_path_of_an_api_goes_to_the_business_layer(door: Door) -> None:
    assert await door.ask("/tmf-api/party/v4/individual") == (200, b"business")


async def test_what_nobody_handles_is_not_found_in_the_form_of_errors(door: Door) -> None:
    status, body = await door.ask("/nowhere")
    assert (status, body["code"], body["status"]) == (404, "not-found", "404")
    status, body = await door.ask("/broken", "PUT")
    assert (status, body["code"]) == (405, "method-not-allowed")


@pytest.mark.parametrize(
    ("path", "location"),
    [("/page/", b"/page"), ("/folder", b"/folder/"), ("//x.example/", None), ("/x/", None)],
)
async def test_a_redirect_leads_to_this_server_whatever_the_host_header_says(
    door: Door, path: str, location: bytes | None
) -> None:
    sent: list[Message] = []
    status, _ = await door.ask(path, headers=[(b"host", b"evil.example")], sent=sent)
    assert status == (307 if location else 404)
    assert dict(sent[0]["headers"]).get(b"location") == location


async def test_options_are_the_methods_of_a_path_or_of_the_server(door: Door) -> None:
    for path, allowed in (
        ("/broken", b"GET, HEAD, OPTIONS"),
        ("*", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ):
        sent: list[Message] = []
        assert await door.ask(path, "OPTIONS", sent=sent) == (204, b"")
        assert dict(sent[0]["headers"])[b"allow"] == allowed
    sent = []
    status, body = await door.ask("/broken", "BREW", sent=sent)
    assert (status, body["code"]) == (405, "method-not-allowed")
    assert dict(sent[0]["headers"])[b"allow"] == b"GET, HEAD, OPTIONS"


async def test_an_error_of_ours_keeps_its_code(door: Door) -> None:
    status, body = await door.ask("/league/v1/refusing")
    assert (status, body["code"], body["message"]) == (403, "forbidden", "Not you.")


async def test_a_query_of_very_many_parameters_is_refused_unread(door: Door) -> None:
    status, body = await door.ask("/league/v1/refusing", query=b"a&" * QUERY_PARAMETERS_MAX)
    assert (status, body["code"]) == (414, "uri-too-long")
    assert (await door.ask("/league/v1/refusing", query=b"a&" * (QUERY_PARAMETERS_MAX - 1)))[0] == 403


@pytest.mark.parametrize("path", ["/broken", "/tmf-api/x/broken"])
async def test_a_crash_is_an_internal_error_that_tells_nothing(door: Door, path: str) -> None:
    status, body = await door.ask(path)
    assert (status, body["code"]) == (500, "internal")
    assert "detail" not in str(body)


async def test_writes_wait_while_the_disk_is_full_and_reads_go_on(door: Door) -> None:
    door.is_disk_full = True
    status, body = await door.ask("/tmf-api/party/v4/individual", "POST")
    assert (status, body["code"]) == (503, "disk-full")
    assert (await door.ask("/tmf-api/party/v4/individual"))[0] == 200


async def test_requests_are_counted_by_surface_and_status(door: Door) -> None:
    await door.ask("/tmf-api/party/v4/individual")
    await door.ask("/league/v1/refusing")
    await door.ask("/nowhere")
    counts = {labels: counted.count for labels, counted in door.traffic.totals().items()}
    assert counts == {("business", "2xx"): 1, ("league", "4xx"): 1, ("other", "4xx"): 1}
    assert door.traffic.in_flight == 0


async def test_a_stream_ends_properly_when_the_marketplace_stops(door: Door) -> None:
    sent: list[Message] = []
    asking = asyncio.create_task(door.ask("/league/v1/events/stream", sent=sent))
    await door.has_answered.wait()
    door.app.stop_streams()
    assert await asking == (200, b"first\n")
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_stream_that_is_given_up_by_others_is_cancelled(door: Door) -> None:
    sent: list[Message] = []
    asking = asyncio.create_task(door.ask("/league/v1/events/stream", sent=sent))
    await door.has_answered.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
