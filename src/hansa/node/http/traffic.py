"""Requests and their durations, as the front door counts them: plain numbers, updated without allocation."""

from __future__ import annotations

import msgspec

SURFACES = ("business", "league", "other")
"""The TM Forum APIs; what members request of each other; health, metrics and pages."""


class RequestTotals(msgspec.Struct):
    """Requests of one surface with one status class."""

    count: int = 0
    seconds: float = 0.0


class Traffic:
    """Requests since the start, by surface and status class (`2xx`)."""

    def __init__(self) -> None:
        self._totals = {
            (surface, hundreds): RequestTotals() for surface in SURFACES for hundreds in range(1, 6)
        }
        self.in_flight = 0

    def count(self, surface: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        totals = self._totals[surface, min(max(status // 100, 1), 5)]
        totals.count += 1
        totals.seconds += seconds

    def totals(self) -> dict[tuple[str, str], RequestTotals]:
        """By (surface, status class); those that have occurred."""
        return {
            (surface, f"{hundreds}xx"): totals
            for (surface, hundreds), totals in self._totals.items()
            if totals.count
        }
