"""The HTTP server against clients that send too much, or too slowly, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hansa.core.limits import Limits
from hansa.node.http.connection.protocol import HEAD_SIZE_MAX_BYTES
from tests.support.conditions import until
from tests.support.serving import Running, serving

pytestmark = pytest.mark.league


async def app(scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    limits = Limits(stop_timeout_s=1.0, head_timeout_s=0.3, upload_grace_s=0.3)
    async with serving(app, limits) as running:
        yield running


CLOSING = b"Connection: close\r\n\r\n"


async def test_a_plain_request_is_answered_without_naming_the_software(running: Running) -> None:
    answer = await running.exchange(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + CLOSING + b"hello"
    )
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body) == (b"http/1.1 200 ok", b"5")
    assert b"nosniff" in head
    assert b"date:" in head
    assert b"uvicorn" not in head


async def test_a_head_without_end_is_refused(running: Running) -> None:
    line = b"X-Filler: " + b"y" * 1000 + b"\r\n"
    count = HEAD_SIZE_MAX_BYTES // len(line) + 10
    answer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n", *[line] * count)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    answer = await running.exchange(b"GET / HTTP/1.1\r\nX: ", *[b"y" * 1000] * 100)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
    ],
)
async def test_a_request_that_does_not_arrive_is_aborted(running: Running, sent: bytes) -> None:
    async with asyncio.timeout(12):  # sooner than by the limits that nobody has set
        assert await running.exchange(sent) == b""


async def test_a_body_may_be_larger_than_a_head(running: Running) -> None:
    size = 4 * HEAD_SIZE_MAX_BYTES
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % size + CLOSING
    assert (await running.exchange(head, b"x" * size)).endswith(str(size).encode())


async def test_a_client_that_sends_no_more_is_answered_and_then_closed(running: Running) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    answer = await running.exchange(request * 3, is_finished=True)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_requests_one_after_the_other_share_a_connection(running: Running) -> None:
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await running.exchange(one + one, one, b"GET / HTTP/1.1\r\nHost: x\r\n" + CLOSING)
    assert answer.count(b"200 OK") == 4


async def test_nonsense_is_refused(running: Running) -> None:
    assert (await running.exchange(b"\x16\x03\x01 what\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_a_refusal_is_read_by_a_client_that_still_sends(running: Running) -> None:
    answer = await running.exchange(b"POST / HTTP/1.1\r\nHost : x\r\n\r\n", *[b"x" * 65_536] * 16)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"malformed"' in answer


async def test_a_client_that_reads_nothing_is_dropped_and_holds_little() -> None:
    large = b"x" * 16_000_000

    async def answer_large(_: Any, receive: Any, send: Any) -> None:
        await receive()
        length = (b"content-length", b"%d" % len(large))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": large})

    limits = Limits(stop_timeout_s=1.0, head_timeout_s=0.3, send_grace_s=0.3, unsent_max_bytes=40_000_000)
    async with serving(answer_large, limits) as running:
        connections = running.server.config.connections
        deaf = [await asyncio.open_connection("127.0.0.1", running.port, limit=1) for _ in range(20)]
        for _, writer in deaf:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        most = 0

        def are_dropped() -> bool:
            nonlocal most
            most = max(most, connections.unsent_bytes)
            return bool(most) and not connections.count

        await until(are_dropped)
        assert 0 < most <= 40_000_000
        assert connections.unsent_bytes == 0
        for _, writer in deaf:
            writer.close()


async def test_one_more_connection_is_always_served() -> None:
    limits = Limits(stop_timeout_s=1.0, connections_max=30, connections_per_address_max=20)
    async with serving(app, limits) as running:
        held = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(100)]
        answer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n" + CLOSING)
        assert answer.startswith(b"HTTP/1.1 200")
        assert running.server.config.connections.count <= 20
        for _, writer in held:
            writer.close()
