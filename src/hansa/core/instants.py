"""Date-times as keys that order as the moments do, whatever zone they are written in.

TM Forum's date-times are those of RFC 3339, section 5.6. A client also writes parts of one in a filter, as
`2026-01` for the beginning of that month; without a zone a time is UTC, and zones may lack their colon, as
they do in examples of TM Forum. The key is the moment in UTC without the `Z`, and its fraction of a second,
of any length, without zeros at the end: such texts compare by code point as the moments do.

What comes from outside is read here alone, wherever it comes in, so that nothing is taken in one place that
another reads as another moment, or as none: neither the library's parser, which knows weeks, commas and hours
without minutes, nor the zone of the machine has a say.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

_DATE_TIME: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?([Zz]|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_LENGTH_MAX: Final = 64
CACHED_MAX: Final = 1024
"""Date-times whose keys are cached: many entities have the same few."""
_USUAL: Final = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII
)
"""As we write every time, in a month's first four weeks: no calendar is needed."""
_ZONE: Final = re.compile(r".{11}.*(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII)


def is_date_time(text: str) -> bool:
    """Whether a text is a whole date-time: a day, `T`, and a time, of the years 1 to 9999 in UTC."""
    return text[10:11] in {"T", "t"} and instant(text) is not None


def is_zoned(text: str) -> bool:
    """Whether a text is a whole date-time with its zone."""
    return is_date_time(text) and _ZONE.fullmatch(text) is not None


def moment(text: str) -> datetime | None:
    """The moment of a date-time, or of a part of one, in UTC, to the microsecond; None for other texts."""
    key = instant(text)
    return None if key is None else datetime.fromisoformat(key).replace(tzinfo=UTC)


def instant(text: str) -> str | None:
    """The key of a date-time, or of a part of one; None for every other text."""
    return None if len(text) > _LENGTH_MAX else _instant(text)


@lru_cache(CACHED_MAX)
def _instant(text: str) -> str | None:
    if _USUAL.fullmatch(text) and not text.startswith("0000"):
        return text[:-1].rstrip("0").rstrip(".") if text.endswith("0Z") else text[:-1]
    if (match := _DATE_TIME.fullmatch(text)) is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    seconds = int(second or 0)
    try:
        moment = datetime(  # a leap second is the one after it
            int(year),
            *(int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), min(seconds, 59)),
            tzinfo=_zone(zone),
        )
        if seconds == 60:
            moment += timedelta(seconds=1)
        elif seconds > 60:
            return None
        key = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return None
    rest = (fraction or "").rstrip("0")
    return f"{key}.{rest}" if rest else key


def comparable(text: str) -> str:
    """What date-times compare by: the key of one; any other text stands for itself."""
    return instant(text) or text


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
