"""What it means to an operator that SQLite cannot use a file: one answer for every database of a folder.

A file that may not be opened, one that is damaged and one whose disk is full need opposite remedies: whoever
removes a file to which only the permission is missing loses it.
"""

from __future__ import annotations

from typing import Final

import apsw

from hansa.core.errors import Code, Fatal

_DAMAGE: Final = frozenset({apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS})


def is_damage(error: apsw.Error) -> bool:
    """Whether the content of the file is at fault."""
    return (
        isinstance(error, apsw.NotADBError | apsw.CorruptError)
        or getattr(error, "extendedresult", 0) in _DAMAGE
    )


def schema_version(
    connection: apsw.Connection, path: str, application_id: int, newest: int, what: str
) -> int:
    """The version of the schema that a file has; 0 for one that is new and empty.

    Args:
        connection: To the file.
        path: Of the file, as messages name it.
        application_id: Written into files of this kind, as SQLite's `application_id`.
        newest: The version that this release writes.
        what: Files of this kind hold, for the message.

    Raises:
        Fatal: `Code.STORE_DAMAGED`, for the file of something else; `Code.STORE_NEWER`.
    """
    version, application, tables = (
        int(str(connection.execute(sql).fetchall()[0][0]))
        for sql in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if application not in {0, application_id} or (tables and not (version and application)):
        raise Fatal(Code.STORE_DAMAGED, f"{path} is a database of something else, not {what}.")
    if version > newest:
        raise Fatal(
            Code.STORE_NEWER,
            f"{path} was written by a newer release (its schema is {version}, this release knows {newest}). "
            "Run that release, or restore a backup made by this one.",
        )
    return version


def database_failure(error: apsw.Error, path: str, if_damaged: str) -> Fatal | None:
    """The error that ends a process or command; None for a mistake in our SQL.

    Args:
        error: As SQLite raised it.
        path: Of the file, as messages name it.
        if_damaged: A sentence that says what to do when it is damaged.
    """
    if is_damage(error):
        return Fatal(
            Code.STORE_DAMAGED, f"{path} is damaged, or no database of Hansa ({error}). {if_damaged}"
        )
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return Fatal(
            Code.SETTINGS_INVALID,
            f"{path} cannot be opened for writing ({error}). Do not remove it: have its folder there, and give both "
            "to the user that runs Hansa (chown, then chmod u+rwX,go-rwx).",
        )
    if isinstance(error, apsw.FullError | apsw.IOError):
        return Fatal(
            Code.DISK_FULL, f"{path} cannot be written ({error}): free disk space, then start again."
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return Fatal(Code.FOLDER_IN_USE, f"Another program has locked {path}.")
    return None
