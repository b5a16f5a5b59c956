"""Who has the writing connection: one at a time, in the order of asking.

States: *free*; *taken*, by a transaction or by a commit. When it becomes free, those who wait are *called*, a
    number of them together, and take it one after the other within one turn of the event loop: a turn of the
    loop for each would let all that arrives meanwhile in between. Who is called and finds it taken, because
    one called before waits for something while it has it, waits on in its old place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class WriteLock:
    """The turn-taking."""

    def __init__(self, freed: Callable[[], None], call_max: Callable[[], int]) -> None:
        """Nobody has it yet.

        Args:
            freed: Told when it is free and nobody is called or waits.
            call_max: How many may be called together.
        """
        self._loop = asyncio.get_running_loop()
        self._freed = freed
        self._call_max = call_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._tickets = 0
        self._called = 0
        self.is_taken = False

    def __len__(self) -> int:
        """How many have it, are called or wait."""
        return self.is_taken + self._called + len(self._waiting)

    @property
    def is_called(self) -> bool:
        """Whether somebody is about to take it."""
        return self._called > 0

    async def take(self) -> None:
        """Wait until it is free, and take it."""
        if self.is_taken or self._called or self._waiting:
            self._tickets += 1
            await self._wait(self._tickets)
        self.is_taken = True

    def release(self) -> None:
        """Whoever had it is done."""
        self.is_taken = False
        self._call()

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
                    self._called -= 1
                    if not self.is_taken:
                        self._call()
                raise
            self._called -= 1
            if not self.is_taken:
                return

    def _call(self) -> None:
        if self._called:
            return
        room = self._call_max()
        while self._waiting and self._called < room:
            _, turn = self._waiting.popleft()
            if not turn.done():
                self._called += 1
                turn.set_result(None)
        if not self._called:
            self._freed()
