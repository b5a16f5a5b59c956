"""The Starlette application: routes everything but the TM Forum APIs, and makes responses of all errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def rest_application(routes: Sequence[BaseRoute]) -> Starlette:
    """An application whose handlers raise `HansaError` for whatever they refuse."""
    application = Starlette(
        routes=list(routes),
        exception_handlers={
            HansaError: _on_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_crash,
        },
    )
    application.router.redirect_slashes = False  # it would follow the Host header
    return application


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HansaError)
    return response_of(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and (request.method, request.scope["path"]) == ("OPTIONS", "*"):
        return _options(ALL_METHODS)
    if error.status_code == 404:
        location = _other_spelling(request)
        if location is not None:
            return Response(status_code=307, headers={"location": location})
        return response_of(Refused(Code.NOT_FOUND, "There is no resource at this path."))
    if error.status_code == 405:
        allowed = _allowed(error.headers or {})
        return _options(allowed) if request.method == "OPTIONS" else _method_not_allowed(allowed)
    if error.status_code >= 500:
        return response_of(HansaError(Code.INTERNAL, "internal"))
    return response_of(Refused(Code.MALFORMED, "The request cannot be parsed."))


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


def _method_not_allowed(allowed: str) -> Response:
    """405 with the methods that there are (RFC 9110, section 15.5.6)."""
    response = response_of(Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {allowed}."))
    response.headers["allow"] = allowed
    return response


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """Nobody is there to read it."""
    return Response(status_code=CLIENT_CLOSED)


async def _on_crash(_: Request, error: Exception) -> Response:
    """Starlette raises the error again after this response, and the front door logs it."""
    del error
    return response_of(HansaError(Code.INTERNAL, "internal"))
