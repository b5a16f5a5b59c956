"""The write-ahead log, copied into the database beside the event loop.

A commit appends to the log; a *checkpoint* copies what is in it into the database, synchronises that, and lets the log
begin anew. For a log of some megabytes it takes tens of milliseconds, so a worker thread does it with a connection of
its own while the loop goes on reading and writing.

States: *idle*; *copying*, from the commit that makes the log long; *copied*, when the thread is done. Only a log that has
been copied to its end begins anew, and meanwhile more has been appended: the first commit after that copies the little
that is left itself. A commit that finds the log very long waits for the thread, so the log is bounded under any load.

Failure: a checkpoint that fails (the disk is full) leaves everything in the log, where it is safe, and the next commit
tries again.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import apsw

CHECKPOINT_PAGES: Final = 1000
"""Length of the log from which it is copied."""
LOG_PAGES_MAX: Final = 8000
"""Length at which a commit waits for the thread."""
BUSY_TIMEOUT_MS: Final = 1000


class Checkpoints:
    """Copies the log of one database, when its writing connection has made it long."""

    def __init__(self, writing: apsw.Connection, path: Path) -> None:
        self._writing = writing
        self._copying = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self._copying.set_busy_timeout(BUSY_TIMEOUT_MS)
        ((synchronous,),) = writing.execute("PRAGMA synchronous").fetchall()
        self._copying.execute(f"PRAGMA synchronous = {synchronous}")
        self._copying.execute("PRAGMA wal_autocheckpoint = 0")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hansa-checkpoint")
        self._run: Future[None] | None = None
        writing.set_wal_hook(self._committed)

    def _committed(self, connection: apsw.Connection, _: str, pages: int) -> int:
        """Called by SQLite after each commit, with the length of the log; must not raise."""
        if pages < CHECKPOINT_PAGES:
            return apsw.SQLITE_OK
        if self._run is None:
            self._run = self._worker.submit(_copy, self._copying)
        elif self._run.done() or pages >= LOG_PAGES_MAX:
            wait([self._run])
            self._run = None
            _copy(connection)
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Wait for the thread. Closing the last connection copies the rest."""
        self._writing.set_wal_hook(None)
        self._worker.shutdown(wait=True)
        self._copying.close()


def _copy(connection: apsw.Connection) -> None:
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error:
        return  # the log keeps everything, and the next commit tries again
