"""The write-ahead log, copied into the database beside the event loop.

A commit appends to the log; a *checkpoint* copies what is in it into the database, synchronises that, and
lets the log begin anew. For a log of some megabytes it takes tens of milliseconds, so a worker thread does it
with a connection of its own while the loop goes on reading and writing.

States: *idle*; *copying*, from the commit that makes the log long. Only a log that has been copied to its end
    begins anew, and while the thread copies, more is appended. So the log is looked at after each commit.
    When the thread is done and little is left, the next commit copies that itself; when more is left, the
    thread goes on; and when the log is very long, the next commit waits for the thread and copies the rest,
    so that the log is bounded under any load.

SQLite synchronises the database only when it has come to the end of the log, and that is in the commit that
copies the rest. So the thread has the system write down what it has copied: the commit then waits for a few
pages instead of thousands.

Failure: a checkpoint that fails (the disk is full) leaves everything in the log, where it is safe, and a
    later commit tries again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apsw

from hansa.store.sqlite.commit.added_rows import Run

CHECKPOINT_PAGES: Final = 8000
"""From so many pages on that are not copied yet, the thread copies."""
REST_PAGES_MAX: Final = 1000
"""So many pages, those of a commit or two, are copied by the commit itself."""
LOG_PAGES_MAX: Final = 32_000
"""Length at which a commit waits for the thread."""
BUSY_TIMEOUT_MS: Final = 1000


class Checkpoints:
    """Copies the log of one database when it is long."""

    def __init__(self, writing: apsw.Connection, path: Path) -> None:
        self._writing = writing
        # Whoever closes a file lets go of all locks that the process has on it (POSIX), so this stays open to
        # the end.
        self._file = os.open(path, os.O_RDONLY)
        self._copying = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self._copying.set_busy_timeout(BUSY_TIMEOUT_MS)
        ((synchronous,),) = writing.execute("PRAGMA synchronous").fetchall()
        self._is_durable = bool(synchronous)
        self._copying.execute(f"PRAGMA synchronous = {synchronous}")
        self._copying.execute("PRAGMA wal_autocheckpoint = 0")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hansa-checkpoint")
        self._run: Future[None] | None = None
        self._is_rest_due = False
        """The next commit copies what is left."""
        writing.execute("PRAGMA wal_autocheckpoint = 0")

    def commit(self, runs: Sequence[Run] = ()) -> None:
        """Commit what the writing connection has begun, in whichever thread; raises what SQLite raises.

        Args:
            runs: Statements that are all of it, where SQLite has begun nothing: one of them commits itself.
        """
        if len(runs) == 1:
            self._writing.execute(*runs[0])
        elif runs:
            with self._writing:
                for run in runs:
                    self._writing.execute(*run)
        else:
            self._writing.execute("COMMIT")
        if self._is_rest_due:
            self._is_rest_due = False
            if self._run is not None:
                self._run.result()
            _copy(self._writing)

    def check(self) -> None:
        """Start copying where the log is long, after a commit."""
        try:
            pages, copied = self._writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        except apsw.Error:
            return  # the next check will show it
        if self._run is not None and self._run.done():
            self._run = None
        if pages < CHECKPOINT_PAGES:
            return
        rest = pages - copied
        if pages >= LOG_PAGES_MAX or (self._run is None and 0 < rest <= REST_PAGES_MAX):
            self._is_rest_due = True
        elif self._run is None and rest > REST_PAGES_MAX:
            self._run = self._worker.submit(self._copy_beside)

    def _copy_beside(self) -> None:
        _copy(self._copying)
        if self._is_durable:
            with contextlib.suppress(OSError):  # the system tells SQLite too, when that synchronises
                os.fsync(self._file)

    def close(self) -> None:
        """Wait for the thread, and copy the rest; all other connections to the file are closed already."""
        self._worker.shutdown(wait=True)
        self._copying.close()
        os.close(self._file)


def _copy(connection: apsw.Connection) -> None:
    """Copy what no reader needs in the log any more; if that fails, the log retains it for a later commit."""
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
