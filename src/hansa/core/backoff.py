"""How long to wait before the next attempt: doubling, bounded, and not in step with anyone else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.identifiers import Entropy

DOUBLINGS_MAX: Final = 30

_Result = TypeVar("_Result")

log = structlog.get_logger()


def backoff_s(failures: int, min_s: float, max_s: float, entropy: Entropy) -> float:
    """Seconds to wait after so many failures in a row (1 and more): half of it certain, half drawn."""
    assert failures >= 1, "there is nothing to wait for"
    full_s = min(max_s, min_s * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
    drawn = int.from_bytes(entropy(4), "big") / 0xFFFF_FFFF
    return full_s * (0.5 + 0.5 * drawn)


class Retry:
    """Repeats a step of ours until the store or the bus lets it through.

    Args:
        name: Whose steps, for the log.
        clock: For the pauses.
        entropy: For their length.
        min_s: First pause.
        max_s: Longest pause.
    """

    def __init__(self, name: str, clock: Clock, entropy: Entropy, min_s: float, max_s: float) -> None:
        self._name = name
        self._clock = clock
        self._entropy = entropy
        self._min_s = min_s
        self._max_s = max_s

    async def __call__(self, step: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of a step that may be repeated whole."""
        failures = 0
        while True:
            try:
                return await step()
            except Unavailable as error:
                failures += 1
                pause_s = backoff_s(failures, self._min_s, self._max_s, self._entropy)
                pause_s = max(pause_s, min(error.retry_after_s, self._max_s))
                log.warning(
                    "a step of replication waits",
                    part=self._name,
                    code=str(error.code),
                    reason=error.message,
                    pause_s=round(pause_s, 3),
                )
                await self._clock.sleep(pause_s)
