"""How many requests run at once: as many as the marketplace takes.

Each answer lets the width grow a little; "too much" (429, 503) halves it and holds everything back for as long as the
marketplace asks. Where nobody answers, `Patience` says how long to go on trying.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import HansaError

WIDTH_MAX: Final = 32
BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 2.0


class ImportPace:
    """Lets requests through, at most `width` at a time."""

    def __init__(self, clock: Clock, width_max: int = WIDTH_MAX) -> None:
        self._clock = clock
        self._width_max = width_max
        self._width = float(width_max)
        self._in_flight = 0
        self._held_until_s = 0.0
        self._changed = asyncio.Condition()

    @property
    def width(self) -> int:
        """Requests that may run at once now."""
        return max(1, int(self._width))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A request's turn."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._in_flight < self.width)
                held_s = self._held_until_s - self._clock.monotonic()
                if held_s <= 0:
                    self._in_flight += 1
                    break
            await self._clock.sleep(held_s)
        try:
            yield
        finally:
            self._in_flight -= 1
            async with self._changed:
                self._changed.notify()

    def eased(self) -> None:
        """The marketplace answered."""
        self._width = min(self._width_max, self._width + 1 / self._width)

    def slowed(self, hold_s: float) -> None:
        """The marketplace said that it is too much."""
        now_s = self._clock.monotonic()
        if self._held_until_s <= now_s:  # one complaint counts once, however many requests met it
            self._width = max(1.0, self._width / 2)
        self._held_until_s = max(self._held_until_s, now_s + hold_s)


class Patience:
    """Goes on trying for `patience_s` seconds since the last success; where nobody ever answered, not at all.

    Who has the address wrong learns it at once.
    """

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._troubled_since_s: float | None = None
        self._has_worked = False

    def relieved(self) -> None:
        """Something worked."""
        self._has_worked = True
        self._troubled_since_s = None

    async def wait(self, attempt: int, error: HansaError, *, is_there: bool = False) -> None:
        """Wait before the next attempt (the first is 0); raises `error` when patience is at its end.

        `is_there` says that the marketplace did answer, though it could not do what was asked.
        """
        self._has_worked = self._has_worked or is_there
        now_s = self._clock.monotonic()
        if self._troubled_since_s is None:
            self._troubled_since_s = now_s
        if not self._has_worked or now_s - self._troubled_since_s >= self._patience_s:
            raise error
        await self._clock.sleep(min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(attempt, 10)))
