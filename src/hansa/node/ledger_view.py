"""The state of the ledger, for pages and figures: the engine is queried every `FRESH_FOR_S` at most."""

from __future__ import annotations

import asyncio
from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import HansaError
from hansa.pubsub.bus import Bus, LedgerStatus

FRESH_FOR_S: Final = 0.5
TIMEOUT_S: Final = 2.0


class LedgerView:
    """The ledger's last known state; `problem` says why there is none, or no newer one."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._refreshing = asyncio.Lock()
        self._read_at_s: float | None = None
        self.status: LedgerStatus | None = None
        self.problem: str | None = "the ledger has not been queried yet"

    async def refresh(self) -> LedgerStatus | None:
        """The ledger's state now; None while it is not available."""
        async with self._refreshing:
            now_s = self._clock.monotonic()
            if self._read_at_s is None or now_s - self._read_at_s >= FRESH_FOR_S:
                await self._read()
                self._read_at_s = self._clock.monotonic()
        return self.status if self.problem is None else None

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self.status = await self._bus.ledger()
            self.problem = None
        except TimeoutError:
            self.problem = "the engine does not answer"
        except HansaError as error:
            self.problem = error.message
