"""Bodies of requests to `/league/v1`, read within a bound."""

from __future__ import annotations

from starlette.requests import Request

from hansa.api.responses import JSON
from hansa.core.errors import Code, Refused
from hansa.core.http import bounded_body


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
    too_large = f"A request has at most {size_max_bytes} bytes."
    return await bounded_body(request.stream(), size_max_bytes, too_large)
