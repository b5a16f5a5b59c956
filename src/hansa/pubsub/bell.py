"""Tells waiters that there is a new block."""

from __future__ import annotations

import asyncio

from hansa.core.clock import Clock


class Bell:
    """Rings at new blocks. Whoever waits says which ring they heard last, so none is missed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self.rings = 0

    def ring(self) -> None:
        """Wake everybody."""
        self.rings += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, heard: int, timeout_s: float | None) -> bool:
        """Wait until it has rung more than `heard` times; False when `timeout_s` passed before."""
        if self.rings != heard:
            return True
        if timeout_s is None:
            await self._rung.wait()
            return True
        ring = asyncio.create_task(self._rung.wait())
        alarm = asyncio.create_task(self._clock.sleep(timeout_s))
        try:
            await asyncio.wait({ring, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
            alarm.cancel()
            await asyncio.gather(ring, alarm, return_exceptions=True)
        return self.rings != heard
