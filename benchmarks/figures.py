"""Quantiles, and how a figure is written."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank); NaN without values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return quantile(values, 0.5)


def rate(value: float) -> str:
    """Events in a second: `12,345/s`."""
    return f"{value:,.0f}/s" if value >= 10 else f"{value:,.1f}/s"


def milliseconds(seconds: float) -> str:
    """A latency: `3.2 ms`."""
    shown = seconds * 1000
    return f"{shown:,.0f} ms" if shown >= 100 else f"{shown:,.1f} ms" if shown >= 10 else f"{shown:,.2f} ms"


def megabytes(size_bytes: float) -> str:
    """A size in memory or on disk: `81.4 MB`, of 10^6 bytes."""
    return f"{size_bytes / 1e6:,.1f} MB"
