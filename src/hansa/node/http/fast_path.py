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
from collections.abc import Iterable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from hansa.business.http.messages import BODILESS, Response
from hansa.business.http.shared_headers import header_lines
from hansa.node.http.callers import Account
from hansa.node.http.connection.request_cycle import RequestCycle
from hansa.node.http.connection.request_head import Fields

EXTENSION: Final = "hansa.fast_path"
"""Name under `extensions` in the scope of a request."""
COPIED_MAX_BYTES: Final = 4096
"""A longer body is not copied behind its head."""

Headers = Iterable[tuple[bytes, bytes]]


class FastPath(Protocol):
    """Writes a complete response to one request."""

    def __call__(self, scope: Any, response: Response, *, with_body: bool) -> bool:
        """Write it; False when it must be sent as ASGI messages instead.

        That is so when the client reads slowly, has disconnected, or has sent the next request already.

        Args:
            scope: Of the request.
            response: Without `Content-Length`; names of headers in lower case.
            with_body: Whether the body is written, or only its length, as for HEAD.
        """


class AnswerAtOnce(Protocol):
    """Makes the response to a GET without waiting for anything, if it can; see `FrontDoor.answer_at_once`."""

    def __call__(self, target: bytes, fields: Fields, account: Account, /) -> Response | None:
        """The response; None when the request has to be answered as any other."""


class DefaultHeaders:
    """The headers that all responses have, as bytes. uvicorn makes a new list of them every second."""

    def __init__(self) -> None:
        self._headers: object = None
        self._lines = b""

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The lines; encoded again only for another list."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = header_lines(headers)
        return self._lines


Parts = tuple[bytes, ...]
"""Of a response: its head and its body, or both in one."""


class Answered(Protocol):
    """What has a whole response that is about to be written."""

    def finish(self, parts: Parts, /) -> None:
        """Write it, unless the client has left meanwhile, and end the request."""


class Outbox:
    """Responses that are written together, at the end of a turn of the event loop.

    Those of a commit are made in one turn, and so are those of the requests that have arrived together.
    Written one by one, each would wake its reader, who has it read before the next is there, and sleeps
    again; that takes longer than the writing.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Answered, Parts]] = []

    def put(self, answered: Answered, parts: Parts) -> None:
        """Write a whole response soon, and end its request then."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append((answered, parts))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for answered, parts in waiting:
            answered.finish(parts)


def write_response(
    cycle: RequestCycle, outbox: Outbox, default: DefaultHeaders, response: Response, *, with_body: bool
) -> bool:
    """Write the response of a cycle of uvicorn; see `FastPath`."""
    if cycle.disconnected or cycle.flow.write_paused:
        return False
    default_lines = default.lines(cycle.default_headers)
    parts = response_parts(default_lines, response, with_body=with_body, keep_alive=cycle.keep_alive)
    cycle.is_answered = True
    outbox.put(cycle, parts)
    return True


def response_parts(
    default_lines: bytes, response: Response, *, with_body: bool = True, keep_alive: bool = True
) -> Parts:
    """A response as it is written.

    Args:
        default_lines: The lines that all responses have.
        response: All of it.
        with_body: Whether the body is written, or only its length, as for HEAD.
        keep_alive: Whether the connection goes on.

    Raises:
        ValueError: A header has a control character.
    """
    body = response.body
    lines = [
        STATUS_LINE[response.status], default_lines, response.shared.lines, header_lines(response.headers),
    ]  # fmt: skip
    if response.status not in BODILESS:
        lines.append(b"content-length: %d\r\n" % len(body))
    lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if not with_body:
        return (b"".join(lines),)
    if len(body) > COPIED_MAX_BYTES:
        return (b"".join(lines), body)
    lines.append(body)
    return (b"".join(lines),)
