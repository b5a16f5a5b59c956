"""Whether the disk is nearly full. Every write asks; the disk is looked at now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hansa.core.clock import Clock
from hansa.node.preflight import free_bytes

LOOKED_AT_EVERY_S: Final = 0.25


class DiskWatch:
    """Watches the disk of a folder."""

    def __init__(self, folder: Path, least_bytes: int, clock: Clock) -> None:
        """`least_bytes` is the space that is kept free."""
        self._folder = folder
        self._least_bytes = least_bytes
        self._clock = clock
        self._looked_at_s = float("-inf")
        self._is_full = False

    def is_full(self) -> bool:
        """Whether less space is left than is kept free."""
        now_s = self._clock.monotonic()
        if now_s >= self._looked_at_s + LOOKED_AT_EVERY_S:
            self._looked_at_s = now_s
            self._is_full = free_bytes(self._folder) < self._least_bytes
        return self._is_full
