"""The outbound client against a real server on this machine that behaves badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hansa.core.errors import Code, HansaError
from hansa.core.http import HttpRequest
from hansa.node.outbound import OutboundClient

pytestmark = pytest.mark.league

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def everything(origin: str) -> bool:
    return True


class Peer:
    """A server that answers with what it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.heads: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.is_endless = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        try:
            while self.is_endless:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    made = OutboundClient(everything, allow_private_networks=True)
    yield made
    await made.close()


async def failure(client: OutboundClient, request: HttpRequest) -> Code:
    with pytest.raises(HansaError) as caught:
        await client.send(request)
    assert "secret" not in caught.value.message
    return caught.value.code


async def test_an_answer_arrives_whole_with_lower_case_header_names(
    peer: Peer, client: OutboundClient
) -> None:
    answer = await client.send(HttpRequest("GET", peer.url + "/a%3Ab?c=d%20e"))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"ok", "2")
    assert peer.heads[0].startswith(b"GET /a%3Ab?c=d%20e HTTP/1.1\r\n")


async def test_a_redirect_is_not_followed(peer: Peer, client: OutboundClient) -> None:
    peer.answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert (await client.send(HttpRequest("GET", peer.url))).status == 302
    assert len(peer.heads) == 1


async def test_an_announced_answer_that_is_too_large_is_refused(peer: Peer, client: OutboundClient) -> None:
    peer.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    assert (
        await failure(client, HttpRequest("GET", peer.url, answer_size_max_bytes=1000))
        is Code.RETRIEVAL_TOO_LARGE
    )


async def test_an_endless_answer_is_cut_off_at_the_limit(peer: Peer, client: OutboundClient) -> None:
    peer.answer, peer.is_endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True
    request = HttpRequest("GET", peer.url, answer_size_max_bytes=1_000_000)
    assert await failure(client, request) is Code.RETRIEVAL_TOO_LARGE


async def test_a_packed_answer_is_not_unpacked(peer: Peer, client: OutboundClient) -> None:
    peer.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"
    assert (await client.send(HttpRequest("GET", peer.url))).body == b"bomb"


async def test_a_slow_answer_meets_the_time_limit(peer: Peer, client: OutboundClient) -> None:
    peer.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsecret"
    wait = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(peer.answer)
        await wait.wait()
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await failure(client, HttpRequest("GET", url, timeout_s=0.2)) is Code.RETRIEVAL_TIMEOUT
    wait.set()
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"secret nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
)
async def test_nonsense_counts_as_unreachable(peer: Peer, client: OutboundClient, answer: bytes) -> None:
    peer.answer = answer
    assert await failure(client, HttpRequest("GET", peer.url)) is Code.RETRIEVAL_UNREACHABLE


async def test_nobody_there_counts_as_unreachable(client: OutboundClient) -> None:
    assert await failure(client, HttpRequest("GET", "http://127.0.0.1:1/")) is Code.RETRIEVAL_UNREACHABLE


async def test_cookies_are_not_stored(peer: Peer, client: OutboundClient) -> None:
    peer.answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    await client.send(HttpRequest("GET", peer.url))
    await client.send(HttpRequest("GET", peer.url))
    assert b"cookie" not in peer.heads[1].lower()
