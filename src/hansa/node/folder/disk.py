"""Free space on the disk of the folder. Every write depends on it, so it is measured at intervals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from hansa.core.clock import Clock

MEASURED_EVERY_S: Final = 0.25


def free_bytes(folder: Path) -> int:
    """Free space on a folder's disk."""
    return shutil.disk_usage(folder).free


class DiskWatch:
    """Watches the disk of a folder; `free_min_bytes` is the space that writes must leave free."""

    def __init__(self, folder: Path, free_min_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._free_min_bytes = free_min_bytes
        self._clock = clock
        self._measured_at_s = float("-inf")
        self._is_full = False

    def is_full(self) -> bool:
        """Whether less space is free than has to be, as of the last measurement."""
        now_s = self._clock.monotonic()
        if now_s >= self._measured_at_s + MEASURED_EVERY_S:
            self._measured_at_s = now_s
            self._is_full = free_bytes(self._folder) < self._free_min_bytes
        return self._is_full
