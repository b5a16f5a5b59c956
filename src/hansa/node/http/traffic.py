"""Requests and their durations, as the front door counts them: plain numbers, updated without allocation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

import msgspec

from hansa.core.histogram import Histogram

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SURFACES: Final = ("business", "league", "other")
"""The TM Forum APIs; what members request of each other; health, metrics and pages."""


@unique
class Refusal(StrEnum):
    """Why the server refused a request, or ended a connection, by itself."""

    MALFORMED = "malformed"
    """It is not HTTP as it is read here, or too large in head, trailers or chunks."""
    SLOW_HEAD = "slow-head"
    SLOW_UPLOAD = "slow-upload"
    SLOW_READER = "slow-reader"
    UNSENT_BYTES = "unsent-bytes"
    UPLOAD_BYTES = "upload-bytes"
    CONNECTIONS = "connections"
    CONNECTIONS_OF_ADDRESS = "connections-of-address"
    REQUESTS_OF_CALLER = "requests-of-caller"
    STREAMS_OF_CALLER = "streams-of-caller"
    LEDGER_READS_OF_CALLER = "ledger-reads-of-caller"
    WORK_OF_CALLER = "work-of-caller"


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
        self._by_status: dict[tuple[str, int], RequestTotals] = {}
        """The same by whole status, of those that have occurred: a look-up instead of arithmetic."""
        self._reads = {surface: Histogram() for surface in SURFACES}
        self._writes = {surface: Histogram() for surface in SURFACES}
        self.in_flight = 0
        self.connections = 0
        """Of clients; as are the following, as of a moment ago."""
        self.unsent_bytes = 0
        """That clients have not read."""
        self.upload_bytes = 0
        """In bodies that have arrived in part."""
        self.refused: Final[Counter[Refusal]] = Counter(dict.fromkeys(Refusal, 0))
        """By reason."""

    def refuse(self, reason: Refusal) -> None:
        """Count what the server refused by itself."""
        self.refused[reason] += 1

    @property
    def durations(self) -> Mapping[tuple[str, bool], Histogram]:
        """How long requests took, by surface and whether they write."""
        return {
            (surface, is_write): histogram
            for is_write, histograms in ((False, self._reads), (True, self._writes))
            for surface, histogram in histograms.items()
        }

    def count(self, surface: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        totals = self._by_status.get((surface, status))
        if totals is None:
            totals = self._by_status[surface, status] = self._totals[surface, min(max(status // 100, 1), 5)]
        totals.count += 1
        totals.seconds += seconds
        (self._writes if method in WRITES else self._reads)[surface].observe(seconds)

    def totals(self) -> dict[tuple[str, str], RequestTotals]:
        """By (surface, status class); those that have occurred."""
        return {
            (surface, f"{hundreds}xx"): totals
            for (surface, hundreds), totals in self._totals.items()
            if totals.count
        }
