"""The bounds of what one origin may cost this marketplace: entities, bytes, bytes a day, verification time.

An origin over a bound harms nobody but itself: what it would add is *deferred*, which the status shows, and
retrieved as soon as there is room. Nothing is dropped.
"""

from __future__ import annotations

from typing import Final, Literal

from hansa.core.limits import Limits
from hansa.store.tables.origins import Origin

Bound = Literal["entities", "bytes", "bytes-per-day", "verification-time"]

SETTINGS: Final[dict[Bound, str]] = {
    "entities": "origin_entities_max",
    "bytes": "origin_size_max_bytes",
    "bytes-per-day": "origin_day_max_bytes",
    "verification-time": "origin_verification_per_day_max_s",
}
"""The setting that raises each of them."""
DAY_MS: Final = 86_400_000


def exceeded_bound(origin: Origin, now_ms: int, limits: Limits) -> Bound | None:
    """The bound that an origin has reached; None while there is room.

    Args:
        origin: What it has cost.
        now_ms: Milliseconds since 1970.
        limits: `origin_…`.
    """
    if origin.stored_bytes >= limits.origin_size_max_bytes:
        return "bytes"
    if origin.day == now_ms // DAY_MS:
        if origin.day_bytes >= limits.origin_day_max_bytes:
            return "bytes-per-day"
        if origin.day_verification_ms >= limits.origin_verification_per_day_max_s * 1000:
            return "verification-time"
    return "entities" if origin.stored >= limits.origin_entities_max else None


def reason_of(bound: Bound) -> str:
    """Why something is deferred, as a sentence for the operator."""
    return f"The origin is over a bound of this marketplace: {bound} ({SETTINGS[bound]})."
