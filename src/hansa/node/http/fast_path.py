"""The fast path of responses that are complete when they begin: head and body are written at once.

ASGI sends a response in two messages, its head and its body. uvicorn inspects each header for what may
concern the connection, and writes each message on its own. Most responses here are one complete object
(`hansa.business.http.messages.Response`); for those the scope of a request has an extension, `EXTENSION`: a
function that writes head and body together and ends the request. What other parts of the server depend on
stays as uvicorn has it: keep-alive, `Connection: close`, the headers that all responses have, the refusal of
control characters in a header.

The function belongs to the connection, not to the request: a request that its own scope refers to would stay
in memory until the collector of cyclic garbage runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from hansa.business.http.messages import BODILESS
from hansa.business.http.shared_headers import HeaderBlock
from hansa.node.http.connection.request_cycle import RequestCycle

EXTENSION: Final = "hansa.fast_path"
"""Name under `extensions` in the scope of a request."""
JOINED_MAX_BYTES: Final = 65_536
"""A longer body is not copied behind its head."""
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {0x09})

Headers = Iterable[tuple[bytes, bytes]]


class FastPath(Protocol):
    """Writes a complete response to one request."""

    def __call__(
        self, scope: Any, status: int, headers: Headers, shared: HeaderBlock, body: bytes, *, with_body: bool
    ) -> bool:
        """Write it; False when it must be sent as ASGI messages instead.

        That is so when the client reads slowly, has disconnected, or has sent the next request already.

        Args:
            scope: Of the request.
            status: Of HTTP.
            headers: Without `Content-Length`; names in lower case.
            shared: Further headers, encoded already.
            body: All of it.
            with_body: Whether it is written, or only its length, as for HEAD.
        """


class DefaultHeaders:
    """The headers that all responses have, as bytes. uvicorn makes a new list of them every second."""

    def __init__(self) -> None:
        self._headers: object = None
        self._lines = (b"", 0)

    def lines(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
        """The lines, and their number; encoded again only for another list."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = (b"".join([b"%b: %b\r\n" % header for header in headers]), len(headers))
        return self._lines


class Outbox:
    """Responses that are written together, at the end of a turn of the event loop.

    Those of a commit are made in one turn, and so are those of the requests that have arrived together.
    Written one by one, each would wake its reader, who has it read before the next is there, and sleeps
    again; that takes longer than the writing.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[RequestCycle, bytes, Callable[[], None]]] = []

    def put(self, cycle: RequestCycle, data: bytes) -> None:
        """Write a whole response soon, and end its request then."""
        cycle.is_answered = True
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append((cycle, data, cycle.on_response))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for cycle, data, on_response in waiting:
            if not cycle.disconnected and not cycle.transport.is_closing():
                _end(cycle, (data,), on_response)


def _end(cycle: RequestCycle, parts: Iterable[bytes], on_response: Callable[[], None]) -> None:
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    for part in parts:
        cycle.transport.write(part)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    on_response()


def write_response(
    cycle: RequestCycle,
    outbox: Outbox,
    default: DefaultHeaders,
    status: int,
    headers: Headers,
    shared: HeaderBlock,
    body: bytes,
    *,
    with_body: bool,
) -> bool:
    """Write the response of a cycle of uvicorn; see `FastPath`."""
    if cycle.disconnected or cycle.flow.write_paused:
        return False
    default_lines, lines = default.lines(cycle.default_headers)
    parts = [STATUS_LINE[status], default_lines, shared.lines]
    lines += len(shared.headers)
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
        lines += 1
    if status not in BODILESS:
        parts.append(b"content-length: %d\r\n" % len(body))
        lines += 1
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
        lines += 1
    parts.append(b"\r\n")
    head = b"".join(parts)
    # Two characters end each line, the first and the last included; any more would be within a header.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (lines + 2):
        raise ValueError("A header has a control character.")
    if not with_body:
        body = b""
    if len(body) > JOINED_MAX_BYTES:
        _end(cycle, (head, body), cycle.on_response)
    else:
        outbox.put(cycle, head + body)
    return True
