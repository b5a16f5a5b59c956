"""Times of blocks and events from RFC 3339; `hansa.core.clock.rfc3339_at_ms` is the other way."""

from __future__ import annotations

from hansa.core.clock import EPOCH, MILLISECOND
from hansa.core.errors import Code, Refused
from hansa.core.instants import is_zoned, moment


def time_ms_of(text: str) -> int:
    """The first whole millisecond at or after an RFC 3339 time.

    Raises:
        Refused: `Code.INVALID`.
    """
    at = moment(text)
    if at is None:
        raise Refused(Code.INVALID, f"{text!r} is not an RFC 3339 time.")
    if not is_zoned(text):
        raise Refused(Code.INVALID, f"{text!r} has no time zone.")
    return -((EPOCH - at) // MILLISECOND)
