"""Answers that are complete when they begin, written at once.

ASGI gives an answer in two messages, its head and its body. uvicorn looks through each header of the head for what may
mean something to the connection, and writes each message as it comes. Most answers here are one object that is complete
(`hansa.business.http.messages.Answer`); for those the scope of a request has an extension, `EXTENSION`: a function that writes
head and body together and ends the request. What no other part of the server may see differently stays as uvicorn has
it: keep-alive, `Connection: close`, the headers that all answers have, the refusal of control characters in a header.

The function is one of the connection, not of the request: a request that were reached from its own scope would wait for
the collector of cyclic garbage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from hansa.business.http.messages import BODILESS

EXTENSION: Final = "hansa.whole_answer"
"""Name under `extensions` in the scope of a request."""
JOINED_MAX_BYTES: Final = 65_536
"""A longer body is not copied behind its head."""
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {0x09})

Headers = Iterable[tuple[bytes, bytes]]


class WholeAnswer(Protocol):
    """Writes a whole answer to one request."""

    def __call__(self, scope: Any, status: int, headers: Headers, body: bytes, *, with_body: bool) -> bool:
        """Write it; False when it has to be sent in the ordinary way: the client is slow, gone, or one request ahead.

        Args:
            scope: Of the request.
            status: Of HTTP.
            headers: Without `Content-Length`; names in lower case.
            body: All of it.
            with_body: Whether it is written, or only its length, as for HEAD.
        """


class DefaultHead:
    """The headers that all answers have, as they are written. uvicorn makes a new list of them every second."""

    def __init__(self) -> None:
        self._of: object = None
        self._written = (b"", 0)

    def written(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
        """The lines, and how many they are."""
        if headers is not self._of:
            self._of = headers
            self._written = (b"".join([b"%b: %b\r\n" % header for header in headers]), len(headers))
        return self._written


def write_whole(
    cycle: RequestResponseCycle,
    default: DefaultHead,
    status: int,
    headers: Headers,
    body: bytes,
    *,
    with_body: bool,
) -> bool:
    """Write the answer of a cycle of uvicorn; see `WholeAnswer`."""
    if cycle.disconnected or cycle.flow.write_paused:
        return False
    head, lines = default.written(cycle.default_headers)
    parts = [STATUS_LINE[status], head]
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
    written = b"".join(parts)
    # Two characters end each line, the first and the last included; any more would be within a header.
    if len(written) - len(written.translate(None, _CONTROLS)) != 2 * (lines + 2):
        raise ValueError("A header has a control character.")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    if not with_body:
        cycle.transport.write(written)
    elif len(body) <= JOINED_MAX_BYTES:
        cycle.transport.write(written + body)
    else:
        cycle.transport.writelines((written, body))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
