"""Clients that send no more and read: their requests are answered, and those who have left are given up."""

from __future__ import annotations

import pytest

from hansa.node.http.connection import base_connection
from tests.support.conditions import until
from tests.support.connections import Server

READ = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
WRITE = b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
A, B = (b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"/a", b"/b"))


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["a read", "a write"])
async def test_a_client_that_sends_no_more_is_answered(request_: bytes) -> None:
    server = Server()
    client = server.connect()
    client.send(request_)
    await server.settle()
    client.finish_sending()
    assert not client.has_ended
    server.go.set()
    await server.settle()
    assert (client.statuses, client.has_ended, client.is_aborted) == ([200], True, False)


async def test_all_that_was_sent_ahead_is_answered_before_the_connection_ends() -> None:
    server = Server()
    client = server.connect()
    client.send(READ, A + B)
    client.finish_sending()
    server.go.set()
    for _ in range(4):
        await server.settle()
    assert [one.target for one in server.received] == ["/wait", "/a", "/b"]
    assert (client.statuses, client.has_ended) == ([200] * 3, True)


async def test_what_waits_for_a_turn_is_answered_too() -> None:
    server = Server()
    client = server.connect()
    server.use_up_turn()
    client.send(A)
    client.finish_sending()
    await server.settle()
    assert (client.statuses, client.has_ended) == ([200], True)


async def test_what_waits_for_a_response_to_be_taken_is_answered_too() -> None:
    server = Server()
    server.answer = b"x" * 200_000
    client = server.connect(does_read=False)
    client.send(A, B)
    await server.settle()
    client.finish_sending()
    assert client.statuses == [200]
    for _ in range(2):
        client.read(200_000)
        await server.settle()
    assert (client.statuses, client.has_ended) == ([200, 200], True)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", WRITE[:-1]], ids=["nothing", "a head", "a body"])
async def test_a_client_that_ends_in_the_middle_is_gone(sent: bytes) -> None:
    server = Server()
    client = server.connect()
    if sent:
        client.send(sent)
    client.finish_sending()
    await server.settle()
    assert (client.statuses, client.has_ended) == ([], True)


@pytest.mark.timed
async def test_a_read_of_a_client_that_has_left_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_connection, "HALF_CLOSED_S", 0.01)
    server = Server()
    reader, writer = server.connect(), server.connect()
    reader.send(READ)
    writer.send(WRITE)
    await server.settle()
    reader.finish_sending()
    writer.finish_sending()
    await until(lambda: reader.is_aborted)
    await server.settle()
    assert (server.cancelled, writer.has_ended) == (1, False)
    server.go.set()
    await server.settle()
    assert (writer.statuses, writer.has_ended) == ([200], True)
