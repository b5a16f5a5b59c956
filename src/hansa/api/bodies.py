"""Bodies of requests to `/league/v1`, read within a bound."""

from __future__ import annotations

from starlette.requests import Request

from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused


async def json_body(request: Request, size_max_bytes: int) -> bytes:
    """The body of a request, which says that it is JSON.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE` or `Code.TOO_LARGE`.
    """
    return await typed_body(request, JSON, size_max_bytes)


async def typed_body(request: Request, media_type: str, size_max_bytes: int) -> bytes:
    """The body of a request, which is of a media type; by default, where it says nothing.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE` or `Code.TOO_LARGE`.
    """
    declared = request.headers.get("content-type", media_type).partition(";")[0]
    if declared.strip().lower() != media_type:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A body here is {media_type}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > size_max_bytes:
            raise Refused(Code.TOO_LARGE, f"A request has at most {size_max_bytes} bytes.")
    return bytes(body)
