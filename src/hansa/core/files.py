"""Reading and writing the files of an installation: what is missing is not what cannot be read.

The two need opposite remedies. A missing key comes back from a backup; a key that is there and that this user
may not read needs other permissions, and must by no means be replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Final

from hansa.core.errors import Code, Fatal

FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
RESTORE_IT: Final = "Restore it from a backup: docs/operators/recover.md says how."


def restrict_new_files() -> None:
    """Have this process, and its children, make files, folders and sockets for their owner alone."""
    os.umask(0o077)


def read_file(path: Path, remedy: str = RESTORE_IT) -> bytes:
    """The content of a file.

    Args:
        path: Of the file, as messages name it.
        remedy: A sentence that says what to do when it is missing.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, saying whether it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise read_failure(path, error, remedy) from error


def read_failure(path: Path, error: OSError, remedy: str = RESTORE_IT) -> Fatal:
    """The error for a file that could not be read: missing, or present and unreadable."""
    if isinstance(error, FileNotFoundError):
        return Fatal(Code.SETTINGS_INVALID, f"{path} is missing. {remedy}")
    reason = f"{path} cannot be read: {os.strerror(error.errno) if error.errno else error}."
    if isinstance(error, PermissionError):
        reason += (
            " It is not missing, so do not replace it: give it and its folder back to the user that runs Hansa"
            " (chown, then chmod u+rwX,go-rwx)."
        )
    return Fatal(Code.SETTINGS_INVALID, reason)


def is_missing(path: Path) -> bool:
    """Whether nothing has that name. A link without a target is something.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when it cannot be told, as in a folder of another user.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise read_failure(path, error) from error
    return False


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, durably, readable by its owner alone.

    Others may write the same file meanwhile, as a command beside the marketplace: the last one counts.

    Raises:
        Fatal: `Code.DISK_FULL` or `Code.SETTINGS_INVALID`, naming the file.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise write_failure(path, error) from error


def write_failure(path: Path, error: OSError) -> Fatal:
    """The error for a file or folder that could not be written."""
    code = Code.DISK_FULL if error.errno in FULL_DISK else Code.SETTINGS_INVALID
    return Fatal(code, f"{path} cannot be written: {os.strerror(error.errno) if error.errno else error}.")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, as fsync does for a file's content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_mark(path: Path) -> tuple[int, int, int] | None:
    """What is another one when a file was written anew; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
