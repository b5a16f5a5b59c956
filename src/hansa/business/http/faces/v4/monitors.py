"""Asynchronous requests and their monitors (TMF630 Part 1, chapter 9).

In an API that has a resource `monitor`, a client that writes with `Prefer: respond-async` (RFC 7240, section
4.1) is answered 202, with a Link to a monitor: a record of the request and of its outcome. The write itself
takes microseconds and is done at once, so a monitor is completed when it is first seen; one that is in error
reports a write that was refused. Requests that the caller may not make, or that cannot be read, leave no
monitor: they are refused as without the header.
"""

from __future__ import annotations

from typing import Final

from hansa.business.context import Context
from hansa.business.http.messages import Request, Response, error_response
from hansa.business.http.routing import Handle
from hansa.business.http.shared_headers import Header
from hansa.business.operations.update import UpdateOperation
from hansa.core.errors import Code, Refused

COMPLETED: Final = "Completed"
IN_ERROR: Final = "InError"
BODY_RECORDED_MAX_BYTES: Final = 65_536
"""Of a request or a response; a longer body is left out of the monitor."""
NO_MONITOR: Final = frozenset(
    {
        Code.UNAUTHENTICATED,
        Code.FORBIDDEN,
        Code.METHOD_NOT_ALLOWED,
        Code.MALFORMED,
        Code.TOO_LARGE,
        Code.UNSUPPORTED_MEDIA_TYPE,
    }
)
_APPLIED: Final[Header] = (b"preference-applied", b"respond-async")


class Monitored:
    """A handler of writes that can answer before the client looks at the outcome."""

    def __init__(self, handle: Handle, monitors: UpdateOperation, context: Context) -> None:
        """`monitors` creates the monitors of the same API."""
        self._handle = handle
        self._monitors = monitors
        self._context = context

    async def __call__(self, request: Request, entity_id: str) -> Response:
        """Answer as the handler does, or 202 when the client prefers that."""
        if not wants_async(request):
            return await self._handle(request, entity_id)
        try:
            response = await self._handle(request, entity_id)
        except Refused as error:
            if error.code in NO_MONITOR:
                raise
            response = error_response(error)
        own = dict(response.headers).get(b"location", f"{self._context.endpoint}{request.path}".encode())
        async with self._context.store.transaction() as tx:
            monitor = await self._monitors.create_or_replace_within(
                tx, _record(request, response, own.decode())
            )
        address = self._monitors.address(monitor.id)
        link = f'<{address}>; rel="related"; title="monitor"'.encode() + b', <%b>; rel="self"' % own
        headers = [header for header in response.headers if header[0] not in {b"location", b"link"}]
        is_error = response.status >= 400
        return Response(
            202,
            b"" if is_error else response.body,
            (
                *([] if is_error else headers),
                _APPLIED,
                (b"location", address.encode() if is_error else own),
                (b"link", link),
            ),
        )


_RECORDED_HEADERS: Final = frozenset({b"accept", b"content-type", b"if-match", b"prefer"})
"""Nothing secret is among them."""


def _record(request: Request, response: Response, source: str) -> dict[str, object]:
    """A monitor of a write to what is served at `source`."""
    return {
        "state": IN_ERROR if response.status >= 400 else COMPLETED,
        "sourceHref": source,
        "request": {
            "method": request.method,
            "to": request.path,
            "body": _text(request.raw),
            "header": _items(tuple((n, v) for n, v in request.headers.items() if n in _RECORDED_HEADERS)),
        },
        "response": {
            "statusCode": str(response.status),
            "body": _text(response.body),
            "header": _items(response.headers),
        },
    }


def wants_async(request: Request) -> bool:
    """Whether the client prefers not to wait."""
    preferences = request.headers.get(b"prefer", b"").lower().split(b",")
    return any(one.partition(b";")[0].strip() == b"respond-async" for one in preferences)


def _text(raw: bytes) -> str:
    return raw.decode() if len(raw) <= BODY_RECORDED_MAX_BYTES else ""


def _items(headers: tuple[Header, ...]) -> list[dict[str, str]]:
    return [{"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in headers]


def is_monitor(type_name: str) -> bool:
    """Whether a type is that of monitors."""
    return type_name == "Monitor"
