"""One request and its response, as uvicorn runs them; and the head of a response of the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from hansa.business.http.messages import WHOLE_BODY

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
            self.on_response = _nothing

    async def _fail(self) -> None:
        if self.response_started or self.disconnected:
            self.transport.abort()
        else:
            await self.send_500_response()


def _nothing() -> None:
    pass


def http_scope(
    server: tuple[str, int | None] | None,
    client: tuple[str, int] | None,
    method: str,
    path: str,
    raw_path: bytes,
    query: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    extensions: dict[str, Any],
    *,
    http_version: str,
) -> Any:
    """The scope of a request, as ASGI has it."""
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": http_version,
        "server": server,
        "client": client,
        "scheme": "http",
        "root_path": "",
        "method": method,
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
    lines = [b"%b: %b\r\n" % header for header in headers]
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    return b"%b%bcontent-length: %d\r\n\r\n" % (STATUS_LINE[status], b"".join(lines), body_bytes)
