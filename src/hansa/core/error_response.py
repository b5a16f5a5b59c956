"""How an error is reported over HTTP, whichever interface meets it.

TM Forum's error body (TMF630 Part 1, chapter 3).

`error_response` is the one place where an error becomes status, headers and body. A face that has a response
class of its own fills it from that; nothing else about an error is decided there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.errors import Code, HansaError, Unavailable

REASONS: Final[dict[Code, str]] = {
    Code.MALFORMED: "Malformed request",
    Code.INVALID: "Invalid request",
    Code.UNAUTHENTICATED: "Authentication required",
    Code.FORBIDDEN: "Forbidden",
    Code.POWER_MISSING: "Power missing",
    Code.NOT_FOUND: "Not found",
    Code.METHOD_NOT_ALLOWED: "Method not allowed",
    Code.NOT_ACCEPTABLE: "Not acceptable",
    Code.CONFLICT: "Conflict",
    Code.PRECONDITION_FAILED: "Precondition failed",
    Code.IDEMPOTENCY_KEY_REUSED: "Idempotency key used for another request",
    Code.READ_ONLY_REPLICA: "Read-only replica",
    Code.IDENTIFIER_RESERVED: "Identifier of another member",
    Code.TRANSITION_REFUSED: "State transition not allowed",
    Code.REFERENCE_WRONG_TYPE: "Reference to a wrong type",
    Code.REFERENCE_UNRESOLVED: "Unresolved reference",
    Code.STILL_REFERENCED: "Still referenced",
    Code.TOO_LARGE: "Content too large",
    Code.UNSUPPORTED_MEDIA_TYPE: "Unsupported media type",
    Code.RANGE_NOT_SATISFIABLE: "Range not satisfiable",
    Code.OVERLOADED: "Too many requests",
    Code.SEARCH_TOO_SLOW: "Search timed out",
    Code.UNAVAILABLE: "Service temporarily unavailable",
    Code.DISK_FULL: "Insufficient disk space",
    Code.URI_TOO_LONG: "URI too long",
    Code.NOT_IMPLEMENTED: "Not implemented",
    Code.INTERNAL: "Internal server error",
}
"""The `reason` of an error body: short, and the same for every error with that code."""

INTERNAL_MESSAGE: Final = "The server failed while it processed the request."
"""The `message` of every 500: the error itself goes to the log alone."""

Header = tuple[bytes, bytes]
CONTENT_TYPE: Final[Header] = (b"content-type", b"application/json;charset=utf-8")
CHALLENGE: Final[Header] = (b"www-authenticate", b"Bearer")
"""What a 401 has to carry (RFC 9110, section 11.6.1)."""


class ErrorResponse(msgspec.Struct, frozen=True):
    """A complete HTTP response that reports an error. Names of headers are in lower case."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """TM Forum's `Error`."""

    code: str
    reason: str
    message: str
    """What is wrong with this request."""
    status: str
    reference_error: str = msgspec.field(name="referenceError")
    type: str = msgspec.field(name="@type", default="Error")


def error_response(error: HansaError, *, status: int | None = None) -> ErrorResponse:
    """The response that reports `error`.

    Args:
        error: A code without an HTTP status of its own is reported as `internal`, without its message.
        status: In place of the code's own, as 410 for something that was here.
    """
    status = status or error.http_status
    is_internal = status == 500
    code = Code.INTERNAL if is_internal else error.code
    headers = [CONTENT_TYPE]
    message = INTERNAL_MESSAGE if is_internal else error.message
    if code is Code.UNAUTHENTICATED:
        headers.append(CHALLENGE)
    if isinstance(error, Unavailable) and not is_internal:
        seconds = max(1, round(error.retry_after_s))
        headers.append((b"retry-after", b"%d" % seconds))
        message = f"{message} Try again in {seconds} s."
    body = ErrorBody(
        code=code.value,
        reason=REASONS[code],
        message=message,
        status=str(status),
        reference_error=f"/docs/errors#{code.value}",
    )
    return ErrorResponse(status, tuple(headers), msgspec.json.encode(body))
