"""Detects an engine that runs but makes no progress, and has it restarted.

An engine can run and be healthy by its own account, and yet never get another block: it waits for something
that each of its peers believes to have sent, or its peers wait for something that it believes to have sent.
It never recovers from that by itself, and it logs nothing. A restart helps, because then all peers exchange
their states anew.

States, checked every `CHECK_S`:

    progressing  it has moved since the last check, by a block or by a step towards one, or there is nothing
                 to move for
    behind       others have blocks that it lacks, and it does not move
    waiting      transactions wait for a block, and it does not move. It is the same while the league has no
                 quorum
    silent       it does not answer, although it has answered since its start. Before its first answer it may
                 replay blocks for any length of time

Behind or silent for `stall_s`, or waiting for twice that, it is killed, and its supervisor starts it. When
that did not help, the time until the next attempt doubles, up to `STALL_MAX_S`, and is reset by its next
block.

Peers report their heights themselves. One that exaggerates gains nothing: what counts is the height that more
than a third of the peers claim to have reached, and the worst that several could cause is a restart now and
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.pubsub.engine.process import Supervised

CHECK_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 5.0
STALL_MAX_S: Final = 3600.0


class EngineProgress(msgspec.Struct, frozen=True):
    """How far an engine is, and how far its peers are."""

    height: int
    """Of the newest block that it has."""
    step: str
    """Height, round and step of the block that is being decided."""
    transactions_waiting: int
    """For a block, as far as it knows."""
    peer_heights: tuple[int, ...]
    """Of the newest block that each of its peers says to have."""

    @property
    def is_behind(self) -> bool:
        """Whether more than a third of its peers have a block that it lacks."""
        return 3 * sum(height > self.height for height in self.peer_heights) > len(self.peer_heights)

    def is_progress_from(self, before: EngineProgress) -> bool:
        """Whether it has moved since an earlier answer, or has nothing to move for."""
        has_moved = (self.height, self.step) != (before.height, before.step)
        return has_moved or not (self.is_behind or self.transactions_waiting)


class EngineWatch:
    """Watches one engine.

    Args:
        engine: Its process.
        progress: Queries how far it is. Raises `Unavailable`.
        stall_s: How long it may be behind or silent.
        clock: For the pauses.
        logger: Gets a record whenever it is killed.
    """

    def __init__(
        self,
        engine: Supervised,
        progress: Callable[[], Awaitable[EngineProgress]],
        stall_s: float,
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._engine = engine
        self._progress = progress
        self._stall_s = stall_s
        self._restarts = 0
        """Since its last new block."""
        self._clock = clock
        self._logger = logger
        self._starts = 0
        self._before: EngineProgress | None = None
        """Its last answer; None before the first since its start."""
        self._stalled_at_s: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self._clock.sleep(min(CHECK_S, self._stall_s))
            stalled_for_s = self._stalled_for_s(await self._query())
            if stalled_for_s is not None:
                self._restart(stalled_for_s)

    def _restart(self, stalled_for_s: float) -> None:
        self._logger.warning(
            "engine_stalled",
            stalled_for_s=round(stalled_for_s, 3),
            last_progress=msgspec.to_builtins(self._before),
        )
        self._restarts += 1
        self._engine.kill()

    async def _query(self) -> EngineProgress | None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._progress()
        except (Unavailable, TimeoutError):
            return None

    def _stalled_for_s(self, progress: EngineProgress | None) -> float | None:
        """For how long it has made no progress, by its last answer; None unless that is too long."""
        if self._starts != self._engine.starts:
            self._starts, self._before, self._stalled_at_s = self._engine.starts, None, None
        before = self._before
        if progress is not None:
            self._before = progress
            if before is not None and progress.height > before.height:
                self._restarts = 0
        if before is None or (progress is not None and progress.is_progress_from(before)):
            self._stalled_at_s = None
            return None
        now_s = self._clock.monotonic()
        if self._stalled_at_s is None:
            self._stalled_at_s = now_s
        stalled_for_s = now_s - self._stalled_at_s
        is_only_waiting = progress is not None and not progress.is_behind
        limit_s = backoff_s(self._restarts + 1, self._stall_s, max(self._stall_s, STALL_MAX_S))
        return stalled_for_s if stalled_for_s >= limit_s * (1 + is_only_waiting) else None
