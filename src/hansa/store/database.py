"""SQLite connections: opened with the right settings, migrated, and speaking our errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import apsw

from hansa.core.errors import Code, Fatal, Unavailable
from hansa.store.schema import APPLICATION_ID, MIGRATIONS

Synchronous = Literal["full", "normal"]

PAGE_SIZE_BYTES: Final = 8192
WAL_PAGES_BEFORE_CHECKPOINT: Final = 2000
STATEMENT_CACHE_ROWS: Final = 256
BUSY_TIMEOUT_MS: Final = 5000
CACHE_SIZE_KIB: Final = 65536

_FULL: Final = (apsw.FullError, apsw.IOError)
_DAMAGED: Final = (apsw.NotADBError, apsw.CorruptError)


def full(error: Exception) -> Unavailable:
    """The error for a write that did not fit."""
    return Unavailable(
        Code.DISK_FULL, "The catalogue store cannot write: the disk is full or failing.", retry_after_s=30.0
    )


@contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except _FULL as error:
        raise full(error) from error
    except _DAMAGED as error:
        raise Fatal(Code.STORE_DAMAGED, f"{path} is damaged or not a catalogue store. Restore it.") from error


def connect(path: Path | None, *, read_only: bool = False, synchronous: Synchronous = "full") -> apsw.Connection:
    """A connection with the store's settings; without `path`, a database in memory."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(
        str(path) if path is not None else ":memory:", flags=flags, statementcachesize=STATEMENT_CACHE_ROWS
    )
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    if not read_only:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_BEFORE_CHECKPOINT}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_SIZE_KIB}")
    return connection


def migrate(connection: apsw.Connection, path: str, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the schema up to date.

    Raises:
        Fatal: `Code.STORE_NEWER` or `Code.STORE_DAMAGED`.
    """
    version = _number(connection, "PRAGMA user_version")
    application = _number(connection, "PRAGMA application_id")
    if application != APPLICATION_ID and (application or version or _number(connection, "SELECT count(*) FROM sqlite_master")):
        raise Fatal(Code.STORE_DAMAGED, f"{path} is a database of something else.")
    if version > len(migrations):
        raise Fatal(
            Code.STORE_NEWER,
            f"{path} was written by a newer release (schema {version}; this one knows {len(migrations)}). "
            "Run that release, or restore a backup made by this one.",
        )
    for number in range(version + 1, len(migrations) + 1):
        with connection:
            connection.execute(migrations[number - 1])
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _number(connection: apsw.Connection, sql: str) -> int:
    value: Any = connection.execute(sql).get
    return int(value)
