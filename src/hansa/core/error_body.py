"""How an error is told over HTTP, whichever interface meets it: TM Forum's error body (TMF630 Part 1, chapter 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.core.errors import Code, HansaError, Unavailable

REASONS: Final[dict[Code, str]] = {
    Code.MALFORMED: "The request cannot be read",
    Code.INVALID: "The request breaks a rule",
    Code.UNAUTHENTICATED: "A valid token is needed",
    Code.FORBIDDEN: "The caller may not do this",
    Code.NOT_FOUND: "There is no such thing here",
    Code.METHOD_NOT_ALLOWED: "The method is not allowed here",
    Code.NOT_ACCEPTABLE: "The answer cannot be given in a form that was asked for",
    Code.CONFLICT: "The request conflicts with what is here",
    Code.PRECONDITION_FAILED: "The entity is not in the version that the request expects",
    Code.READ_ONLY_REPLICA: "The entity belongs to another marketplace",
    Code.TRANSITION_REFUSED: "The state cannot follow the one that the entity is in",
    Code.REFERENCE_WRONG_TYPE: "A reference names an entity of another type",
    Code.REFERENCE_UNRESOLVED: "A reference names an entity that is not here",
    Code.STILL_REFERENCED: "Other entities refer to this one",
    Code.TOO_LARGE: "The body is too large",
    Code.UNSUPPORTED_MEDIA_TYPE: "The body is in a form that is not understood",
    Code.RANGE_NOT_SATISFIABLE: "The list has nothing in the range that was asked for",
    Code.OVERLOADED: "Too much is going on",
    Code.SEARCH_TOO_SLOW: "This list needs an index",
    Code.UNAVAILABLE: "This does not work at the moment",
    Code.DISK_FULL: "This does not work at the moment",
    Code.URI_TOO_LONG: "The query is too long",
    Code.NOT_IMPLEMENTED: "The request uses a construct that is not supported",
    Code.INTERNAL: "This marketplace failed",
}
"""The `reason` of an error body."""


def error_body(error: HansaError, status: int, reasons: Mapping[Code, str] = REASONS) -> bytes:
    """The body for an answer with this status; what went wrong inside concerns us alone."""
    is_internal = status == 500
    internal = REASONS[Code.INTERNAL]
    return msgspec.json.encode(
        {
            "code": str(Code.INTERNAL if is_internal else error.code),
            "reason": reasons.get(error.code, internal),
            "message": f"{internal}." if is_internal else error.message,
            "status": str(status),
            "referenceError": f"/docs/errors#{Code.INTERNAL if is_internal else error.code}",
            "@type": "Error",
        }
    )


def retry_after(error: HansaError) -> str | None:
    """Value of the header Retry-After, in whole seconds; None when repeating is no use."""
    return str(max(1, round(error.retry_after_s))) if isinstance(error, Unavailable) else None
