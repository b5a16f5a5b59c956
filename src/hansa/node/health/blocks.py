"""How long ago the ledger's last block came, and for how long something has been waiting for the next one.

The engine watch queries the engine every few seconds anyway; what it learns is noted here, so that nobody
else has to query it. A block's own time is no measure: it lags behind by up to the heartbeat.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hansa.core.clock import Clock
from hansa.pubsub.engine import EngineProgress


class BlockProgress:
    """When the last block was seen to come, by this process's own clock, and what waits since then.

    Args:
        clock: For the time since then.
        heartbeat_s: The longest time between two blocks of a league with a quorum, as it is decided now.
    """

    def __init__(self, clock: Clock, heartbeat_s: Callable[[], float]) -> None:
        self.heartbeat_s = heartbeat_s
        self._clock = clock
        self._height = 0
        self._height_at_s = clock.monotonic()
        self._transactions_waiting = 0
        self._events_waiting = 0
        self._waiting_at_s: float | None = None
        """Since when something has been seen to wait; None while nothing does."""

    @property
    def since_block_s(self) -> float:
        """Since the last block was seen, or since the start, when none was."""
        return max(0.0, self._clock.monotonic() - self._height_at_s)

    @property
    def stalled_s(self) -> float:
        """For how long something has been waiting without any block; 0 while nothing waits."""
        if self._waiting_at_s is None:
            return 0.0
        return max(0.0, self._clock.monotonic() - max(self._waiting_at_s, self._height_at_s))

    @property
    def waiting(self) -> int:
        """How much waits for a block: transactions in our engine, or own events that are not committed."""
        return max(self._transactions_waiting, self._events_waiting)

    @property
    def transactions_waiting(self) -> int:
        """How many transactions the engine held at its last answer."""
        return self._transactions_waiting

    def note_height(self, height: int) -> None:
        """Take note of the height that the ledger has now."""
        if height > self._height:
            self._height, self._height_at_s = height, self._clock.monotonic()

    def note_events_waiting(self, count: int) -> None:
        """Take note of how many own events are not committed."""
        self._events_waiting = count
        self._note_waiting()

    def noting(
        self, progress: Callable[[], Awaitable[EngineProgress]]
    ) -> Callable[[], Awaitable[EngineProgress]]:
        """The same query; each of its answers is noted."""

        async def query() -> EngineProgress:
            answer = await progress()
            self.note_height(answer.height)
            self._transactions_waiting = answer.transactions_waiting
            self._note_waiting()
            return answer

        return query

    def _note_waiting(self) -> None:
        if not self.waiting:
            self._waiting_at_s = None
        elif self._waiting_at_s is None:
            self._waiting_at_s = self._clock.monotonic()
