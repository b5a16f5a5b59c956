"""Tells waiters that something happened: a new block, a new row, a job that became ready."""

from __future__ import annotations

import asyncio

from hansa.core.clock import Clock


class Signal:
    """Counts notifications.

    Whoever waits says which count they saw last, so that no notification is missed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self.count = 0
        """Notifications so far."""

    def notify(self) -> None:
        """Wake everybody who waits."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seen: int, timeout_s: float | None = None) -> bool:
        """Wait until there were more than `seen` notifications; False when `timeout_s` passed before."""
        if self.count != seen:
            return True
        if timeout_s is None:
            await self._event.wait()
            return True
        notified = asyncio.create_task(self._event.wait())
        expired = asyncio.create_task(self._clock.sleep(timeout_s))
        try:
            await asyncio.wait({notified, expired}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            notified.cancel()
            expired.cancel()
            await asyncio.gather(notified, expired, return_exceptions=True)
        return self.count != seen
