"""Responses that are made in one turn of the event loop are written together, once each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hansa.business.http.messages import Response
from hansa.node.http.fast_path import EXTENSION
from tests.support.connections import Client, Server

POST = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


class Committing(Server):
    """A server that answers all writes that wait when it `commits`, as a store does after a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.config.loaded_app = self._answer
        self.committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def commit(self) -> None:
        """Have what waits answered; return when the answers are made, and before they are written."""
        self.committed.set_result(None)
        self.committed = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)

    async def _answer(self, scope: Any, receive: Any, _: Any) -> None:
        await receive()
        await self.committed
        write = scope["extensions"][EXTENSION]
        body = scope["path"].encode()
        assert write(scope, Response(201, body, ((b"x", b"y"),)), with_body=True)


@pytest.fixture
async def server() -> Committing:
    return Committing()


async def posted(server: Committing, count: int, request: bytes = POST) -> list[Client]:
    clients = [server.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send(request % number)
    await server.settle()
    return clients


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_responses_of_one_turn_are_written_after_all_of_them_are_made(
    server: Committing, request_: bytes
) -> None:
    clients = await posted(server, 5, request_)
    await server.commit()
    assert [client.answered for client in clients] == [b""] * 5
    await server.settle()
    assert [client.statuses for client in clients] == [[201]] * 5
    assert [client.answered[-2:] for client in clients] == [b"/%d" % n for n in range(5)]
    (client, *_) = clients
    client.send(request_ % 7)
    await server.settle()
    await server.commit()
    await server.settle()
    assert client.statuses == [201, 201]


async def test_what_is_sent_ahead_of_it_is_answered_behind_it(server: Committing) -> None:
    (client,) = await posted(server, 1)
    await server.commit()
    client.send(POST % 1, b"bad\r\n\r\n")
    await server.settle()
    await server.commit()
    await server.settle()
    assert (client.statuses, client.has_ended) == ([201, 201, 400], True)


async def test_a_client_that_has_left_is_written_nothing(server: Committing) -> None:
    left, closing, other = await posted(server, 3)
    await server.commit()
    left.abort()
    closing.close()
    await server.settle()
    assert (left.answered, closing.answered, other.statuses) == (b"", b"", [201])


async def test_a_server_that_stops_writes_what_is_made(server: Committing) -> None:
    (client,) = await posted(server, 1)
    await server.commit()
    client.protocol.shutdown()
    assert not client.has_ended
    await server.settle()
    assert (client.statuses, client.has_ended) == ([201], True)


async def test_an_early_response_and_a_body_that_is_wrong_are_one_answer(server: Committing) -> None:
    client = server.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
    await server.settle()
    await server.commit()
    client.send(b"no chunk\r\n")
    await server.settle()
    assert (client.statuses, client.has_ended) == ([400], True)
