"""How many requests begin in one turn of the event loop, so that a turn stays short.

All requests that have arrived when a turn begins would run in it, one after the other: four hundred clients
with a dear request each made everybody else wait a second. Here a turn begins so many requests at most, and
the others wait for the next ones, a caller after the other. The number follows the turns: it is halved when
one was long, and doubled when they were short and requests had to wait. It stays so low that a turn of dear
requests is short too, which may follow many turns of cheap ones; a request with a query, as a list of a
thousand entities, counts as several. Members and the operator do not wait.

Reading takes time too, before a request begins: a thousand clients can send a lot at one moment. So a turn
reads so many parts of what arrives at most; what else it receives is postponed, and waits as requests do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hansa.node.http.callers import Account, CallerKind

LONG_S: Final = 0.015
SHORT_S: Final = 0.006
BEGUN_AT_FIRST: Final = 32
BEGUN_MAX: Final = 64
QUERY_WEIGHT: Final = 4
"""As so many a request with a query counts."""
READS_MAX: Final = 256
"""Parts that are read in one turn; each takes ten to thirty microseconds."""


def weight_of(target: bytes) -> int:
    """As how many a request counts; dear ones have a query."""
    return QUERY_WEIGHT if b"?" in target else 1


class RequestStarts:
    """Begins requests. Used on one event loop.

    Args:
        monotonic: Seconds since some fixed moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.left = 0
        """So many requests may begin at once in this turn; 0 or less: no more, or no turn is under way."""
        self.reads_left = 0
        """So many parts may be read in this turn; 0: no more, or no turn is under way."""
        self._begun_max = BEGUN_AT_FIRST
        self._waiting: dict[Account, deque[tuple[Callable[[], None], int]]] = {}
        """By caller; whose turn is next comes first."""
        self._is_running = False
        self._began_at_s = 0.0

    def has_room(self, account: Account) -> bool:
        """Whether a request of a caller may begin now; whoever begins it counts it then."""
        return self.left > 0 or not self._is_running or account.kind >= CallerKind.MEMBER

    def count(self, weight: int) -> None:
        """Count a request that began because there was room.

        Args:
            weight: As how many it counts.
        """
        if not self._is_running:
            self._start_counting()
        self.left -= weight

    def begin(self, account: Account, start: Callable[[], None], weight: int) -> None:
        """Begin a request now, or in one of the next turns; whoever has subtracted from `left` begins itself.

        Args:
            account: Of its caller.
            start: Begins it.
            weight: As how many it counts.
        """
        if self.has_room(account):
            self.count(weight)
            start()
        else:
            self.wait(account, start, weight)

    def begin_reading(self) -> bool:
        """Whether a part may be read now, of which none is left; whoever has subtracted one need not ask."""
        if self._is_running:
            return False
        self._start_counting()
        self.reads_left -= 1
        return True

    def wait(self, account: Account, start: Callable[[], None], weight: int) -> None:
        """Begin something in one of the next turns; a turn is under way.

        Args: as of `begin`.
        """
        assert self._is_running, "what waits for a turn gets one"
        self._waiting.setdefault(account, deque()).append((start, weight))

    def _start_counting(self) -> None:
        self._is_running = True
        self.left, self.reads_left = self._begun_max, READS_MAX
        self._began_at_s = self._monotonic()
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        """A turn is over; another one begins what has waited."""
        now_s = self._monotonic()
        elapsed_s, self._began_at_s = now_s - self._began_at_s, now_s
        has_begun = self.left < self._begun_max or self.reads_left < READS_MAX or bool(self._waiting)
        if elapsed_s > LONG_S:
            self._begun_max = max(1, self._begun_max // 2)
        elif self._waiting and elapsed_s < SHORT_S:
            self._begun_max = min(BEGUN_MAX, 2 * self._begun_max)
        if not has_begun:
            self._is_running = False
            self.left = self.reads_left = 0
            return
        self.left, self.reads_left = self._begun_max, READS_MAX
        asyncio.get_running_loop().call_soon(self._next_turn)  # whatever becomes of the requests below
        while self._waiting and self.left > 0:
            account = next(iter(self._waiting))
            starts = self._waiting.pop(account)
            start, weight = starts.popleft()
            if starts:
                self._waiting[account] = starts  # behind the others, and before `start`, which may add to it
            start()
            self.left -= weight
