"""Answers of `/league/v1`: JSON, and errors in TM Forum's form (TMF630 Part 1, chapter 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hansa.core.error_body import REASONS, error_body, retry_after
from hansa.core.errors import Code, HansaError, Refused

JSON: Final = "application/json"
GONE: Final = 410

Handler = Callable[[Request], Awaitable[Response]]

LEAGUE_REASONS: Final = REASONS | {
    Code.UNAUTHENTICATED: "The request's signature does not hold",
    Code.TOO_LARGE: "The request is too large",
}
"""The `reason` of an error body, where members call."""


def json_answer(content: Any, media_type: str = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """200 with JSON."""
    return Response(msgspec.json.encode(content), media_type=media_type, headers=headers)


def error_answer(error: HansaError, status: int | None = None) -> Response:
    """The answer that reports an error; what went wrong inside concerns us alone."""
    status = status or error.http_status
    seconds = retry_after(error)
    headers = {} if seconds is None else {"retry-after": seconds}
    return Response(error_body(error, status, LEAGUE_REASONS), status, headers, JSON)


class Endpoint:
    """An ASGI application behind one route: a handler for each method."""

    def __init__(self, **handlers: Handler) -> None:
        """Handlers by method, as `GET=…`. HEAD is answered wherever GET is."""
        self._handlers = handlers
        self._allow = ", ".join(["HEAD", *handlers] if "GET" in handlers else handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer = await self._answer(request)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        handler = self._handlers.get(method)
        try:
            if handler is None:
                raise Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {self._allow}.")
            return await handler(request)
        except HansaError as error:
            answer = error_answer(error)
            if error.code is Code.METHOD_NOT_ALLOWED:
                answer.headers["allow"] = self._allow
            return answer
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
