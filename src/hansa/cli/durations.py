"""Durations on the command line, `15m`, `12h`, `30d`, `1h30m`, and in messages."""

from __future__ import annotations

import re
from typing import Final

from hansa.core.errors import Code, Refused

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COMPONENT: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+")


def seconds_of(text: str) -> float:
    """The seconds of a duration.

    Raises:
        Refused: `Code.INVALID`, when the text is not a duration.
    """
    if not _DURATION.fullmatch(text):
        raise Refused(
            Code.INVALID,
            f"{text!r} is not a duration; write a number and s, m, h, d or w, as 15m, 12h or 30d.",
        )
    return float(sum(int(number) * UNITS_S[unit] for number, unit in _COMPONENT.findall(text)))


def duration_text(seconds: float) -> str:
    """A duration for people, in its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    rest = round(seconds)
    parts = []
    for unit, size in sorted(UNITS_S.items(), key=lambda each: -each[1]):
        if unit == "w":
            continue
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {'min' if unit == 'm' else unit}")
    return " ".join(parts[:2])
