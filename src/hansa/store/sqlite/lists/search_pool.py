"""Searches in worker threads, so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A few searches run at once, and a bounded number waits. A search
whose caller is cancelled is stopped, and so is one that takes too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.thread_work import run_in_thread
from hansa.store.sql import Row
from hansa.store.sqlite.database.connection import as_ours, connect
from hansa.store.sqlite.database.functions import Functions
from hansa.store.sqlite.lists.statements import Statement

SEARCHES_AT_ONCE: Final = 2
SEARCHES_WAITING_MAX: Final = 64
STEPS_PER_CHECK: Final = 20_000
"""Steps of SQLite's machine between two checks whether a search has to stop; some milliseconds."""

T = TypeVar("T")


class TooSlow(Exception):
    """A search was stopped because it had taken too long."""


class _Worker:
    """A connection for one search at a time, which stops itself when the search is cancelled or late.

    Interrupting alone is not enough: SQLite forgets an interrupt that arrives before the statement runs.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.connection = connect(path, "searching")
        self.functions = Functions(self.connection)
        self._clock = clock
        self._is_cancelled = False
        self._deadline_s: float | None = None
        self.is_late = False
        """Whether the last search reached its deadline."""
        self.connection.set_progress_handler(self._has_to_stop, STEPS_PER_CHECK)

    def start(self, timeout_s: float | None) -> None:
        """A search is about to run, for so long at most."""
        self._is_cancelled = self.is_late = False
        self._deadline_s = None if timeout_s is None else self._clock.monotonic() + timeout_s

    def cancel(self) -> None:
        """End the search that runs, soon."""
        self._is_cancelled = True
        self.connection.interrupt()

    def _has_to_stop(self) -> bool:
        """Called from a worker thread every `STEPS_PER_CHECK` steps."""
        if self._deadline_s is not None and self._clock.monotonic() >= self._deadline_s:
            self.is_late = True
        return self._is_cancelled or self.is_late


class SearchPool:
    """The worker threads and their connections."""

    def __init__(self, path: Path, clock: Clock, timeout_s: float) -> None:
        self._path = path
        self._clock = clock
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="hansa-search")
        self._slots = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._searches = 0
        """How many run or wait."""
        self._is_closed = False
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()

    async def fetch(self, statement: Statement) -> list[Row]:
        """The rows of a statement; there should be few.

        Raises:
            TooSlow: it took longer than a search may.
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """

        def work(worker: _Worker) -> list[Row]:
            worker.functions.prepare(statement.tests)
            return worker.connection.execute(statement.sql, statement.parameters).fetchall()

        return await self._queued(work, self._timeout_s)

    async def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Work that reads, however long it takes, in a worker thread with a connection of its own.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """
        return await self._queued(lambda worker: work(worker.connection), None)

    async def _queued(self, work: Callable[[_Worker], T], timeout_s: float | None) -> T:
        if self._searches >= SEARCHES_AT_ONCE + SEARCHES_WAITING_MAX:
            raise Unavailable(
                Code.OVERLOADED, "Too many searches without an index are waiting; try again shortly."
            )
        self._searches += 1
        try:
            async with self._slots:
                return await self._run(work, timeout_s)
        except apsw.Error as error:
            raise as_ours(error, str(self._path)) from error
        finally:
            self._searches -= 1
            assert self._searches >= 0, "every search is counted once"

    async def _run(self, work: Callable[[_Worker], T], timeout_s: float | None) -> T:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        worker = self._idle.pop() if self._idle else _Worker(self._path, self._clock)
        assert worker not in self._busy, "a connection runs one search at a time"
        worker.start(timeout_s)
        self._busy.add(worker)
        try:
            return await run_in_thread(self._threads, partial(work, worker), worker.cancel)
        except apsw.InterruptError:
            if worker.is_late:
                raise TooSlow from None
            raise
        finally:
            self._busy.discard(worker)
            self._idle.append(worker)

    def close(self) -> None:
        """End the threads; searches that run are stopped."""
        self._is_closed = True
        for worker in self._busy:
            worker.cancel()
        self._threads.shutdown(wait=True)
        for worker in (*self._idle, *self._busy):
            worker.connection.close()
