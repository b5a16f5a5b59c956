"""uvicorn as a marketplace runs it: bounded in what it takes in and holds, and stopped by its owner.

uvicorn accepts connections, and runs the application for each request. Its own protocol bounds neither the
size of a head nor the time that a client takes, reads what the standard leaves open, and holds whatever a
client does not read; in its place stands `hansa.node.http.connection.protocol`. How much each caller may have
is decided in `hansa.node.http.callers`, and how many connections there are in
`hansa.node.http.connection.registry`.

A response that is complete when it begins is written at once (`hansa.node.http.fast_path`).
"""

from __future__ import annotations

import contextlib
import gc
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from starlette.concurrency import run_in_threadpool

from hansa.core.clock import Clock
from hansa.core.limits import Limits
from hansa.node.http.callers import Callers
from hansa.node.http.connection.protocol import HttpConnection
from hansa.node.http.connection.receive_buffer import ReceiveBuffer
from hansa.node.http.connection.registry import Connections
from hansa.node.http.connection.starts import RequestStarts
from hansa.node.http.fast_path import AnswerAtOnce, DefaultHeaders, Outbox
from hansa.node.http.forwarded import TrustedProxies
from hansa.node.http.traffic import Traffic
from hansa.pubsub.engine import not_listening

BACKLOG: Final = 2048
RECEIVE_BUFFER_BYTES: Final = 131_072
"""What the system holds of what a client has sent and nobody has read. By itself it holds megabytes for each
of thousands of clients, and takes as long to free it as they take to leave."""
SWITCH_INTERVAL_S: Final = 0.0002
COLLECTION_THRESHOLDS: Final = (20_000, 20, 50)
"""Of Python's three generations: requests leave few cycles, so that collections can be rare."""

FORGET_INTERVAL_S: Final = 60.0
"""How often accounts are removed that nobody uses."""
FILES_BESIDE_CONNECTIONS: Final = 512
"""Open files that a marketplace needs beside its clients' connections."""

HEADERS: Final = [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin")]


def tune_interpreter() -> None:
    """Set the interpreter up for a busy event loop, once everything has been made.

    All objects that exist are exempted from the collection of cyclic garbage: the models of all APIs are some
    hundred thousand objects, and walking them took half of the time of small requests. Collection begins
    here: until now `hansa.node.serve` had it wait. A thread that has a commit to begin gets the interpreter
    from a busy loop sooner than after Python's five milliseconds.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    gc.enable()


class ServerConfig(uvicorn.Config):
    """The settings of uvicorn, and what all its connections share."""

    def __init__(
        self,
        app: Any,
        connections: Connections,
        callers: Callers,
        proxies: TrustedProxies,
        clock: Clock,
        answer_at_once: AnswerAtOnce | None,
        **settings: Any,
    ) -> None:
        super().__init__(app, **settings)
        self.default_headers = DefaultHeaders()
        self.connections = connections
        self.callers = callers
        self.proxies = proxies
        self.clock = clock
        self.answer_at_once = answer_at_once
        self.starts = RequestStarts(clock.monotonic)
        self.received = ReceiveBuffer()
        self.outbox = Outbox()


class HttpServer(uvicorn.Server):
    """A server that leaves signals to its owner."""

    config: ServerConfig
    _forgot_at_s = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, once nothing is left that the first stream would have to import for 70 ms."""
        await run_in_threadpool(tuple)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Move the time of the connections; ten times a second."""
        now_s = self.config.clock.monotonic()
        self.config.connections.tick(now_s)
        if now_s - self._forgot_at_s > FORGET_INTERVAL_S:
            self._forgot_at_s = now_s
            self.config.callers.forget_idle()
        return await super().on_tick(counter)

    def stop(self) -> None:
        """Stop: no new connections, requests under way are finished; at once when called again."""
        self.force_exit = self.should_exit
        self.should_exit = True


def http_server(
    app: Any,
    limits: Limits,
    clock: Clock,
    traffic: Traffic | None = None,
    callers: Callers | None = None,
    proxies: TrustedProxies | None = None,
    answer_at_once: AnswerAtOnce | None = None,
) -> HttpServer:
    """A server for an ASGI application; run it with `serve(sockets=[listening_socket(…)])`.

    Args:
        app: The application.
        limits: Of connections and of what they hold.
        clock: For how long they take.
        traffic: Counts what is refused.
        callers: Who calls, and how much each may have; None: callers are addresses.
        proxies: Whose word on a client's address is taken; None: nobody's.
        answer_at_once: Answers some requests before the application is asked; None: none.
    """
    config = ServerConfig(
        app,
        Connections(limits, traffic or Traffic(), clock.monotonic()),
        callers or Callers(limits, clock.monotonic),
        proxies or TrustedProxies(),
        clock,
        answer_at_once,
        http=HttpConnection,
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=HEADERS,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(limits.stop_timeout_s)),
    )
    return HttpServer(config)


def allow_open_files(connections_max: int) -> int:
    """Have the kernel allow as many open files as the connections need, if it can.

    Returns:
        How many connections there can be, `connections_max` at most.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections_max + FILES_BESIDE_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections_max
    return max(1, min(connections_max, soft - FILES_BESIDE_CONNECTIONS))


def listening_socket(host: str, port: int, purpose: str = "HTTP") -> socket.socket:
    """A socket that listens.

    Raises:
        Fatal: `Code.PORT_IN_USE`, or `Code.SETTINGS_INVALID`, saying what the port was for.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except (OSError, UnicodeError) as error:
        listener.close()
        raise not_listening(error, port, purpose, host) from error
    return listener
