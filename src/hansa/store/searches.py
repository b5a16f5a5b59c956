"""Lists that no index serves, answered in worker threads so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A few searches run at once, a bounded number waits, and one whose caller
is gone is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from hansa.core.errors import Code, Unavailable
from hansa.store.database import Row, as_ours, connect
from hansa.store.query import Statement

SEARCHES_AT_ONCE: Final = 2
SEARCHES_WAITING_MAX: Final = 64
STEPS_BETWEEN_QUESTIONS: Final = 20_000
"""Of SQLite's machine; some milliseconds."""

T = TypeVar("T")


class _Lane:
    """A connection, and whether its search is still wanted. Asked from a worker thread every so many steps.

    Interrupting alone is not enough: SQLite forgets an interrupt that comes before the statement runs.
    """

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, "searching")
        self._is_unwanted = False
        self.connection.set_progress_handler(lambda: self._is_unwanted, STEPS_BETWEEN_QUESTIONS)

    def start(self) -> None:
        """A new search is wanted."""
        self._is_unwanted = False

    def stop(self) -> None:
        """End the search that runs, soon."""
        self._is_unwanted = True
        self.connection.interrupt()


class Searches:
    """The worker threads and their connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._workers = ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="hansa-search")
        self._slots = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._asked = 0
        self._is_closed = False
        self._idle: list[_Lane] = []
        self._busy: set[_Lane] = set()

    async def fetch(self, statement: Statement) -> list[Row]:
        """The rows of a statement; there should be few.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """
        return await self.run(
            lambda connection: connection.execute(statement.sql, statement.parameters).fetchall()
        )

    async def run(self, work: Callable[[apsw.Connection], T]) -> T:
        """Work that reads, in a worker thread, with a connection of its own."""
        if self._asked >= SEARCHES_AT_ONCE + SEARCHES_WAITING_MAX:
            raise Unavailable(
                Code.OVERLOADED, "Too many searches without an index are waiting; try again shortly."
            )
        self._asked += 1
        try:
            async with self._slots:
                return await self._run(work)
        except apsw.Error as error:
            raise as_ours(error, str(self._path)) from error
        finally:
            self._asked -= 1

    async def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        lane = self._idle.pop() if self._idle else _Lane(self._path)
        lane.start()
        self._busy.add(lane)
        running = asyncio.get_running_loop().run_in_executor(self._workers, work, lane.connection)
        try:
            return await asyncio.shield(running)
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
