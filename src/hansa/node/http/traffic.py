"""What the front door counts: requests and their time, in plain numbers that cost nothing to keep."""

from __future__ import annotations

import msgspec

SURFACES = ("business", "league", "other")
"""The TM Forum APIs; what members ask of each other; health, metrics and pages."""


class Counted(msgspec.Struct):
    """Requests of one surface with one status class."""

    count: int = 0
    seconds: float = 0.0


class Traffic:
    """Requests since the start, by surface and status class (`2xx`)."""

    def __init__(self) -> None:
        self._counted = {(surface, hundreds): Counted() for surface in SURFACES for hundreds in range(1, 6)}
        self.in_flight = 0

    def note(self, surface: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        counted = self._counted[surface, min(max(status // 100, 1), 5)]
        counted.count += 1
        counted.seconds += seconds

    def totals(self) -> dict[tuple[str, str], Counted]:
        """By (surface, status class); those that have occurred."""
        return {
            (surface, f"{hundreds}xx"): counted
            for (surface, hundreds), counted in self._counted.items()
            if counted.count
        }
