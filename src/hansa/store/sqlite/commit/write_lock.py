"""The lock on the writing connection: one holder at a time, in the order of the requests.

States: *free*; *locked*, by a transaction or by a commit. When it becomes free, a number of those who wait
    are
*woken* together, and acquire it one after the other within one turn of the event loop: a turn of the loop for
each would let everything that arrives meanwhile in between. One that is woken and finds it locked, because
one woken before waits for something while it holds the lock, waits on in its old place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class WriteLock:
    """The lock."""

    def __init__(self, on_free: Callable[[], None], wake_max: Callable[[], int]) -> None:
        """A free lock.

        Args:
            on_free: Called when it is free and nobody is woken or waits.
            wake_max: Returns how many may be woken together.
        """
        self._loop = asyncio.get_running_loop()
        self._on_free = on_free
        self._wake_max = wake_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._tickets = 0
        self._woken = 0
        self.is_locked = False

    def __len__(self) -> int:
        """How many hold it, are woken or wait."""
        return self.is_locked + self._woken + len(self._waiting)

    @property
    def has_woken(self) -> bool:
        """Whether somebody is about to acquire it."""
        return self._woken > 0

    async def acquire(self) -> None:
        """Wait until it is free, and lock it."""
        if self.is_locked or self._woken or self._waiting:
            self._tickets += 1
            await self._wait(self._tickets)
        assert not self.is_locked, "one holder at a time"
        self.is_locked = True

    def acquire_free(self) -> None:
        """Lock it, where it is free and nobody is about to acquire it."""
        assert not self.is_locked, "one holder at a time"
        assert not self._woken, "those who are woken come first"
        self.is_locked = True

    def release(self) -> None:
        """The holder has finished."""
        assert self.is_locked, "only a holder releases"
        self.is_locked = False
        self._wake()

    async def _wait(self, ticket: int) -> None:
        while True:
            turn: asyncio.Future[None] = self._loop.create_future()
            place = 0
            if self._waiting and self._waiting[-1][0] < ticket:
                self._waiting.append((ticket, turn))
            else:
                while place < len(self._waiting) and self._waiting[place][0] < ticket:
                    place += 1
                self._waiting.insert(place, (ticket, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._woken -= 1
                    if not self.is_locked:
                        self._wake()
                raise
            self._woken -= 1
            assert self._woken >= 0, "each that is woken runs once"
            if not self.is_locked:
                return

    def _wake(self) -> None:
        if self._woken:
            return
        room = self._wake_max()
        while self._waiting and self._woken < room:
            _, turn = self._waiting.popleft()
            if not turn.done():
                self._woken += 1
                turn.set_result(None)
        if not self._woken:
            self._on_free()
