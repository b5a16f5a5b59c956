"""The state of the ledger, for pages and figures: the engine is queried every `FRESH_FOR_S` at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.pubsub.ledger_records import LedgerStatus

FRESH_FOR_S: Final = 0.5
TIMEOUT_S: Final = 2.0


class LedgerView:
    """The ledger's last known state; `problem` says why there is none, or no newer one."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        waiting: Callable[[], Awaitable[WaitingFigures]],
        processes: Callable[[], object] = lambda: None,
    ) -> None:
        """Query when asked.

        Args:
            bus: Whose ledger it is.
            clock: For how long an answer is fresh.
            waiting: Queries how much waits for a block.
            processes: Identifies the processes behind the bus: an answer of earlier ones is not fresh.
        """
        self._bus = bus
        self._clock = clock
        self._waiting = waiting
        self._processes = processes
        self._answered_by: object = None
        self._refreshing = asyncio.Lock()
        self._read_at_s: float | None = None
        self.status: LedgerStatus | None = None
        self.problem: str | None = "the ledger has not been queried yet"

    async def refresh(self) -> LedgerStatus | None:
        """The ledger's state now; None while it is not available."""
        async with self._refreshing:
            now_s, processes = self._clock.monotonic(), self._processes()
            is_fresh = self._read_at_s is not None and now_s - self._read_at_s < FRESH_FOR_S
            if not is_fresh or processes != self._answered_by:
                self._answered_by = processes
                await self._read()
                self._read_at_s = self._clock.monotonic()
        return self.status if self.problem is None else None

    async def waiting(self) -> WaitingFigures | None:
        """How much waits for a block now; None while the ledger application does not answer."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._waiting()
        except (TimeoutError, HansaError):
            return None

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self.status = await self._bus.ledger()
            self.problem = None
        except TimeoutError:
            self.problem = "the engine does not answer"
        except HansaError as error:
            self.problem = error.message
