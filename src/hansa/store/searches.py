"""Lists that no index serves, answered in worker threads so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A few searches run at once, a bounded number waits, and one whose caller
is gone is interrupted.
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

T = TypeVar("T")


class Searches:
    """The worker threads and their connections."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._workers = ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="hansa-search")
        self._slots = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._asked = 0
        self._idle: list[apsw.Connection] = []
        self._busy: set[apsw.Connection] = set()

    async def fetch(self, statement: Statement) -> list[Row]:
        """The rows of a statement; there should be few.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting.
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
        connection = self._idle.pop() if self._idle else connect(self._path, "searching")
        self._busy.add(connection)
        running = asyncio.get_running_loop().run_in_executor(self._workers, work, connection)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # The thread has the connection until it notices.
            connection.interrupt()
            await asyncio.wait([running])
            raise
        finally:
            self._busy.discard(connection)
            self._idle.append(connection)

    def close(self) -> None:
        """End the threads; searches that run are interrupted."""
        for connection in self._busy:
            connection.interrupt()
        self._workers.shutdown(wait=True)
        for connection in (*self._idle, *self._busy):
            connection.close()
