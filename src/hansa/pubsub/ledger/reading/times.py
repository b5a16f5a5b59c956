"""Times of blocks and events from RFC 3339; `hansa.core.clock.rfc3339_at_ms` is the other way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hansa.core.errors import Code, Refused

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


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
