"""uvicorn as a marketplace runs it: bounded in what it reads, and stopped by its owner.

uvicorn's parser bounds neither the size of a request's head nor the time it takes to arrive; a client that
trickles headers for ever would hold its connection and the memory for them. Here a head has a size limit, and
a request must have arrived completely in `REQUEST_ARRIVAL_TIMEOUT_S`. One timer per connection enforces that:
it compares times when it expires, instead of being set and cleared for every request.

A response that is complete when it begins is written at once (`hansa.node.http.fast_path`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hansa.business.http.shared_headers import HeaderBlock
from hansa.core.errors import Code, Fatal
from hansa.node.http.fast_path import EXTENSION, DefaultHeaders, Headers, write_response

HEAD_SIZE_MAX_BYTES: Final = 65_536
REQUEST_ARRIVAL_TIMEOUT_S: Final = 30.0
CONNECTIONS_MAX: Final = 4096
KEEP_ALIVE_S: Final = 75
"""Longer than a reverse proxy's, so that the proxy ends idle connections and never meets a closing one."""
BACKLOG: Final = 2048
SWITCH_INTERVAL_S: Final = 0.0002
COLLECTION_THRESHOLDS: Final = (20_000, 20, 50)
"""Of Python's three generations: requests leave few cycles, so that collections can be rare."""

HEADERS: Final = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")]


class BoundedHttpProtocol(HttpToolsProtocol):
    """A connection that bounds what it takes in."""

    _is_in_head = True
    _is_open = True
    """Whether a request has begun, or is expected, and has not arrived completely."""
    _open_since = 0.0
    _head_size = 0
    _timer: asyncio.TimerHandle | None = None
    config: ServerConfig

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        super().connection_made(transport)
        self._open_since = self.loop.time()
        self._set_timer(REQUEST_ARRIVAL_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        super().data_received(data)
        if self._is_open and self._is_in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_SIZE_MAX_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head = self._is_open = True
        self._open_since = self.loop.time()
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._is_in_head = False
        self.scope["extensions"] = {EXTENSION: self._write_response}  # type: ignore[dict-item] # a server may add its own
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is complete too."""
        self._is_open = False
        super().on_message_complete()

    def _write_response(
        self, scope: Any, status: int, headers: Headers, shared: HeaderBlock, body: bytes, *, with_body: bool
    ) -> bool:
        cycle = self.cycle
        if cycle.scope is not scope:  # the client has sent the next request already
            return False
        return write_response(
            cycle, self.config.default_headers, status, headers, shared, body, with_body=with_body
        )

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.transport.close()

    def _set_timer(self, delay_s: float) -> None:
        self._timer = self.loop.call_later(delay_s, self._check_arrival)

    def _check_arrival(self) -> None:
        if self.transport.is_closing():
            return
        left_s = REQUEST_ARRIVAL_TIMEOUT_S
        if self._is_open:
            left_s -= self.loop.time() - self._open_since
        if left_s <= 0:
            self.transport.close()
        else:
            self._set_timer(left_s)


def tune_interpreter() -> None:
    """Set the interpreter up for a busy event loop, once everything has been made.

    All objects that exist are exempted from the collection of cyclic garbage: the models of all APIs are some
    hundred thousand objects, and walking them took half of the time of small requests. A thread that has a
    commit to begin gets the interpreter from a busy loop sooner than after Python's five milliseconds.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)


class ServerConfig(uvicorn.Config):
    """The settings of uvicorn, and what all its connections share."""

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **settings)
        self.default_headers = DefaultHeaders()


class HttpServer(uvicorn.Server):
    """A server that leaves signals to its owner."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield

    def stop(self) -> None:
        """Stop: no new connections, requests under way are finished; at once when called again."""
        self.force_exit = self.should_exit
        self.should_exit = True


def http_server(app: Any, stop_timeout_s: float) -> HttpServer:
    """A server for an ASGI application; run it with `serve(sockets=[listening_socket(…)])`."""
    config = ServerConfig(
        app,
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=HEADERS,
        backlog=BACKLOG,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(stop_timeout_s)),
    )
    return HttpServer(config)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        Fatal: `Code.PORT_IN_USE`.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Fatal(
            Code.PORT_IN_USE, f"Port {port} (HTTP) cannot be listened on at {host}: {error.strerror}."
        ) from error
    return listener
