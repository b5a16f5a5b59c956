"""Worker threads that read the ledger's state, so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A `Lane` bounds how many readings run at once, how many wait, and
how long one may take; what strangers read and what this member itself reads have a lane each, so that no
number of strangers holds up publishing or following. Whoever is one too many is refused at once, and told
when to come again.

Consensus runs on the same cores. So a lane may have a share of one core's time: when its readings have used
up what they saved meanwhile (`BURST_S` at most), the next ones wait. A page now and then comes at once, and
any number of readers that go on and on together take no more than the share. What a reading used is the time
that it took, so a busy machine leaves the readers even less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.measured_work import add_work
from hansa.core.thread_work import run_in_thread
from hansa.pubsub.ledger.reading.file import LedgerFile
from hansa.pubsub.ledger.reading.reader import LedgerReader

STRANGERS_AT_ONCE_MAX: Final = 2
RETRY_S: Final = 1.0
BURST_S: Final = 0.25
PAUSE_MIN_S: Final = 0.001
CHARGE_MAX_S: Final = 0.1
"""A single slow reading (the disk is busy) does not shut out those after it for long."""

T = TypeVar("T")


class Lane(msgspec.Struct, frozen=True):
    """Bounds of what is read for somebody."""

    name: str
    at_once_max: int
    waiting_max: int
    timeout_s: float
    """Of one reading, once it runs."""
    share: float | None = None
    """Of one core's time, for all readings together; None for no bound."""


OWN_LANE: Final = Lane("own", at_once_max=2, waiting_max=1024, timeout_s=10.0)
"""For what a member reads itself: to publish, to follow, and to know the members."""


def strangers_lane(limits: Limits) -> Lane:
    """For what strangers read, by `ledger_read…` and `ledger_reads…` of the limits."""
    return Lane(
        "strangers",
        STRANGERS_AT_ONCE_MAX,
        limits.ledger_reads_waiting_max,
        limits.ledger_read_timeout_s,
        limits.ledger_read_share,
    )


class _Worker:
    """A connection for one reading at a time, which stops itself when it is cancelled or late."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.file = LedgerFile(path, self._check)
        self._clock = clock
        self.used_s = 0.0
        """By the last reading."""
        self._deadline_s = 0.0
        self._is_cancelled = False

    def start(self, timeout_s: float) -> None:
        """A reading is about to run, for so long at most."""
        self._deadline_s = self._clock.monotonic() + timeout_s
        self._is_cancelled = False

    def cancel(self) -> None:
        """End the reading that runs, soon; called from another thread."""
        self._is_cancelled = True

    def run(self, work: Callable[[LedgerReader], T]) -> T:
        """Read, in a worker thread."""
        started_at_s = self._clock.monotonic()
        try:
            with self.file.reader() as reader:
                return work(reader)
        finally:
            self.used_s = self._clock.monotonic() - started_at_s

    def _check(self) -> None:
        if self._is_cancelled:
            raise Unavailable(Code.UNAVAILABLE, "The ledger's reader is closing.")
        if self._clock.monotonic() >= self._deadline_s:
            raise Unavailable(
                Code.SEARCH_TOO_SLOW, "Reading the ledger takes too long; request less at once.", RETRY_S
            )


class ReaderPool:
    """The threads and connections of a lane. Used on one event loop, and closed."""

    def __init__(self, path: Path, clock: Clock, lane: Lane) -> None:
        self._path = path
        self._clock = clock
        self._lane = lane
        self._threads = ThreadPoolExecutor(lane.at_once_max, thread_name_prefix=f"ledger-{lane.name}")
        self._slots = asyncio.Semaphore(lane.at_once_max)
        self._readings = 0
        """How many run or wait."""
        self._saved_s = BURST_S
        """Of the share and not used yet; negative when more was used."""
        self._saved_at_s = clock.monotonic()
        self._is_closed = False
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def run(self, work: Callable[[LedgerReader], T]) -> T:
        """What `work` returns; it runs in a worker thread, and returns soon.

        Raises:
            Unavailable: `Code.UNAVAILABLE` when too many wait, or the state cannot be read;
                `Code.SEARCH_TOO_SLOW` when it took longer than the lane allows.
        """
        if self._readings >= self._lane.at_once_max + self._lane.waiting_max:
            raise Unavailable(Code.UNAVAILABLE, "Too many readings of the ledger are waiting.", RETRY_S)
        self._readings += 1
        try:
            async with self._slots:
                await self._wait_for_share()
                return await self._run(work)
        finally:
            self._readings -= 1
            assert self._readings >= 0, "every reading is counted once"

    async def _run(self, work: Callable[[LedgerReader], T]) -> T:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The ledger's reader is closed.")
        worker = self._idle.pop() if self._idle else _Worker(self._path, self._clock)
        worker.start(self._lane.timeout_s)
        self._busy.add(worker)
        try:
            return await run_in_thread(self._threads, partial(worker.run, work), worker.cancel)
        finally:
            self._busy.discard(worker)
            self._idle.append(worker)
            self._saved_s -= min(worker.used_s, CHARGE_MAX_S)
            add_work(worker.used_s)

    async def _wait_for_share(self) -> None:
        """Wait until the lane's readings have not used more than their share."""
        share = self._lane.share
        if share is None:
            return
        while True:
            now_s = self._clock.monotonic()
            self._saved_s = min(BURST_S, self._saved_s + share * (now_s - self._saved_at_s))
            self._saved_at_s = now_s
            if self._saved_s >= 0:
                return
            await self._clock.sleep(max(-self._saved_s / share, PAUSE_MIN_S))

    def close(self) -> None:
        """End the threads; readings that run are stopped."""
        self._is_closed = True
        for worker in self._busy:
            worker.cancel()
        self._threads.shutdown(wait=True)
        for worker in (*self._idle, *self._busy):
            worker.file.close()
