"""A running marketplace against what should never be sent: over HTTP, and on the sockets of its ledger.

Every route with every malformed body is tried in one process (tests/unit/node/test_every_route.py); here the
same goes through a real server, and whoever sends too much or too slowly meets it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from hansa.business.models import load
from hansa.node.folder import LEDGER
from hansa.node.folder.demo_league import HOST
from hansa.pubsub.engine import ABCI_SOCKET, RPC_SOCKET
from hansa.pubsub.engine.sockets import SocketFolder
from hansa.pubsub.ledger.abci import MESSAGE_SIZE_MAX_BYTES
from hansa.pubsub.ledger.messages import Request
from hansa.pubsub.light.chain.wire import varint
from tests.league.harness import CLOCK, OFFERINGS, ROLES, RunningMember, league, wait_until
from tests.support.malformed import FOREIGN_MEDIA_TYPES, MALFORMED_BODIES, complaint
from tests.support.routes import collections, share_of, writes

pytestmark = [pytest.mark.league, pytest.mark.timed, pytest.mark.asyncio(loop_scope="module")]

MODELS = load()
COLLECTIONS = collections(MODELS)
WRITES = [*writes(MODELS), ("POST", "/league/v1/entities")]
TEN_MEGABYTES = 10_485_760
SLOW_CLIENTS = 300
QUICK_S = 2.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lubeck(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMember]:
    """A league of one, running."""
    async with league(tmp_path_factory.mktemp("malformed") / "league", 1) as made:
        yield made[0]


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nothing_crashes(lubeck: RunningMember) -> AsyncIterator[None]:
    """After every test the same processes are there, and what is offered gets onto the ledger."""
    before = [await lubeck.pid(role) for role in ROLES]
    count = await offerings(lubeck)
    yield
    assert await offerings(lubeck) == count
    position = (await lubeck.status())["position"] or 0
    await lubeck.create_offering(name="fresh")

    async def is_on_the_ledger() -> bool:
        return bool(((await lubeck.status())["position"] or 0) > position)

    await wait_until(is_on_the_ledger, "a fresh offering is on the ledger", 30, [lubeck])
    assert await lubeck.is_ready()
    assert [await lubeck.pid(role) for role in ROLES] == before


async def offerings(member: RunningMember) -> int:
    """How many there are."""
    return int((await member.get(f"{OFFERINGS}?limit=0")).headers["X-Total-Count"])


@contextlib.asynccontextmanager
async def connected(member: RunningMember, sent: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which some bytes have been sent, and more may be expected."""
    reader, writer = await asyncio.open_connection(HOST, member.port)
    try:
        writer.write(sent)
        yield reader
    finally:
        writer.close()


# -- over HTTP ----------------------------------------------------------------------------------------------------


async def test_every_route_refuses_malformed_bodies(lubeck: RunningMember) -> None:
    complaints = []
    for method, target, what, body in share_of(MALFORMED_BODIES, WRITES):
        answer = await lubeck.request(method, target, body, with_token=True)
        allowed = [400, 413] if len(body) > 50_000 else [400]
        complaints.append(complaint(method, target, what, answer.status, answer.body, allowed))
    foreign = {media_type: media_type for media_type in FOREIGN_MEDIA_TYPES if media_type}
    for method, target, what, media_type in share_of(foreign, WRITES):
        headers = {"Content-Type": media_type}
        answer = await lubeck.request(method, target, b'{"name":"x"}', with_token=True, headers=headers)
        complaints.append(complaint(method, target, what, answer.status, answer.body, [415]))
    assert [complaint for complaint in complaints if complaint] == []


async def test_every_list_refuses_parameters_that_mean_nothing(lubeck: RunningMember) -> None:
    complaints = []
    paths = (*COLLECTIONS, "/league/v1/events", "/league/v1/events/stream", "/league/v1/catalogue")
    queries = ("limit=-1", "limit=x", "limit=" + "9" * 5000, "unheard-of=1", "limit=%FF", "x" * 20_000)
    trials = {query[:12]: query for query in queries}
    for method, path, what, query in share_of(trials, [("GET", path) for path in paths]):
        answer = await lubeck.get(f"{path}?{query}", with_token=True)
        complaints.append(complaint(method, path, what, answer.status, answer.body, [400, 404, 414]))
    for query in ("type=%FF", "after=-1", "from=yesterday", "to=2026-01-01", "entity=", "issuer=,"):
        answer = await lubeck.get(f"/league/v1/events?{query}")
        complaints.append(complaint("GET", "events", query, answer.status, answer.body, [400]))
    assert [complaint for complaint in complaints if complaint] == []


@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "in chunks"])
async def test_ten_megabytes_are_refused_before_they_have_arrived(
    lubeck: RunningMember, is_announced: bool
) -> None:
    length = f"Content-Length: {TEN_MEGABYTES}" if is_announced else "Transfer-Encoding: chunked"
    head = (
        f"POST {OFFERINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lubeck.token}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n"
    ).encode()
    two_megabytes = b"" if is_announced else (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 32
    async with asyncio.timeout(QUICK_S), connected(lubeck, head + two_megabytes) as reader:
        answer = await reader.readuntil(b"}")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"too-large"' in answer


async def test_slow_clients_do_not_hold_up_the_others(lubeck: RunningMember) -> None:
    token = f"Authorization: Bearer {lubeck.token}\r\n"
    json = "Content-Type: application/json\r\nContent-Length: 1000\r\n"
    beginnings = [
        b"",
        b"GET / HT",
        f"GET {OFFERINGS} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode(),
        f'POST {OFFERINGS} HTTP/1.1\r\nHost: x\r\n{token}{json}\r\n{{"name":'.encode(),
        f'POST /league/v1/entities HTTP/1.1\r\nHost: x\r\n{json}\r\n{{"entities":'.encode(),
    ]
    async with contextlib.AsyncExitStack() as slow:
        for n in range(SLOW_CLIENTS):
            await slow.enter_async_context(connected(lubeck, beginnings[n % len(beginnings)]))
        started_s = CLOCK.monotonic()
        for path in ("/livez", "/readyz", OFFERINGS, "/league/v1/catalogue"):
            assert await lubeck.has(path)
        created = await lubeck.create_offering(name="meanwhile")
        assert CLOCK.monotonic() - started_s < QUICK_S
        answer = await lubeck.request("DELETE", f"{OFFERINGS}/{created}", with_token=True)
        assert answer.status == 204


async def test_a_client_that_does_not_read_its_answers_does_not_hold_up_the_others(
    lubeck: RunningMember,
) -> None:
    many = f"GET {OFFERINGS}?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 2000
    async with contextlib.AsyncExitStack() as deaf:
        for _ in range(20):
            await deaf.enter_async_context(connected(lubeck, many))
        started_s = CLOCK.monotonic()
        assert await lubeck.has(OFFERINGS)
        assert CLOCK.monotonic() - started_s < 5 * QUICK_S


async def test_no_http_at_all_is_refused(lubeck: RunningMember) -> None:
    noise = random.Random(2)
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00" * 1000,
        noise.randbytes(10_000),
    ):
        async with asyncio.timeout(60), connected(lubeck, sent + b"\r\n\r\n") as reader:
            answer = await reader.read(100)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer


# -- on the ledger's sockets --------------------------------------------------------------------------------------


def garbage() -> Iterator[bytes]:
    """What is no ABCI, or ABCI that means nothing."""
    noise = random.Random(3)
    yield from (
        b"\x03\xff\xff\xff",
        b"\xff" * 100,
        b"\xff\xff\xff\xff\x0f",
        varint(MESSAGE_SIZE_MAX_BYTES + 1),
        b"\x00",
        b"\x02\x08\x01",
        b"GET / HTTP/1.1\r\n\r\n" * 20,
    )
    for _ in range(100):
        raw = noise.randbytes(noise.randrange(2, 400))
        yield varint(len(raw)) + raw
    for value in (
        {"check_tx": {"tx": b"\xff" * 1000}},
        {"check_tx": {"tx": b"[" * 100_000}},
        {"query": {"path": "/events", "data": b"\xff"}},
        {"query": {"path": "/\x00" * 1000}},
        {"prepare_proposal": {"txs": [b"\xff", b"{}"], "max_tx_bytes": 1000}},
        {"process_proposal": {"txs": [b"\xff" * 1000], "height": -1}},
        {"load_snapshot_chunk": {"height": 7}},
        {"extend_vote": {"height": 7}},
    ):
        raw = Request(**value).SerializeToString()
        yield varint(len(raw)) + raw


async def test_garbage_on_the_applications_socket_touches_nothing(lubeck: RunningMember) -> None:
    before = (await lubeck.status())["app_hash"]
    with SocketFolder(lubeck.folder / LEDGER) as sockets:
        for sent in garbage():
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_unix_connection(sockets.path(ABCI_SOCKET))
                writer.write(sent)
                writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
    assert (await lubeck.status())["app_hash"] == before


async def test_garbage_on_the_engines_socket_touches_nothing(lubeck: RunningMember) -> None:
    before = (await lubeck.status())["app_hash"]
    noise = random.Random(4)
    call = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    bodies = (
        b"",
        b"{",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":0,"method":"broadcast_tx_sync"}',
        noise.randbytes(999),
    )
    with SocketFolder(lubeck.folder / LEDGER) as sockets:
        for sent in (noise.randbytes(1000), *(call % (len(body), body) for body in bodies)):
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_unix_connection(sockets.path(RPC_SOCKET))
                writer.write(sent)
                writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
    assert (await lubeck.status())["app_hash"] == before
