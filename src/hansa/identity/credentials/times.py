"""Times in credentials and presentations, and how far clocks may be apart.

A time is a number of seconds since 1970 (RFC 7519, NumericDate) or a date-time with a zone (RFC 3339), with
a fraction of up to twelve digits. DOME's first credentials write it as `2025-04-02 09:23:22.637 +0000 UTC`.
A number beyond the year 9999 is no time: it is one in milliseconds, with which nothing would ever expire.
Every end and every beginning that a credential names counts, whatever others it names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hansa.core.errors import Code, Refused
from hansa.core.instants import moment
from hansa.identity.credentials.refusals import malformed

CLOCK_LEEWAY_S: Final = 300
"""How far our clock, or that of another party, may be off."""
TIME_MAX_S: Final = 253_402_300_799
"""The end of the year 9999."""

_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d{1,12})?(Z|z|[+-]\d\d:\d\d| \+0000 UTC)", re.ASCII
)


def numeric_date(claims: Mapping[str, Any], name: str) -> int | None:
    """A time in seconds; None when there is none under that name.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise malformed(f"`{name}` is no number of seconds")
    if not 0 <= value <= TIME_MAX_S:
        raise malformed(f"`{name}` is beyond the year 9999: a number of milliseconds, perhaps")
    return int(value)


def date_time(claims: Mapping[str, Any], name: str) -> int | None:
    """A date-time in seconds since 1970; None when there is none under that name.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    value = claims.get(name)
    if value is None:
        return None
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    if match is None:
        raise malformed(f"`{name}` is no date-time with a zone (RFC 3339)")
    day, time, zone = match.groups()
    at = moment(f"{day}T{time}{zone if ':' in zone else '+00:00'}")
    if at is None:
        raise malformed(f"`{name}` is no date-time that exists")
    return max(0, min(int(at.timestamp()), TIME_MAX_S))


class Validity:
    """From when until when something is valid: the narrowest of all that it names."""

    def __init__(self, begins: Iterable[int | None], ends: Iterable[int | None]) -> None:
        self.begin_s = max((begin for begin in begins if begin is not None), default=None)
        self.end_s = min((end for end in ends if end is not None), default=None)

    def check(self, now_s: int) -> None:
        """Check that now is within it, as far as clocks can tell.

        Raises:
            Refused: `Code.CREDENTIAL_EXPIRED` or `Code.CREDENTIAL_NOT_YET_VALID`.
        """
        if self.end_s is not None and now_s >= self.end_s + CLOCK_LEEWAY_S:
            raise Refused(Code.CREDENTIAL_EXPIRED, f"it was valid until {self.end_s}, and it is {now_s}")
        if self.begin_s is not None and now_s < self.begin_s - CLOCK_LEEWAY_S:
            raise Refused(
                Code.CREDENTIAL_NOT_YET_VALID, f"it is valid from {self.begin_s} on, and it is {now_s}"
            )


def addressee(
    claims: Mapping[str, Any], signed_at_names: Iterable[str], now_s: int, age_max_s: int
) -> tuple[Any, Any]:
    """For whom and for which request a presentation is, that was signed just now.

    Args:
        claims: Of what its holder signed.
        signed_at_names: The first of them that is there says when it was signed.
        now_s: Seconds since 1970.
        age_max_s: How long ago it may have been signed.

    Returns:
        `aud` and `nonce`, as they are written.

    Raises:
        Refused: `Code.PRESENTATION_EXPIRED` or `Code.CREDENTIAL_MALFORMED`.
    """
    times = [numeric_date(claims, name) for name in signed_at_names]
    signed_at_s = next((time for time in times if time is not None), None)
    if signed_at_s is None:
        raise malformed("the presentation does not say when it was signed (`iat`)")
    _check_fresh(signed_at_s, now_s, age_max_s)
    validity = Validity((numeric_date(claims, "nbf"),), (numeric_date(claims, "exp"),))
    try:
        validity.check(now_s)
    except Refused as error:
        raise Refused(Code.PRESENTATION_EXPIRED, f"the presentation: {error.message}") from error
    return claims.get("aud"), claims.get("nonce")


def _check_fresh(signed_at_s: int, now_s: int, age_max_s: int) -> None:
    """Check that a presentation was signed now, and not some time ago or in the future."""
    if not now_s - age_max_s - CLOCK_LEEWAY_S <= signed_at_s <= now_s + CLOCK_LEEWAY_S:
        raise Refused(
            Code.PRESENTATION_EXPIRED,
            f"the presentation was signed at {signed_at_s}, and it is {now_s}; {age_max_s} s are allowed",
        )
