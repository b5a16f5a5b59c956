"""The ledger's state file, opened to read beside the process that writes it.

The file may be missing (the ledger has not begun), be removed and rebuilt while it is open (another inode
then), be of another release, be damaged, or be under recovery after a crash. Each is `Unavailable` for as
long as it lasts: the next reading opens the file anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
import structlog

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.ledger.reading.pages import StateDamaged
from hansa.pubsub.ledger.reading.reader import LedgerReader
from hansa.pubsub.ledger.storage.schema import APPLICATION_ID, SCHEMA_VERSION

BUSY_TIMEOUT_MS: Final = 500
"""The writer holds readers up only while it recovers the write-ahead log."""
CACHE_SIZE_KIB: Final = 8192
"""The file is not mapped into memory: one that somebody truncates would end the process."""
STEPS_PER_CHECK: Final = 20_000
"""Steps of SQLite's machine between two checks of the time; less than a millisecond."""
RETRY_S: Final = 1.0
DAMAGED_RETRY_S: Final = 30.0

_Identity = tuple[int, int]

log = structlog.get_logger("hansa.pubsub")


class LedgerFile:
    """The state in a file, for one thread at a time.

    Args:
        path: The file.
        check: Called while an answer is made; raises when the time for it is over.
    """

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        self._path = path
        self._check = check
        self._connection: apsw.Connection | None = None
        self._reader: LedgerReader | None = None
        self._identity: _Identity | None = None
        """Device and inode of the open file."""
        self._is_reported = False
        """Whether the log says already that the file cannot be read."""

    @contextmanager
    def reader(self) -> Iterator[LedgerReader]:
        """Read the file that has the path now.

        Raises:
            Unavailable: it cannot be read now.
        """
        try:
            yield self._open()
        except apsw.Error as error:
            self.close()
            raise self._unavailable(error) from error
        except (StateDamaged, *UNREADABLE) as error:
            self.close()
            raise self._damaged(error) from error
        self._is_reported = False

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._reader = self._identity = None

    def _open(self) -> LedgerReader:
        identity = _identity_of(self._path)
        if self._reader is not None and identity == self._identity:
            return self._reader
        self.close()
        self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._connection.set_progress_handler(self._must_stop, STEPS_PER_CHECK)
        self._connection.pragma("cache_size", -CACHE_SIZE_KIB)
        self._check_version(self._connection)
        # The log is opened by its name at the first reading: it has to be that of the file that is open.
        if _identity_of(self._path) != identity:
            self.close()
            raise Unavailable(Code.UNAVAILABLE, "The ledger's state is being rebuilt.", RETRY_S)
        self._identity = identity
        self._reader = LedgerReader(self._connection, self._check)
        return self._reader

    def _check_version(self, connection: apsw.Connection) -> None:
        application, version = connection.pragma("application_id"), connection.pragma("user_version")
        if (application, version) == (0, 0):
            self.close()
            raise Unavailable(Code.UNAVAILABLE, "The ledger has not begun yet.", RETRY_S)
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            self.close()
            raise Unavailable(
                Code.UNAVAILABLE, "The ledger's state is of another release of Hansa.", DAMAGED_RETRY_S
            )

    def _must_stop(self) -> bool:
        """Called by SQLite every `STEPS_PER_CHECK` steps; what it raises ends the statement."""
        self._check()
        return False

    def _unavailable(self, error: apsw.Error) -> Unavailable:
        """What an error of SQLite means to somebody who reads. A mistake in our SQL is raised as it is."""
        if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.CantOpenError | apsw.ReadOnlyError):
            return Unavailable(Code.UNAVAILABLE, "The ledger's state cannot be read just now.", RETRY_S)
        if not isinstance(error, apsw.NotADBError | apsw.CorruptError | apsw.IOError | apsw.FullError):
            raise error
        return self._damaged(error)

    def _damaged(self, error: Exception) -> Unavailable:
        if not self._is_reported:
            log.error("ledger_state_unreadable", path=str(self._path), reason=str(error)[:200])
            self._is_reported = True
        return Unavailable(
            Code.UNAVAILABLE,
            "The ledger's state cannot be read: it is damaged, or its disk fails.",
            DAMAGED_RETRY_S,
        )


def _identity_of(path: Path) -> _Identity:
    """Device and inode. As long as a file is open, no other file has its inode."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise Unavailable(Code.UNAVAILABLE, "The ledger has not begun yet.", RETRY_S) from error
    except OSError as error:
        raise Unavailable(Code.UNAVAILABLE, "The ledger's state cannot be read.", DAMAGED_RETRY_S) from error
    return status.st_dev, status.st_ino
