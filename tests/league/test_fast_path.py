"""Answers written at once look as if they had been sent in two messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hansa.business.http.messages import Response
from hansa.business.http.shared_headers import header_block
from hansa.node.http.fast_path import COPIED_MAX_BYTES, EXTENSION
from tests.support.serving import Running, serving

pytestmark = pytest.mark.league

SHARED = header_block((b"vary", b"Authorization"), (b"cache-control", b"no-cache"))
HEADERS = ((b"content-type", b"application/json"), (b"etag", b'"1"'))
BODIES = {"small": b"{}", "large": b"x" * (2 * COPIED_MAX_BYTES), "none": b""}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`/whole/STATUS/BODY` and `/parts/STATUS/BODY` are the same answer.

    `/bad` has a line break in a header.
    """
    _, way, status_text, body_name = (scope["path"] + "//").split("/")[:4]
    await receive()
    whole = scope["extensions"][EXTENSION]
    if way == "bad":
        whole(scope, Response(200, b"", ((b"x", b"a\r\nset-cookie: b"),), SHARED), with_body=True)
        return
    status, body, with_body = int(status_text), BODIES[body_name], scope["method"] != "HEAD"
    if way == "whole" and whole(scope, Response(status, body, HEADERS, SHARED), with_body=with_body):
        return
    length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
    await send(
        {"type": "http.response.start", "status": status, "headers": [*SHARED.headers, *HEADERS, *length]}
    )
    await send({"type": "http.response.body", "body": body if with_body else b""})


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with serving(app) as running:
        yield running


async def exchange(running: Running, sent: bytes) -> bytes:
    """What comes back until the server closes, without the times."""
    return re.sub(rb"date: [^\r]*", b"date: now", await running.exchange(sent))


def request(method: str, path: str, *, is_last: bool = True) -> bytes:
    closing = "Connection: close\r\n" if is_last else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{closing}\r\n".encode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("answer", ["200/small", "200/large", "201/none", "204/none"])
async def test_a_whole_answer_is_that_of_two_messages(running: Running, method: str, answer: str) -> None:
    whole = await exchange(running, request(method, f"/whole/{answer}"))
    assert whole == await exchange(running, request(method, f"/parts/{answer}"))
    assert whole.startswith(f"HTTP/1.1 {answer[:3]} ".encode())


async def test_requests_on_one_connection_are_answered_in_their_order(running: Running) -> None:
    answers = ("200/small", "201/none", "200/large", "204/none")
    one_by_one = [request("GET", f"/whole/{each}", is_last=False) for each in answers]
    came = await exchange(running, b"".join(one_by_one) + request("GET", "/parts/202/small"))
    assert re.findall(rb"HTTP/1.1 (\d+)", came) == [b"200", b"201", b"200", b"204", b"202"]


async def test_a_header_with_a_line_break_is_not_sent(running: Running) -> None:
    came = await exchange(running, request("GET", "/bad"))
    assert came.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in came
