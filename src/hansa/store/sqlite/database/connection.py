"""SQLite connections: opened with the right settings, brought up to date, and speaking our errors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal

import apsw

from hansa.core.database_failures import database_failure, is_damage, schema_version
from hansa.core.errors import Code, Fatal, HansaError, Unavailable
from hansa.core.files import RESTORE_IT
from hansa.store.sqlite.database.schema import APPLICATION_ID, MIGRATIONS

Synchronous = Literal["full", "normal", "off"]
Role = Literal["writing", "reading", "searching"]

PAGE_SIZE_BYTES: Final = 4096
"""A write touches half a dozen pages in as many places: what it costs is their size."""
STATEMENTS_CACHED: Final = 256
BUSY_TIMEOUT_MS: Final = 1000
MAPPED_MAX_BYTES: Final = 1 << 30
"""So much of the file is read through the memory of the system's own cache, without copying pages."""
CACHE_SIZE_KIB: Final = 8192
"""Of a connection; the one that writes is then allowed what the limits say."""


def as_ours(error: apsw.Error, path: str) -> HansaError | apsw.Error:
    """What an error of SQLite means to an operator; itself, when it is a mistake in our SQL."""
    if is_damage(error):
        return Fatal(Code.STORE_DAMAGED, f"{path} is damaged, or is no catalogue store: restore a backup.")
    if isinstance(error, apsw.FullError | apsw.IOError):
        return Unavailable(
            Code.DISK_FULL, "The catalogue store cannot write: its disk is full or failing.", 30.0
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.ReadOnlyError):
        return Unavailable(
            Code.UNAVAILABLE, "The catalogue store is locked by another process or read-only.", 5.0
        )
    if isinstance(error, apsw.InterruptError):
        return Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
    return error


def connect(path: Path, role: Role) -> apsw.Connection:
    """A connection for a role; the file is made only for the writing one. Raises what SQLite raises."""
    writing = role == "writing"
    connection = apsw.Connection(
        str(path),
        flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if writing else apsw.SQLITE_OPEN_READONLY,
        statementcachesize=STATEMENTS_CACHED,
    )
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.execute(f"PRAGMA cache_size = -{CACHE_SIZE_KIB}")
    if not writing:
        connection.execute(f"PRAGMA mmap_size = {MAPPED_MAX_BYTES}")
    return connection


def open_for_writing(
    path: Path, synchronous: Synchronous, migrations: Sequence[str] = MIGRATIONS
) -> apsw.Connection:
    """The writing connection of a store, created or migrated. A file of something else stays untouched.

    Raises:
        Fatal: `Code.STORE_NEWER`, `Code.STORE_DAMAGED`, `Code.DISK_FULL`, `Code.FOLDER_IN_USE`, or
            `Code.SETTINGS_INVALID` when the file cannot be opened at all.
    """
    try:
        connection = connect(path, "writing")
        try:
            _prepare(connection, path, synchronous, migrations)
        except BaseException:
            connection.close()
            raise
    except apsw.Error as error:
        raise (database_failure(error, str(path), RESTORE_IT) or error) from error
    return connection


def _prepare(
    connection: apsw.Connection, path: Path, synchronous: Synchronous, migrations: Sequence[str]
) -> None:
    version = schema_version(connection, str(path), APPLICATION_ID, len(migrations), "a catalogue store")
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
    if version == 0 and migrations is MIGRATIONS and is_empty_and_ours(connection):
        _copy(_empty_store(), connection)
        version = len(migrations)
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    _migrate(connection, version, migrations)
    if version < len(migrations):  # a conversion can be larger than the log may be in the long run
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _migrate(connection: apsw.Connection, version: int, migrations: Sequence[str]) -> None:
    for number in range(version + 1, len(migrations) + 1):
        with connection:
            connection.execute(migrations[number - 1])
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def is_empty_and_ours(connection: apsw.Connection) -> bool:
    """Whether a database is still empty, now that no other process can write into it."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    return bool(connection.pragma("user_version") == 0)


@cache
def _empty_store() -> bytes:
    """The file of a store without entities: copied in one transaction, a new one waits for the disk once."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE_BYTES}")
        _migrate(connection, 0, MIGRATIONS)
        connection.execute("VACUUM")
        return connection.serialize("main")
    finally:
        connection.close()


def _copy(database: bytes, connection: apsw.Connection) -> None:
    """Make the database of a connection, which is empty, a copy of another one."""
    source = apsw.Connection(":memory:")
    try:
        source.deserialize("main", database)
        with connection.backup("main", source, "main") as backup:
            backup.step()
    finally:
        source.close()
