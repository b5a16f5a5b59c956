"""Who attacks a marketplace over HTTP: connections from addresses of its own, and a count of the answers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

HOST: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 10.0


class Tokens(msgspec.Struct, frozen=True):
    """What the attacker was issued."""

    reader: str
    provider: str


class Connection:
    """One connection, as bytes: nothing is checked and nothing corrected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Write, and wait until there is room for more."""
        self._writer.write(data)
        await self._writer.drain()

    async def status(self) -> int:
        """Read one response; its status.

        Raises:
            ConnectionError: The other side has closed the connection.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((line[15:] for line in lines if line.startswith(b"content-length:")), b"0")
                await self.reader.readexactly(int(length))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise ConnectionError from error
        return int(head.split(b" ", 2)[1])


class HttpAttacker:
    """Somebody with two tokens and some addresses.

    Args:
        port: Of the marketplace that is attacked.
        tokens: What it was issued.
        seed: Of all that is drawn.
    """

    def __init__(self, port: int, tokens: Tokens, seed: int) -> None:
        self.port, self.tokens = port, tokens
        self.draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.address = f"127.0.1.{1 + seed % 250}"

    @contextlib.asynccontextmanager
    async def connection(self, *, window_bytes: int = 0, address: str = "") -> AsyncIterator[Connection]:
        """A new connection, closed at the end of the block."""
        loop = asyncio.get_running_loop()
        sock = attacking_socket(window_bytes)
        sock.bind((address or self.address, 0))
        try:
            await loop.sock_connect(sock, (HOST, self.port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=16_777_216)
        except OSError:
            sock.close()
            raise
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()

    def head(self, method: str, target: str, token: str = "", **more: Any) -> bytes:
        """The head of a request; names of headers with `_` for `-`."""
        headers = {"host": f"{HOST}:{self.port}", **more}
        if token:
            headers["authorization"] = f"Bearer {token}"
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", "")).encode()

    async def repeat(self, made: Callable[[], bytes], *, count: int = 100) -> None:
        """Send requests on one connection, one after the other, and count how they are answered."""
        async with self.connection() as connection:
            for _ in range(count):
                await connection.send(made())
                self.counts[str(await connection.status())] += 1


def attacking_socket(window_bytes: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    if window_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
    return sock


# -- anonymous ----------------------------------------------------------------------------------------------------
