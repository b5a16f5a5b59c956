"""Keeps deliveries from slowing down the writes that cause them.

Sending notifications takes time on the event loop that serves the API. As long as no write waits for the
store, the hub takes what it needs. While writes are waiting, it takes a small share: each of its steps is
timed, and the next one starts only when enough time has passed for the share to be met. So ten thousand
listeners cannot slow down a create; they are notified later, and catch up when the marketplace is less busy.

Whether writes are waiting is sampled before every step. That one waits can be chance; *pressure* is a running
mean over the last samples, and only pressure above a threshold counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from hansa.core.clock import Clock
from hansa.core.measured_work import MeasuredWork

SHARE: Final = 0.12
"""Of the loop's time, for the hub, under pressure."""
UNSEEN_FACTOR: Final = 2.0
"""What a step is charged for each second that it is seen to run: the transport's callbacks run outside of
it."""
SAMPLES: Final = 16
"""Over which pressure is a mean."""
PRESSURE_MIN: Final = 0.1
PAUSE_MAX_S: Final = 0.25
"""After which a waiting step samples the pressure again."""

T = TypeVar("T")


class Throttle:
    """Lets the hub's steps run, one after the other under pressure."""

    def __init__(self, clock: Clock, writes_waiting: Callable[[], int]) -> None:
        self._clock = clock
        self._writes_waiting = writes_waiting
        self._pressure = 0.0
        self._usual_s = 0.0
        """What a step costs, as a running mean."""
        self._free_at_s = 0.0
        """When the next step may start."""
        self._gate = asyncio.Lock()

    async def run(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a step as soon as its turn comes."""
        await self._wait_for_turn()
        timed = MeasuredWork(step(), self._clock.monotonic)
        try:
            return await timed
        finally:
            assert timed.seconds >= 0, "the clock is monotonic"
            self._charge(timed.seconds - self._usual_s)
            self._usual_s += (timed.seconds - self._usual_s) / SAMPLES

    async def _wait_for_turn(self) -> None:
        async with self._gate:
            while True:
                self._sample_pressure()
                now_s = self._clock.monotonic()
                if self._pressure < PRESSURE_MIN:
                    self._free_at_s = now_s
                if self._free_at_s <= now_s:
                    break
                await self._clock.sleep(min(self._free_at_s - now_s, PAUSE_MAX_S))
            # Steps overlap: this one is charged what steps usually cost, before it is known what it does.
            self._charge(self._usual_s)

    def _sample_pressure(self) -> None:
        self._pressure += ((self._writes_waiting() > 0) - self._pressure) / SAMPLES

    def _charge(self, seconds: float) -> None:
        free_at_s = max(self._free_at_s, self._clock.monotonic())
        self._free_at_s = free_at_s + seconds * UNSEEN_FACTOR / SHARE
