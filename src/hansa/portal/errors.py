"""Pages that say what went wrong, why, and what to do.

They are shown to whoever requests pages, wherever else in the server an error is met.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.error_response import ErrorBody, error_response
from hansa.core.errors import HansaError, Unavailable
from hansa.portal.frame import Frame


class ErrorPage(msgspec.Struct, frozen=True):
    """For the template `error.html`."""

    status: int
    code: str
    message: str
    """What is wrong with this request."""
    retry_after_s: int | None = None


def error_page(frame: Frame, request: Request, error: HansaError) -> Response:
    """The page about an error, with the status and the headers that the error has in any form."""
    answer = error_response(error)
    body = msgspec.json.decode(answer.body, type=ErrorBody)
    headers = {
        name.decode(): value.decode()
        for name, value in answer.headers
        if name in {b"retry-after", b"www-authenticate"}
    }
    wait_s = int(headers["retry-after"]) if "retry-after" in headers else None
    message = error.message if isinstance(error, Unavailable) and wait_s else body.message
    page = ErrorPage(answer.status, body.code, message, wait_s)
    return frame.response(request, "error.html", page, status=answer.status, headers=headers)
