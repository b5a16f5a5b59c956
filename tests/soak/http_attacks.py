"""Somebody who attacks a marketplace over HTTP, in a process of its own.

`python -m tests.soak.http_attacks KIND PORT TOKENS_FILE SEED`

The token file holds JSON: a token of a reader and one of a provider. Nothing else of the marketplace is known
to the attacker. It comes from addresses of its own (127.0.1.1 and following), since honest clients have
others. What became of its requests is counted, and printed as JSON when it gets SIGTERM.

An attack is a coroutine that is run by a number of workers at a time (`ATTACKS`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import math
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from hansa.core.clock import SystemClock
from tests.soak.http_attacker import HttpAttacker, Tokens

CLOCK: Final = SystemClock()
OFFERINGS: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
HUB: Final = "/tmf-api/productCatalogManagement/v4/hub"
INDIVIDUALS: Final = "/tmf-api/party/v4/individual"
STREAM: Final = "/league/v1/events/stream"
PATTERNS: Final = ("(a|b|[0-9 ]){300,900}$", "(a*)*b$", ".*.*.*.*x$", "[a-z]{1000}")
"""Regular expressions that cost much for each text they are compared with."""
TRICKLE_PAUSE_S: Final = 1.0
HOLD_S: Final = 60.0
"""How long a connection is held that does nothing."""
REST_S: Final = 0.5
"""Pause of a worker whose connection is refused."""
WORST_NODES: Final = 104_000
CONNECTIONS: Final = 4500
PIPELINED: Final = 1000
MIXED_SHARE: Final = 8
"""Of the workers of an attack that is one of several, one in so many."""
MIXED_PERIOD_S: Final = 5.0
HELD_BACK_S: Final = 3.0
AHEAD_BYTES: Final = 500_000
NARROW_WINDOW_BYTES: Final = 4096
"""Receive buffer of a client that does not read."""


async def flood(attacker: HttpAttacker) -> None:
    """Lists and entities as fast as they come."""
    targets = [f"{OFFERINGS}?limit=100&offset={attacker.draw.randrange(3000)}" for _ in range(20)]
    targets += [f"{OFFERINGS}?name=x{attacker.draw.random()}" for _ in range(20)]
    targets += ["/", "/docs", "/readyz", "/league/v1/catalogue?limit=1000", "/openapi.json"]
    await attacker.repeat(lambda: attacker.head("GET", attacker.draw.choice(targets)))


async def regex(attacker: HttpAttacker) -> None:
    """Searches by costly patterns, of clients that do not wait for the result."""
    pattern = f"{attacker.draw.choice(PATTERNS)}|{attacker.draw.random()}"
    text = attacker.draw.choice(
        (f"description.regex={quote(pattern)}", f"filter={quote(f'$[?(@.description =~ /{pattern}/)]')}")
    )
    async with attacker.connection() as connection:
        await connection.send(attacker.head("GET", f"{OFFERINGS}?{text}"))
        if attacker.draw.random() < 0.5:
            await CLOCK.sleep(REST_S)
            attacker.counts["left"] += 1
        else:
            attacker.counts[str(await connection.status())] += 1


async def expand(attacker: HttpAttacker) -> None:
    """The greatest pages, with all references replaced."""
    offset = attacker.draw.randrange(1000)
    target = f"{OFFERINGS}?limit=1000&depth=3&offset={offset}"
    await attacker.repeat(lambda: attacker.head("GET", target), count=5)


async def hold(attacker: HttpAttacker) -> None:
    """Connections on which nothing is sent."""
    async with attacker.connection() as connection:
        attacker.counts["connected"] += 1
        async with asyncio.timeout(HOLD_S):
            rest = await connection.reader.read(1000)
        attacker.counts["closed" if not rest else f"refused {rest.split(b' ')[1].decode()}"] += 1
        await CLOCK.sleep(REST_S)


async def slow_head(attacker: HttpAttacker) -> None:
    """A head that arrives a header a second."""
    async with attacker.connection() as connection:
        await connection.send(f"GET {OFFERINGS} HTTP/1.1\r\nHost: x\r\n".encode())
        while True:
            await CLOCK.sleep(TRICKLE_PAUSE_S)
            await connection.send(b"X-%d: y\r\n" % attacker.draw.randrange(10**9))
            attacker.counts["header"] += 1


async def slow_reader(attacker: HttpAttacker) -> None:
    """A client that requests great pages and reads nothing."""
    async with attacker.connection(window_bytes=NARROW_WINDOW_BYTES) as connection:
        for offset in range(4):
            await connection.send(attacker.head("GET", f"{OFFERINGS}?limit=1000&offset={offset}"))
        attacker.counts["requested"] += 1
        await CLOCK.sleep(HOLD_S)


async def sent_ahead(attacker: HttpAttacker) -> None:
    """Requests of half a megabyte before an answer that is not read, and heads that nearly end."""
    async with attacker.connection(window_bytes=NARROW_WINDOW_BYTES) as connection:
        if attacker.draw.random() < 0.5:
            head = attacker.head("GET", f"{OFFERINGS}?limit=1000")
            await connection.send(head + attacker.head("GET", "/livez") * (AHEAD_BYTES // len(head)))
        else:
            await connection.send(b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"y" * 600) * 100)
        attacker.counts["sent"] += 1
        await CLOCK.sleep(HOLD_S)


async def streams(attacker: HttpAttacker) -> None:
    """Event streams from the first event on, half of which are not read."""
    is_reading = attacker.draw.random() < 0.5
    async with attacker.connection(window_bytes=0 if is_reading else NARROW_WINDOW_BYTES) as connection:
        await connection.send(attacker.head("GET", f"{STREAM}?after=0"))
        if not is_reading:
            await CLOCK.sleep(HOLD_S)
        status = (await connection.reader.readuntil(b"\r\n")).split(b" ")[1].decode()
        attacker.counts[status] += 1
        async with asyncio.timeout(REST_S * 4):
            while await connection.reader.read(65_536):
                pass
        await CLOCK.sleep(REST_S)


async def pipeline(attacker: HttpAttacker) -> None:
    """Requests sent at once, without waiting for responses."""
    target = attacker.draw.choice(
        ("/livez", f"{OFFERINGS}?limit=50", f"{OFFERINGS}?name={attacker.draw.random()}")
    )
    async with attacker.connection() as connection:
        await connection.send(attacker.head("GET", target) * PIPELINED)
        for _ in range(PIPELINED):
            attacker.counts[str(await connection.status())] += 1


async def crowd(attacker: HttpAttacker) -> None:
    """Connections from many addresses, on each of which a list is requested now and then."""
    async with attacker.connection(address=f"127.0.2.{attacker.draw.randrange(1, 250)}") as connection:
        for _ in range(10):
            await connection.send(attacker.head("GET", f"{OFFERINGS}?limit=100"))
            attacker.counts[str(await connection.status())] += 1
            await CLOCK.sleep(TRICKLE_PAUSE_S)


async def compressed(attacker: HttpAttacker) -> None:
    """Bodies of a few bytes that become large, and great pages to compress."""
    token = attacker.tokens.provider
    await attacker.repeat(
        lambda: attacker.head("POST", OFFERINGS, token, content_encoding="gzip", **_of(BOMB)) + BOMB, count=5
    )
    large = f"{OFFERINGS}?limit=1000"
    await attacker.repeat(lambda: attacker.head("GET", large, accept_encoding="gzip"), count=5)


async def grammar(attacker: HttpAttacker) -> None:
    """Heads and bodies that no client sends."""
    name = attacker.draw.choice([*ODD_REQUESTS])
    async with attacker.connection() as connection:
        await connection.send(ODD_REQUESTS[name])
        attacker.counts[f"{name}: {await connection.status()}"] += 1


async def endless_trailer(attacker: HttpAttacker) -> None:
    """Trailers of a chunked body, without end."""
    head = attacker.head("POST", OFFERINGS, transfer_encoding="chunked", content_type="application/json")
    async with attacker.connection() as connection:
        await connection.send(head + b"2\r\n{}\r\n0\r\n")
        while True:
            await connection.send(b"X-%d: %s\r\n" % (attacker.draw.randrange(10**9), b"y" * 8000))
            attacker.counts["kilobytes"] += 8


BOMB: Final = gzip.compress(b'{"name":"' + b" " * 100_000_000 + b'"}', 1)
HEAD: Final = b"GET %s HTTP/1.1\r\n%s\r\n"
ODD_REQUESTS: Final[Mapping[str, bytes]] = {
    "70 kB of headers": HEAD % (b"/livez", b"Host: x\r\nX: " + b"y" * 70_000 + b"\r\n"),
    "10000 headers": HEAD % (b"/livez", b"Host: x\r\n" + b"a: b\r\n" * 10_000),
    "two hosts": HEAD % (b"/livez", b"Host: x\r\nHost: y\r\n"),
    "no host": HEAD % (b"/livez", b""),
    "two tokens": HEAD % (b"/livez", b"Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    "two lengths": b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": (
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "folded header": HEAD % (b"/livez", b"Host: x\r\nX: a\r\n b\r\n"),
    "bare line feeds": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "space before colon": HEAD % (b"/livez", b"Host : x\r\n"),
    "NUL in a header": HEAD % (b"/livez", b"Host: x\r\nX: a\x00b\r\n"),
    "huge chunk": b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "long target": HEAD % (b"/" + b"a" * 100_000, b"Host: x\r\n"),
    "no path": b"GET http://other.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "upgrade": HEAD
    % (b"/livez", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "expectation": b"POST /livez HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "bad token": HEAD % (OFFERINGS.encode(), b"Host: x\r\nAuthorization: Bearer " + b"A" * 9000 + b"\r\n"),
}


# -- with a token -------------------------------------------------------------------------------------------------


async def slow_body(attacker: HttpAttacker) -> None:
    """Uploads that do not end."""
    token = attacker.draw.choice((attacker.tokens.reader, attacker.tokens.provider))
    more = {"content_length": 100_000, "content_type": "application/json"}
    async with attacker.connection() as connection:
        await connection.send(attacker.head("POST", OFFERINGS, token, **more) + b'{"name":"')
        attacker.counts["begun"] += 1
        while not connection.reader.at_eof():
            await CLOCK.sleep(TRICKLE_PAUSE_S)
            await connection.send(b"x")


async def reader_writes(attacker: HttpAttacker) -> None:
    """Writes that a reader may not make, and registrations with odd addresses."""
    targets = (OFFERINGS, INDIVIDUALS, HUB)
    await attacker.repeat(
        lambda: (
            attacker.head(
                "POST",
                attacker.draw.choice(targets),
                attacker.tokens.reader,
                **_of(body := _odd_body(attacker)),
            )
            + body
        )
    )


async def listeners(attacker: HttpAttacker) -> None:
    """Registrations of listeners that hang, redirect, refuse and answer without end."""
    kind = attacker.draw.choice([*LISTENERS])
    server = await asyncio.start_server(LISTENERS[kind], attacker.address, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        token = attacker.draw.choice((attacker.tokens.reader, attacker.tokens.provider))
        for number in range(50):
            body = msgspec.json.encode({"callback": f"http://{attacker.address}:{port}/{number}"})
            async with attacker.connection() as connection:
                await connection.send(attacker.head("POST", HUB, token, **_of(body)) + body)
                attacker.counts[f"{kind}: {await connection.status()}"] += 1
        await CLOCK.sleep(HOLD_S)


async def big_bodies(attacker: HttpAttacker) -> None:
    """Bodies with as many pieces as fit, of somebody who may create."""
    kind = attacker.draw.choice(("pieces", "depth", "names", "digits", "text"))
    pieces = b",".join([b'{"name":"a"}'] * (WORST_NODES // 2))
    value = {
        "pieces": b'{"name":"x","productOfferingTerm":[' + pieces + b"]}",
        "depth": b'{"name":"x","a":' + b"[" * 60 + b"]" * 60 + b"}",
        "names": b'{"name":"x",' + b",".join(b'"n%d":1' % n for n in range(80_000)) + b"}",
        "digits": b'{"name":"x","isBundle":' + b"9" * 900_000 + b"}",
        "text": b'{"name":"' + b"x" * 900_000 + b'"}',
    }[kind]
    async with attacker.connection() as connection:
        for _ in range(5):
            await connection.send(
                attacker.head("POST", OFFERINGS, attacker.tokens.provider, **_of(value)) + value
            )
            attacker.counts[f"{kind}: {await connection.status()}"] += 1


async def held_back(attacker: HttpAttacker) -> None:
    """Many bodies that cost much to read, plain and compressed, whose last bytes arrive at one moment."""
    plain = b"[" + b",".join([b"{}"] * 340_000) + b"]"
    is_compressed = attacker.draw.random() < 0.5
    body = gzip.compress(plain, 1) if is_compressed else plain
    coding = {"content_encoding": "gzip"} if is_compressed else {}
    async with attacker.connection() as connection:
        head = attacker.head("POST", HUB, attacker.tokens.reader, **coding, **_of(body))
        await connection.send(head + body[:-1])
        await CLOCK.sleep(HELD_BACK_S - CLOCK.monotonic() % HELD_BACK_S)
        await connection.send(body[-1:])
        attacker.counts[str(await connection.status())] += 1


async def many_members(attacker: HttpAttacker) -> None:
    """A compressed body of very many parts, each of which is empty."""
    body = gzip.compress(b"") * 50_000
    head = attacker.head("POST", OFFERINGS, attacker.tokens.provider, content_encoding="gzip", **_of(body))
    await attacker.repeat(lambda: head + body, count=5)


async def odd_queries(attacker: HttpAttacker) -> None:
    """Queries of many parts that are wrong, or that cost much to compile."""
    part = attacker.draw.choice(ODD_PARTS)
    query = "&".join(part.format(n=n) for n in range(8000 // (len(part) + 4)))
    await attacker.repeat(lambda: attacker.head("GET", f"{OFFERINGS}?{query}"), count=5)


async def duplicates(attacker: HttpAttacker) -> None:
    """The same create again and again, and changes of one entity by many."""
    token = attacker.tokens.provider
    body = msgspec.json.encode({"id": f"urn:attack:{attacker.draw.randrange(5)}", "name": "x"})
    await attacker.repeat(lambda: attacker.head("POST", OFFERINGS, token, **_of(body)) + body)


ODD_PARTS: Final = (
    "name.regex=(a|b){{{n}}}", "name>{n}", "filter=%24%5B%3F(%40.a{n}%3D%3D1)%5D", "expand=nothing{n}",
    "sort=-nothing{n}", "nmae{n}=1", "name={n};x=1", "lastUpdate.gt={n}",
)  # fmt: skip


def _odd_body(attacker: HttpAttacker) -> bytes:
    callback = attacker.draw.choice(("http://xn--/", "http://[::1", "http://a..b/", "file:///x", "http://é/"))
    return msgspec.json.encode({"name": "x", "callback": callback, "familyName": "x", "givenName": "y"})


def _of(body: bytes) -> dict[str, Any]:
    return {"content_type": "application/json", "content_length": len(body)}


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(HOLD_S):
            while await reader.read(65_536):
                pass
    writer.close()


def _answering(answer: bytes, *, is_endless: bool = False) -> Listener:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while is_endless:
                writer.write(b"x" * 65_536)
                await writer.drain()
        writer.close()

    return handle


Listener = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LISTENERS: Final[Mapping[str, Listener]] = {
    "hangs": _hang,
    "is gone": _answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"),
    "redirects": _answering(
        b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1/livez\r\nContent-Length: 0\r\n\r\n"
    ),
    "fails": _answering(b"HTTP/1.1 503 X\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n"),
    "is endless": _answering(b"HTTP/1.1 200 OK\r\n\r\n", is_endless=True),
    "speaks no HTTP": _answering(b"\xff" * 100_000),
}

# -- all of them --------------------------------------------------------------------------------------------------


async def mixed(attacker: HttpAttacker) -> None:
    """One attack after the other, each for a while and by a share of its workers."""
    await _several(attacker, [attacker.draw.choice(SINGLE)], MIXED_PERIOD_S)


async def together(attacker: HttpAttacker) -> None:
    """All attacks at once, each by a share of its workers."""
    await _several(attacker, SINGLE, math.inf)


async def _several(attacker: HttpAttacker, names: Sequence[str], seconds: float) -> None:
    tasks: list[asyncio.Task[None]] = []
    for name in names:
        attack, workers = ATTACKS[name]
        attacker.counts[f"{name} begun"] += 1
        tasks += [asyncio.create_task(work(attacker, attack)) for _ in range(-(-workers // MIXED_SHARE))]
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await asyncio.gather(*tasks)
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Attack = Callable[[HttpAttacker], Awaitable[None]]
ATTACKS: Final[Mapping[str, tuple[Attack, int]]] = {
    "flood": (flood, 64),
    "regex": (regex, 70),
    "expand": (expand, 8),
    "hold": (hold, CONNECTIONS),
    "slow_head": (slow_head, 600),
    "slow_reader": (slow_reader, 400),
    "sent_ahead": (sent_ahead, 1000),
    "streams": (streams, 300),
    "pipeline": (pipeline, 8),
    "crowd": (crowd, 1000),
    "compressed": (compressed, 8),
    "grammar": (grammar, 16),
    "endless_trailer": (endless_trailer, 8),
    "slow_body": (slow_body, 600),
    "reader_writes": (reader_writes, 32),
    "listeners": (listeners, 6),
    "big_bodies": (big_bodies, 8),
    "held_back": (held_back, 32),
    "many_members": (many_members, 8),
    "odd_queries": (odd_queries, 16),
    "duplicates": (duplicates, 16),
    "mixed": (mixed, 1),
    "together": (together, 1),
}
"""By name, with the number of its workers."""
SINGLE: Final = tuple(name for name in ATTACKS if name not in {"mixed", "together"})


async def work(attacker: HttpAttacker, attack: Attack) -> None:
    """Attack again and again, until cancelled."""
    while True:
        try:
            await attack(attacker)
        except (OSError, TimeoutError) as error:
            attacker.counts[type(error).__name__] += 1
            await CLOCK.sleep(REST_S)


async def main(kind: str, attacker: HttpAttacker) -> None:
    """Attack until SIGTERM."""
    attack, workers = ATTACKS[kind]
    tasks = asyncio.gather(*(work(attacker, attack) for _ in range(workers)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tasks.cancel)
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks
    sys.stdout.buffer.write(msgspec.json.encode(dict(sorted(attacker.counts.items()))) + b"\n")


if __name__ == "__main__":
    os.nice(15)  # elsewhere it would have a machine of its own
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    issued = msgspec.json.decode(Path(sys.argv[3]).read_bytes(), type=Tokens)
    asyncio.run(main(sys.argv[1], HttpAttacker(int(sys.argv[2]), issued, int(sys.argv[4]))))
