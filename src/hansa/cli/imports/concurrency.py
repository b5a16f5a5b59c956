"""How many requests of an import run at once, and how long it goes on while a marketplace does not respond.

The limit of requests in flight grows by one for each full round of responses, and is halved when the
marketplace is overloaded (429, 503): additive increase, multiplicative decrease. No request starts before the
time that the marketplace requested (`Retry-After`) has passed. `Patience` bounds the attempts while there is
no response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock
from hansa.core.errors import HansaError

REQUESTS_MAX: Final = 32
BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 2.0


class ConcurrencyLimit:
    """Lets requests through, as many at a time as the marketplace takes."""

    def __init__(self, clock: Clock, requests_max: int = REQUESTS_MAX) -> None:
        self._clock = clock
        self._requests_max = requests_max
        self._limit = float(requests_max)
        self._in_flight = 0
        self._held_until_s = 0.0
        self._changed = asyncio.Condition()

    @property
    def current(self) -> int:
        """Requests that may run at once now; one at least."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a request may run; it counts as running inside of the context."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._in_flight < self.current)
                hold_s = self._held_until_s - self._clock.monotonic()
                if hold_s <= 0:
                    self._in_flight += 1
                    break
            await self._clock.sleep(hold_s)
        try:
            yield
        finally:
            self._in_flight -= 1
            assert self._in_flight >= 0, "a slot was given back twice"
            async with self._changed:
                self._changed.notify()

    def on_success(self) -> None:
        """The marketplace responded: raise the limit a little."""
        self._limit = min(self._requests_max, self._limit + 1 / self._limit)

    def on_overload(self, hold_s: float) -> None:
        """The marketplace is overloaded: halve the limit, and start no request for `hold_s` seconds."""
        now_s = self._clock.monotonic()
        if self._held_until_s <= now_s:  # requests that meet the same overload halve the limit once
            self._limit = max(1.0, self._limit / 2)
        self._held_until_s = max(self._held_until_s, now_s + hold_s)


class Patience:
    """How long failing requests are repeated: `patience_s` seconds since the last success.

    Before the first response at all nothing is repeated, so that a wrong address is reported at once.
    """

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._failing_since_s: float | None = None
        self._has_responded = False

    def on_success(self) -> None:
        """A request succeeded: the next failure is the first of its row."""
        self._has_responded = True
        self._failing_since_s = None

    async def wait(self, failures: int, error: HansaError, *, has_responded: bool = False) -> None:
        """Wait before the next attempt of a request.

        Args:
            failures: Attempts of the request that failed, 1 and more.
            error: Why the last one failed.
            has_responded: Whether the marketplace did respond, though it could not serve the request.

        Raises:
            HansaError: `error`, when no further attempt is to be made.
        """
        self._has_responded = self._has_responded or has_responded
        now_s = self._clock.monotonic()
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if not self._has_responded or now_s - self._failing_since_s >= self._patience_s:
            raise error
        await self._clock.sleep(backoff_s(failures, BACKOFF_MIN_S, BACKOFF_MAX_S))
