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

from collections.abc import Iterable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from hansa.business.http.messages import BODILESS
from hansa.business.http.shared_headers import HeaderBlock

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


def write_response(
    cycle: RequestResponseCycle,
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
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    if not with_body:
        cycle.transport.write(head)
    elif len(body) <= JOINED_MAX_BYTES:
        cycle.transport.write(head + body)
    else:
        cycle.transport.writelines((head, body))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
