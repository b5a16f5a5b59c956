"""Letting others in, between values that are worked on one after the other on the event loop.

Each value is small enough to be worked on in place, or has to be; many of them are not. A coroutine that says
how large each was lets others in as soon as they come to `TURN_MAX_BYTES` (`Yielding`). What many requests
have done at the same moment, each in place, is done one after the other, with others in between (`Pacer`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

TURN_MAX_BYTES: Final = 65_536
"""Of JSON that is decoded, and turned into something else, without a pause: some milliseconds."""


class Yielding:
    """Counts what has been worked on since others were last let in. All who work on one loop may share it."""

    def __init__(self) -> None:
        self._worked_bytes = 0
        self.pauses = 0
        """How often others were let in."""

    async def after(self, size_bytes: int) -> None:
        """Let others in, when what was worked on comes to a turn.

        Args:
            size_bytes: Of the value that was just worked on.
        """
        assert size_bytes >= 0, "a value has a size"
        self._worked_bytes += size_bytes
        if self._worked_bytes >= TURN_MAX_BYTES:
            self._worked_bytes = 0
            self.pauses += 1
            await asyncio.sleep(0)


class Pacer:
    """Has whoever waits go on in the order in which they came, one in each iteration of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        """No more than there are requests."""
        self._is_paused = False

    async def admit(self) -> None:
        """Return in an iteration in which nobody else is admitted."""
        loop = asyncio.get_running_loop()
        if not self._is_paused:
            self._is_paused = True
            loop.call_soon(self._admit_next)
            return
        admitted: asyncio.Future[None] = loop.create_future()
        self._waiting.append(admitted)
        await admitted

    def _admit_next(self) -> None:
        while self._waiting:
            admitted = self._waiting.popleft()
            if not admitted.done():  # whoever left has cancelled theirs
                admitted.set_result(None)
                asyncio.get_running_loop().call_soon(self._admit_next)
                return
        self._is_paused = False
