"""Lists that no index serves, answered in worker threads so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A few searches run at once, a bounded number waits, one whose caller is
gone is stopped, and so is one that has taken too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.store.sql import Row
from hansa.store.sqlite.connection import as_ours, connect
from hansa.store.sqlite.functions import Functions
from hansa.store.sqlite.lists.planner import Statement

SEARCHES_AT_ONCE: Final = 2
SEARCHES_WAITING_MAX: Final = 64
STEPS_BETWEEN_QUESTIONS: Final = 20_000
"""Of SQLite's machine; some milliseconds."""

T = TypeVar("T")


class TooSlow(Exception):
    """A search was stopped because it had taken too long."""


class _Worker:
    """A connection, and whether its search is still wanted. Asked from a worker thread every so many steps.

    Interrupting alone is not enough: SQLite forgets an interrupt that comes before the statement runs.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.connection = connect(path, "searching")
        self.functions = Functions(self.connection)
        self._clock = clock
        self._is_unwanted = False
        self._deadline_s: float | None = None
        self.is_late = False
        self.connection.set_progress_handler(self._has_to_stop, STEPS_BETWEEN_QUESTIONS)

    def start(self, timeout_s: float | None) -> None:
        """A new search is wanted, for so long."""
        self._is_unwanted = self.is_late = False
        self._deadline_s = None if timeout_s is None else self._clock.monotonic() + timeout_s

    def stop(self) -> None:
        """End the search that runs, soon."""
        self._is_unwanted = True
        self.connection.interrupt()

    def _has_to_stop(self) -> bool:
        if self._deadline_s is not None and self._clock.monotonic() >= self._deadline_s:
            self.is_late = True
        return self._is_unwanted or self.is_late


class SearchPool:
    """The worker threads and their connections."""

    def __init__(self, path: Path, clock: Clock, timeout_s: float) -> None:
        self._path = path
        self._clock = clock
        self._timeout_s = timeout_s
        self._workers = ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="hansa-search")
        self._slots = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._asked = 0
        self._is_closed = False
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def fetch(self, statement: Statement) -> list[Row]:
        """The rows of a statement; there should be few.

        Raises:
            TooSlow: it took longer than a search may.
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """

        def work(lane: _Worker) -> list[Row]:
            lane.functions.tests = statement.tests
            return lane.connection.execute(statement.sql, statement.parameters).fetchall()

        return await self._queued(work, self._timeout_s)

    async def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Work that reads, however long it takes, in a worker thread with a connection of its own."""
        return await self._queued(lambda lane: work(lane.connection), None)

    async def _queued(self, work: Callable[[_Worker], T], timeout_s: float | None) -> T:
        if self._asked >= SEARCHES_AT_ONCE + SEARCHES_WAITING_MAX:
            raise Unavailable(
                Code.OVERLOADED, "Too many searches without an index are waiting; try again shortly."
            )
        self._asked += 1
        try:
            async with self._slots:
                return await self._run(work, timeout_s)
        except apsw.Error as error:
            raise as_ours(error, str(self._path)) from error
        finally:
            self._asked -= 1

    async def _run(self, work: Callable[[_Worker], T], timeout_s: float | None) -> T:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        lane = self._idle.pop() if self._idle else _Worker(self._path, self._clock)
        lane.start(timeout_s)
        self._busy.add(lane)
        running = asyncio.get_running_loop().run_in_executor(self._workers, work, lane)
        try:
            return await asyncio.shield(running)
        except apsw.InterruptError:
            if lane.is_late:
                raise TooSlow from None
            raise
        except asyncio.CancelledError:
            # The thread has the connection until it notices.
            lane.stop()
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # nobody else will ask how it ended
            raise
        finally:
            self._busy.discard(lane)
            self._idle.append(lane)

    def close(self) -> None:
        """End the threads; searches that run are stopped."""
        self._is_closed = True
        for lane in self._busy:
            lane.stop()
        self._workers.shutdown(wait=True)
        for lane in (*self._idle, *self._busy):
            lane.connection.close()
