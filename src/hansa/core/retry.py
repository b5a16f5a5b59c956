"""Repeating a step until it succeeds, with the pauses of `hansa.core.backoff`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.identifiers import Entropy

_Result = TypeVar("_Result")

log = structlog.get_logger()


class Retry:
    """Repeats a step until the store or the bus lets it through.

    Args:
        name: Whose steps, for the log.
        clock: For the pauses.
        entropy: For their jitter.
        min_s: First pause.
        max_s: Longest pause.
    """

    def __init__(self, name: str, clock: Clock, entropy: Entropy, min_s: float, max_s: float) -> None:
        assert min(min_s, max_s) > 0, "without a pause a failing step would occupy the event loop"
        self._name = name
        self._clock = clock
        self._entropy = entropy
        self._min_s = min_s
        self._max_s = max_s

    async def __call__(self, step: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of a step, which must be one that can be repeated from its beginning.

        `Unavailable` is the error that is repeated; every other one passes through.
        """
        backoff = Backoff(self._min_s, self._max_s, self._entropy)
        while True:
            try:
                return await step()
            except Unavailable as error:
                pause_s = backoff.next_s(error.retry_after_s)
                log.warning(
                    "step_retried",
                    part=self._name,
                    code=str(error.code),
                    reason=error.message,
                    failures=backoff.failures,
                    pause_s=round(pause_s, 3),
                )
                await self._clock.sleep(pause_s)
