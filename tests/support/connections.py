"""A connection without a network: bytes go in, responses come out, and time is moved."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgspec
from uvicorn.server import ServerState

from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.node.http.callers import Callers
from hansa.node.http.connection.protocol import HttpConnection
from hansa.node.http.forwarded import TrustedProxies
from hansa.node.http.server import http_server
from hansa.node.http.traffic import Traffic

ADDRESS = "192.0.2.1"


class Received(msgspec.Struct, frozen=True):
    """A request, as the application got it."""

    method: str
    target: str
    headers: dict[bytes, bytes]
    body: bytes
    client: str


class Client(asyncio.Transport):
    """The transport of one connection, and the client that may or may not read.

    Until it reads, what is written stays in the buffer, as with a socket whose other side is full.
    """

    def __init__(self, address: str = ADDRESS, *, does_read: bool = True) -> None:
        super().__init__()
        self.address = address
        self.does_read = does_read
        self.answered = b""
        self.unread = 0
        self.is_paused = False
        self.is_write_paused = False
        self.has_ended: bool = False
        self.is_aborted: bool = False
        self.protocol: HttpConnection

    def send(self, *parts: bytes) -> None:
        """Send bytes, each part in a read of its own."""
        for part in parts:
            self.protocol.data_received(part)

    def finish_sending(self) -> None:
        """Send no more, as `shutdown(SHUT_WR)` does: the transport ends unless the protocol keeps it."""
        if not self.protocol.eof_received():
            self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self.address, 4711), "sockname": ("192.0.2.254", 80)}.get(name, default)

    def write(self, data: Any) -> None:
        assert not self.has_ended, "nothing is written after the end"
        self.answered += bytes(data)
        if not self.does_read:
            self.unread += len(data)
            if self.unread > 65_536 and not self.is_write_paused:
                self.is_write_paused = True
                self.protocol.pause_writing()

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def read(self, size: int) -> None:
        """Take some of what was written."""
        self.unread = max(0, self.unread - size)
        if self.is_write_paused and self.unread < 16_384:
            self.is_write_paused = False
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.has_ended

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.has_ended = True

    def abort(self) -> None:
        if not self.is_aborted:
            self.has_ended = self.is_aborted = True
            self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    @property
    def statuses(self) -> list[int]:
        """Of the responses, in their order."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.answered)]


class Server:
    """A server without sockets; its application notes every request and answers with `answer`.

    A request to `/wait` is answered when `go` is set, one to `/early` before its body has arrived.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        callers: Callers | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.answer = b"done"
        self.go = asyncio.Event()
        self.cancelled = 0
        self.traffic = Traffic()
        self.now_s = 1000.0
        limits = limits or Limits()
        callers = callers or Callers(limits, lambda: self.now_s)
        self.config = http_server(self._app, limits, SystemClock(), self.traffic, callers, proxies).config
        self.config.load()
        self.connections = self.config.connections
        self.connections.now_s = self.connections._swept_at_s = self.now_s
        self._state = ServerState()

    def connect(self, address: str = ADDRESS, *, does_read: bool = True) -> Client:
        """A new connection."""
        client = Client(address, does_read=does_read)
        protocol = HttpConnection(self.config, self._state, {})
        client.protocol = protocol
        protocol.connection_made(client)
        return client

    def use_up_turn(self) -> None:
        """Have this turn of the event loop read nothing more."""
        self.config.starts.begin_reading()
        self.config.starts.reads_left = 0

    async def pass_time(self, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        """Move the time, second by second, doing something in each."""
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.connections.tick(self.now_s)
            await self.settle()
            each()

    async def settle(self) -> None:
        """Let everything run that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            if scope["path"] == "/wait":
                await self.go.wait()
            body = b""
            while scope["path"] != "/early":
                message = await receive()
                if message["type"] != "http.request":
                    return
                body += message["body"]
                if not message["more_body"]:
                    break
            query = scope["query_string"].decode()
            target = scope["path"] + (f"?{query}" if query else "")
            self.received.append(
                Received(scope["method"], target, dict(scope["headers"]), body, scope["client"][0])
            )
            length = (b"content-length", b"%d" % len(self.answer))
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": self.answer})
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
