"""A lock that one process at a time holds, in a file of its own.

The lock is the kernel's (`flock`), so it ends with the process, however that ends. The file holds the number
of the process for messages alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from hansa.core.errors import Code, Fatal


def acquire_file_lock(path: Path, in_use: Callable[[str], str]) -> int:
    """Take the lock; it ends when the descriptor that is returned is closed.

    Args:
        path: The file, made when it is missing.
        in_use: The message for `Code.FOLDER_IN_USE`, from the number of the process that holds the lock.

    Raises:
        Fatal: `Code.FOLDER_IN_USE`, or `Code.SETTINGS_INVALID` when the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{path} cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Fatal(Code.FOLDER_IN_USE, in_use(holder)) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
