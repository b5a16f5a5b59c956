"""A small HTTP client on one keep-alive connection: fast enough to poll every few milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from benchmarks.load import END_OF_HEADERS, content_length

RESPONSE_TIMEOUT_S: Final = 30.0


class Response(msgspec.Struct, frozen=True):
    """A response."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Client:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, port: int) -> AsyncIterator[Client]:
        """A connection for the time of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, request: bytes) -> Response:
        """Send a ready-made request (`benchmarks.load.get`, `post`) and wait for the whole response."""
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            self._writer.write(request)
            head = await self._reader.readuntil(END_OF_HEADERS)
            body = await self._reader.readexactly(content_length(head, len(head) - 4))
        status, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Response(int(status.split(" ", 2)[1]), headers, body)
