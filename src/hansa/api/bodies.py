"""Bodies of requests to `/league/v1`: JSON, read within a bound."""

from __future__ import annotations

from starlette.requests import Request

from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused


async def json_body(request: Request, size_max_bytes: int) -> bytes:
    """The body of a request, which says that it is JSON.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE` or `Code.TOO_LARGE`.
    """
    media_type = request.headers.get("content-type", JSON).partition(";")[0]
    if media_type.strip().lower() != JSON:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A body here is {JSON}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > size_max_bytes:
            raise Refused(Code.TOO_LARGE, f"A request has at most {size_max_bytes} bytes.")
    return bytes(body)
