"""Detects an engine that runs but makes no progress, and has it restarted.

An engine can run and be healthy by its own account, and yet never get another block: it waits for something
that each of its peers believes to have sent, or its peers wait for something that it believes to have sent.
It never recovers from that by itself, and it logs nothing. A restart helps, because then all peers exchange
their states anew.

States, checked every `CHECK_S`, and every `FIRST_CHECK_S` until it has answered since its start:

    progressing  it has moved since the last check, by a block or by a step towards one, or there is nothing
                 to move for
    behind       others have blocks that it lacks, and it does not move
    waiting      transactions wait for a block, and it does not move. It is the same while the league has no
                 quorum
    silent       it does not answer, although it has answered since its start. Before its first answer it may
                 replay blocks for any length of time
    quiet        nothing to move for, and yet several heartbeats of the league have passed without a block,
                 although peers enough for a quorum are connected

Behind or silent for `stall_s`, or waiting for twice that, or quiet for `HEARTBEATS_MISSED_MAX` heartbeats and
`stall_s`, it is killed, and its supervisor starts it. When that did not help, the time until the next attempt
doubles, up to `STALL_MAX_S`, and is reset by its next block while it is not behind.

An engine that executes blocks on a busy machine answers late and moves slowly, and is not stuck: while its
application uses the processor, all these times are `BUSY_FACTOR` times as long. They are no longer than that,
because strangers can keep an application busy beside an engine that is stuck.

Peers report their heights themselves. One that exaggerates gains nothing: what counts is the height that more
than half of the peers claim to have reached. Fewer that tell the truth are seen by the missing heartbeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.pubsub.engine.process import Supervised

CHECK_S: Final = 5.0
FIRST_CHECK_S: Final = 0.2
"""One that stops between its first answer and the next check is not known to have answered at all."""
ANSWER_TIMEOUT_S: Final = 5.0
STALL_MAX_S: Final = 3600.0
HEARTBEATS_MISSED_MAX: Final = 3
BUSY_SHARE: Final = 0.1
"""Of one processor, used by the application since the stall began."""
BUSY_FACTOR: Final = 5.0


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
    validators: int = 0
    """Number of the league's validators; 0: unknown."""
    peer_rounds: tuple[tuple[int, int], ...] = ()
    """Height and round that each of its peers says to be in."""

    @property
    def is_behind(self) -> bool:
        """Whether more than half of its peers have a block that it lacks."""
        return 2 * sum(height > self.height for height in self.peer_heights) > len(self.peer_heights)

    @property
    def has_quorum(self) -> bool:
        """Whether it and its peers are more than two thirds of the validators, by their number."""
        return 0 < 2 * self.validators < 3 * (len(self.peer_heights) + 1)

    def has_moved_from(self, before: EngineProgress) -> bool:
        """Whether it has moved since an earlier answer."""
        return (self.height, self.step) != (before.height, before.step)


class _Stall(msgspec.Struct, frozen=True):
    """An engine that does not move."""

    is_quiet: bool
    """Whether it has nothing to move for but the heartbeat."""
    since_s: float
    noticed_at_s: float
    cpu_s: float | None
    """Processor time of its application when it was noticed."""


class Busyness(Protocol):
    """What the watch looks at of the application's process."""

    @property
    def cpu_s(self) -> float | None:
        """Processor time that it has used, in seconds; None when that is not known."""


class EngineWatch:
    """Watches one engine.

    Args:
        engine: Its process.
        application: The process of its application.
        progress: Queries how far it is. Raises `Unavailable`.
        stall_s: How long it may be behind or silent.
        heartbeat_s: Longest time between two blocks of a league that has a quorum, as it is decided now.
        clock: For the pauses.
        logger: Gets a record whenever it is killed.
    """

    def __init__(
        self,
        engine: Supervised,
        application: Busyness,
        progress: Callable[[], Awaitable[EngineProgress]],
        stall_s: float,
        heartbeat_s: Callable[[], float],
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._engine = engine
        self._application = application
        self._progress = progress
        self._stall_s = stall_s
        self._heartbeat_s = heartbeat_s
        self._restarts = 0
        """Since its last new block."""
        self._clock = clock
        self._logger = logger
        self._starts = 0
        self._before: EngineProgress | None = None
        """Its last answer; None before the first since its start."""
        self._moved_at_s = 0.0
        self._stall: _Stall | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            pause_s = FIRST_CHECK_S if self._before is None else CHECK_S
            await self._clock.sleep(min(pause_s, self._stall_s))
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
        now_s = self._clock.monotonic()
        if self._starts != self._engine.starts:
            self._starts, self._before, self._stall = self._engine.starts, None, None
        before = self._before
        has_moved = progress is not None and (before is None or progress.has_moved_from(before))
        if progress is not None:
            self._before = progress
            if before is not None and progress.height > before.height and not progress.is_behind:
                self._restarts = 0
        if has_moved:
            self._moved_at_s = now_s
        if before is None or has_moved:
            self._stall = None
            return None
        return self._check_stall(progress, now_s)

    def _check_stall(self, progress: EngineProgress | None, now_s: float) -> float | None:
        """For how long an engine that did not move has been in a state that it should leave, if too long."""
        is_quiet = progress is not None and not progress.is_behind and not progress.transactions_waiting
        if is_quiet and not (progress is not None and progress.has_quorum):
            self._stall = None
            return None
        if self._stall is None or self._stall.is_quiet is not is_quiet:
            since_s = self._moved_at_s if is_quiet else now_s
            self._stall = _Stall(is_quiet, since_s, now_s, self._application.cpu_s)
        is_waiting = progress is not None and not progress.is_behind
        quiet_s = HEARTBEATS_MISSED_MAX * self._heartbeat_s() + self._stall_s
        limit_s = quiet_s if is_quiet else self._stall_s * (1 + is_waiting)
        patience_s = backoff_s(self._restarts + 1, limit_s, max(limit_s, STALL_MAX_S))
        if self._is_busy(self._stall, now_s):
            patience_s *= BUSY_FACTOR
        stalled_for_s = now_s - self._stall.since_s
        return stalled_for_s if stalled_for_s >= patience_s else None

    def _is_busy(self, stall: _Stall, now_s: float) -> bool:
        """Whether the application has used the processor since the stall was noticed."""
        used_s = self._application.cpu_s
        if used_s is None or stall.cpu_s is None:
            return False
        return used_s - stall.cpu_s > BUSY_SHARE * (now_s - stall.noticed_at_s)
