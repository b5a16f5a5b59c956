"""The Starlette application: routes everything but the TM Forum APIs, and makes responses of all errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from hansa.api.responses import response_of
from hansa.core.errors import Code, HansaError, Refused

CLIENT_CLOSED: Final = 400
ALL_METHODS: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
"""Of the whole server, for `OPTIONS *`."""


ErrorAnswer = Callable[[Request, HansaError], Response]
"""How an error is reported to whoever sent a request."""


def rest_application(routes: Sequence[BaseRoute], answer: ErrorAnswer | None = None) -> Starlette:
    """An application whose handlers raise `HansaError` for whatever they refuse.

    Args:
        routes: What is served.
        answer: Reports errors; by default in the form of TM Forum.
    """
    errors = _ErrorHandlers(answer or _in_tm_forum_form)
    application = Starlette(
        routes=list(routes),
        exception_handlers={
            HansaError: errors.on_error,
            HTTPException: errors.on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: errors.on_crash,
        },
    )
    application.router.redirect_slashes = False  # it would follow the Host header
    return application


def _in_tm_forum_form(_: Request, error: HansaError) -> Response:
    return response_of(error)


class _ErrorHandlers:
    """Make responses of exceptions."""

    def __init__(self, answer: ErrorAnswer) -> None:
        self._answer = answer

    async def on_error(self, request: Request, error: Exception) -> Response:
        """What a handler refused, or could not do."""
        assert isinstance(error, HansaError)
        return self._answer(request, error)

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """What Starlette itself refuses: an unknown path, a method that a path does not have."""
        assert isinstance(error, HTTPException)
        if error.status_code == 404 and (request.method, request.scope["path"]) == ("OPTIONS", "*"):
            return _options(ALL_METHODS)
        if error.status_code == 404:
            location = _other_spelling(request)
            if location is not None:
                return Response(status_code=307, headers={"location": location})
            return self._answer(request, Refused(Code.NOT_FOUND, "There is no resource at this path."))
        if error.status_code == 405:
            allowed = _allowed(error.headers or {})
            if request.method == "OPTIONS":
                return _options(allowed)
            return _method_not_allowed(self._answer, request, allowed)
        if error.status_code >= 500:
            return self._answer(request, HansaError(Code.INTERNAL, "internal"))
        return self._answer(request, Refused(Code.MALFORMED, "The request cannot be parsed."))

    async def on_crash(self, request: Request, error: Exception) -> Response:
        """Starlette raises the error again after this response, and the front door logs it."""
        del error
        return self._answer(request, HansaError(Code.INTERNAL, "internal"))


def _other_spelling(request: Request) -> str | None:
    """The path with a slash less or more at its end, when there is something; relative to this server."""
    path: str = request.scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    if not other or other.startswith("//"):
        return None
    routes: Sequence[BaseRoute] = request.app.router.routes
    scope = {**request.scope, "path": other}
    if all(route.matches(scope)[0] is Match.NONE for route in routes):
        return None
    query = request.scope["query_string"].decode("latin-1")
    return quote(other) + (f"?{query}" if query else "")


def _options(methods: str) -> Response:
    """204 with the methods that there are (RFC 9110, section 9.3.7)."""
    return Response(status_code=204, headers={"allow": methods})


def _allowed(headers: Mapping[str, str]) -> str:
    """The methods that there are, by a header of Starlette, and OPTIONS, which there always is."""
    return ", ".join(sorted({*headers.get("Allow", "").split(", "), "OPTIONS"} - {""}))


def _method_not_allowed(answer: ErrorAnswer, request: Request, allowed: str) -> Response:
    """405 with the methods that there are (RFC 9110, section 15.5.6)."""
    response = answer(request, Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {allowed}."))
    response.headers["allow"] = allowed
    return response


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=CLIENT_CLOSED)
