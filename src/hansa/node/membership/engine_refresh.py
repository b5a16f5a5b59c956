"""Starts the engine again when the league has decided something that the engine reads at its start alone.

That is the heartbeat, the size of a transaction, room for what waits of more members; and who may be a peer,
which the engine checks when a peer connects, and never again. The members take turns, in the order of their
DIDs, so that the others go on meanwhile. A member that changes its engines again and again cannot keep the
engines of the others from working: there is one such start in `PAUSE_MIN_S` at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock
from hansa.core.errors import Unavailable

POLL_S: Final = 5.0
TURN_S: Final = 5.0
"""For which the engine of one member is away at most."""
PAUSE_MIN_S: Final = 600.0


class EngineRefresh:
    """Starts one engine again when it has to be.

    Args:
        is_outdated: Whether the engine runs with settings that are not those of the league now.
        has_foreign_peers: Whether it is connected to an engine that may not be a peer. Raises `Unavailable`.
        turn: Number of this member among all, from 0.
        restart: Has the engine started again.
        clock: For the pauses.
        logger: Gets a record of each start.
    """

    def __init__(
        self,
        is_outdated: Callable[[], bool],
        has_foreign_peers: Callable[[], Awaitable[bool]],
        turn: Callable[[], int],
        restart: Callable[[], None],
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._is_outdated = is_outdated
        self._has_foreign_peers = has_foreign_peers
        self._turn = turn
        self._restart = restart
        self._clock = clock
        self._logger = logger

    async def run(self) -> None:
        """Look at the engine every `POLL_S`, until cancelled."""
        while True:
            await self._clock.sleep(POLL_S)
            if await self._reason() is None:
                continue
            await self._clock.sleep(POLL_S + TURN_S * self._turn())
            reason = await self._reason()
            if reason is not None:
                self._logger.warning("engine_refreshed", reason=reason)
                self._restart()
                await self._clock.sleep(PAUSE_MIN_S)

    async def _reason(self) -> str | None:
        """Why the engine has to be started again; None when it need not be."""
        if self._is_outdated():
            return "limits changed"
        try:
            return "peer removed" if await self._has_foreign_peers() else None
        except Unavailable:
            return None
