"""One request and its response, as uvicorn runs them; and the head of a response of the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from hansa.business.http.messages import WHOLE_BODY
from hansa.business.http.shared_headers import header_lines
from hansa.node.http.callers import Account
from hansa.node.http.connection.request_head import METHODS, check_path

ASGI: Final = {"version": "3.0", "spec_version": "2.3"}

log: Final = structlog.get_logger("hansa.http")


class RequestCycle(RequestResponseCycle):
    """A request and its response; the work for a client that has left is cancelled without a complaint."""

    is_answered = False
    """Whether a whole response is about to be written."""

    def take_whole_body(self, body: bytes) -> None:
        """The body has arrived with the head; whoever can takes it without receiving it."""
        self.body += body
        scope: Any = self.scope
        scope[WHOLE_BODY] = body

    async def run_asgi(self, app: Any) -> None:
        """Have the application answer."""
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.is_answered or self.disconnected):
                log.error("response_incomplete", path=self.scope["path"][:200])
                await self._fail()
        except asyncio.CancelledError:
            if not self.disconnected:
                raise
        except Exception:
            log.exception("request_failed", path=self.scope["path"][:200])
            await self._fail()
        finally:
            if not self.is_answered:  # else `finish` is about to call it
                self.on_response = _no_response

    def finish(self, parts: tuple[bytes, ...]) -> None:
        """Write a whole response, unless the client has left, and end the request."""
        on_response, self.on_response = self.on_response, _no_response
        if self.disconnected or self.transport.is_closing():
            return
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        for part in parts:
            self.transport.write(part)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        on_response()

    async def _fail(self) -> None:
        if self.response_started or self.disconnected:
            self.transport.abort()
        else:
            await self.send_500_response()


class TaskEnd:
    """Called when the application has answered a request, or was cancelled.

    Not a `partial`: whoever writes a task out, as anyio does at the end of each streamed response, writes out
    the arguments of its callbacks too. Among these would be all other tasks, with their callbacks: that took
    0.7 s.
    """

    __slots__ = ("_account", "_tasks")

    def __init__(self, tasks: set[asyncio.Task[None]], account: Account) -> None:
        self._tasks = tasks
        self._account = account

    def __call__(self, task: asyncio.Task[None]) -> None:
        """The task is done."""
        self._tasks.discard(task)
        self._account.end_request()


def _no_response() -> None:
    """In place of what a cycle calls when its response is complete: it refers to nothing any more."""


def http_scope(
    server: tuple[str, int | None] | None,
    client: tuple[str, int] | None,
    method: bytes,
    target: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    extensions: dict[str, Any],
    *,
    http_version: str,
) -> Any:
    """The scope of a request, as ASGI has it.

    Raises:
        RefusedRequest: As `check_path`.
    """
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    if "%" in path:
        check_path(raw_path)
        path = unquote(path)
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": http_version,
        "server": server,
        "client": client,
        "scheme": "http",
        "root_path": "",
        "method": METHODS.get(method) or method.decode("ascii"),
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
        "extensions": extensions,
    }


def request_cycle(
    scope: Any,
    transport: asyncio.Transport,
    flow: FlowControl,
    default_headers: list[tuple[bytes, bytes]],
    on_response: Callable[[], None],
    *,
    expects_continue: bool,
    keep_alive: bool,
) -> RequestCycle:
    """A request whose head is complete.

    Args:
        scope: Of ASGI.
        transport: Of the connection.
        flow: Of the connection.
        default_headers: Of every response.
        on_response: Called when its response is complete.
        expects_continue: Whether the client waits for 100 before it sends the body.
        keep_alive: Whether the connection goes on after it.
    """
    return RequestCycle(
        *(scope, transport, flow, log, log, False, default_headers, asyncio.Event()),
        *(expects_continue, keep_alive, on_response),
    )


def response_head(
    status: int, headers: Iterable[tuple[bytes, bytes]], body_bytes: int, *, keep_alive: bool
) -> bytes:
    """The head of a response that has these headers, and a body of that length."""
    closing = b"" if keep_alive else b"connection: close\r\n"
    parts = STATUS_LINE[status], header_lines(headers), closing, body_bytes
    return b"%b%b%bcontent-length: %d\r\n\r\n" % parts
