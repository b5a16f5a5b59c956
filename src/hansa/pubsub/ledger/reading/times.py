"""Times of blocks and events: milliseconds since 1970 in the state, RFC 3339 outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Refused

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def time_text(time_ms: int) -> str:
    """A time of the state as RFC 3339, in UTC."""
    return rfc3339(_EPOCH + time_ms * _MILLISECOND)


def time_ms_of(text: str) -> int:
    """The first whole millisecond at or after an RFC 3339 time.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(Code.INVALID, f"{text!r} is not an RFC 3339 time.") from error
    if moment.tzinfo is None:
        raise Refused(Code.INVALID, f"{text!r} has no time zone.")
    return -((_EPOCH - moment) // _MILLISECOND)
