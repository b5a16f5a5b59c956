"""The write-ahead log, copied into the database beside the event loop.

A commit appends to the log; a *checkpoint* copies what is in it into the database, synchronises that, and lets the log
begin anew. For a log of some megabytes it takes tens of milliseconds, so a worker thread does it with a connection of
its own while the loop goes on reading and writing.

States: *idle*; *copying*, from the commit that makes the log long. Only a log that has been copied to its end begins
anew, and while the thread copies, more is appended. So after the thread is done, a commit that finds little left copies
that itself; one that finds more lets the thread go on; and one that finds the log very long waits for the thread and
copies the rest, so that the log is bounded under any load.

Failure: a checkpoint that fails (the disk is full) leaves everything in the log, where it is safe, and the next commit
tries again.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apsw

CHECKPOINT_PAGES: Final = 8000
"""So much that is not copied yet is a matter for the thread."""
REST_PAGES_MAX: Final = 1000
"""So much, a commit or two, is copied by the one who commits."""
LOG_PAGES_MAX: Final = 32_000
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
        self._run: Future[int] | None = None
        self._copied = 0
        """So much of the log is in the database already, as far as we know."""
        writing.set_wal_hook(self._committed)

    def _committed(self, connection: apsw.Connection, _: str, pages: int) -> int:
        """Called by SQLite after each commit, with the length of the log; must not raise."""
        if self._run is not None and (self._run.done() or pages >= LOG_PAGES_MAX):
            self._copied = self._run.result()
            self._run = None
        if pages < self._copied:  # it has begun anew
            self._copied = 0
        rest = pages - self._copied
        if self._run is not None or pages < CHECKPOINT_PAGES:
            return apsw.SQLITE_OK
        if rest <= REST_PAGES_MAX or pages >= LOG_PAGES_MAX:
            self._copied = _copy(connection)
        elif rest >= CHECKPOINT_PAGES:
            self._run = self._worker.submit(_copy, self._copying)
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Wait for the thread. Closing the last connection copies the rest."""
        self._writing.set_wal_hook(None)
        self._worker.shutdown(wait=True)
        self._copying.close()


def _copy(connection: apsw.Connection) -> int:
    """Copy what no reader needs in the log any more; the length that is copied now."""
    try:
        _, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error:
        return 0  # the log keeps everything, and a later commit tries again
    return max(copied, 0)
