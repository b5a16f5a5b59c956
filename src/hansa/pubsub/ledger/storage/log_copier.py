"""Copies the write-ahead log into the database beside the blocks: in a thread, on a connection of its own.

Writers and readers go on meanwhile; a block's commit waits for no copy. When all of the log is copied and
nobody reads what is in it, SQLite begins it anew with the next commit. Whoever has the log begun anew by
itself pauses the copies: SQLite lets one connection at a time copy, and refuses the other.
"""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from typing import Final

import apsw

_BUSY_TIMEOUT_MS: Final = 50


class LogCopier:
    """Copies the log of one database. Its thread begins with the first copy.

    Args:
        path: The database.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_due = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._copying = threading.Lock()

    def paused(self) -> AbstractContextManager[object]:
        """While it is entered nothing is copied here; waits for the copy that is under way."""
        return self._copying

    def start_copy(self) -> None:
        """Copy what is in the log now, soon; what fails is tried again with the next copy."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-copier", daemon=True)
            self._thread.start()
        self._is_due.set()

    def close(self) -> None:
        """Copy no more; waits for the copy that is under way."""
        self._is_closed = True
        self._is_due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(apsw.Error):
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READWRITE)
            with contextlib.closing(connection):
                connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
                connection.pragma("wal_autocheckpoint", 0)
                # Before its first reading a connection does not know that there is a log, and copies nothing.
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                while self._is_due.wait() and not self._is_closed:
                    self._is_due.clear()
                    with self._copying, contextlib.suppress(apsw.Error):
                        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
