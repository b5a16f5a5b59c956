"""An ASGI application behind our HTTP server, and a client that sends bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.node.http.server import HttpServer, http_server, listening_socket


class Running:
    """A server and its port."""

    def __init__(self, server: HttpServer, port: int) -> None:
        self.server = server
        self.port = port

    async def exchange(self, *parts: bytes, is_finished: bool = False) -> bytes:
        """What comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if is_finished:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(app: Any, limits: Limits | None = None) -> AsyncIterator[Running]:
    """A server for the time of the block."""
    listener = listening_socket("127.0.0.1", 0)
    server = http_server(app, limits or Limits(stop_timeout_s=1.0), SystemClock())
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield Running(server, listener.getsockname()[1])
    server.stop()
    await task
