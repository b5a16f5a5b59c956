"""How long the event loop is busy without a pause: the longest turn, by the processor time of its thread.

Processor time of one thread, unlike time of the day, does not grow while other threads and processes have the
processor. It does grow where the processor is slow, or shared by two threads; so bounds are multiples of what
a piece of work takes at the same moment.
"""

from __future__ import annotations

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Final, Self

TURN_MAX_S: Final = 0.05
"""What no request of anybody may exceed, where the piece of work takes `WORK_S`."""
WORK_S: Final = 0.008


def is_short(spent_s: float, max_s: float = TURN_MAX_S) -> bool:
    """Whether processor time is within what is allowed, by what the piece of work takes here and now."""
    if spent_s < max_s:
        return True
    started_s = time.thread_time()
    json.loads(json.dumps([{"name": str(number), "value": number} for number in range(10_000)]))
    return spent_s < max_s * (time.thread_time() - started_s) / WORK_S


class LoopTurns:
    """Measures every turn of the loop within a `with` block."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.longest = ""
        """What ran in the longest turn."""

    def __enter__(self) -> Self:
        run = self._run = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            started_s = time.thread_time()
            run(handle)
            spent_s = time.thread_time() - started_s
            if spent_s > self.longest_s:
                self.longest_s, self.longest = spent_s, repr(handle)

        patched: Any = asyncio.Handle
        patched._run = measured
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        patched: Any = asyncio.Handle
        patched._run = self._run
