"""Random bytes of the operating system, some thousand at a time.

Each request to the system lets other threads have the interpreter and wakes those that wait for it, which
costs more than the bytes when every create takes ten of them.
"""

from __future__ import annotations

import threading
from typing import Final

from hansa.core.identifiers import Entropy

FETCHED_BYTES: Final = 4096


class BufferedEntropy:
    """An `Entropy` that hands out each byte of its source once.

    Threads may share it, forked processes may not.
    """

    def __init__(self, source: Entropy, fetched_bytes: int = FETCHED_BYTES) -> None:
        self._source = source
        self._fetched_bytes = fetched_bytes
        self._bytes = b""
        self._used = 0
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        """So many random bytes."""
        with self._lock:
            end = self._used + count
            if end > len(self._bytes):
                self._bytes = self._source(max(count, self._fetched_bytes))
                self._used, end = 0, count
            taken = self._bytes[self._used : end]
            self._used = end
        return taken
