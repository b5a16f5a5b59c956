"""Answers of `/league/v1`: JSON, and errors in TM Forum's form (TMF630 Part 1, chapter 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hansa.core.error_response import error_response
from hansa.core.errors import Code, HansaError, Refused

JSON: Final = "application/json"
GONE: Final = 410

Handler = Callable[[Request], Awaitable[Response]]


def json_answer(content: Any, media_type: str = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """200 with JSON."""
    return Response(msgspec.json.encode(content), media_type=media_type, headers=headers)


def error_answer(error: HansaError, status: int | None = None) -> Response:
    """The answer that reports an error; see `hansa.core.error_response`."""
    answer = error_response(error, status=status)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)


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
