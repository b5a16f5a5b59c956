"""One `hansa serve` per folder.

The lock is the kernel's (`flock`), so it ends with the process, however that ends. The file holds the number
of the process for the message alone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hansa.core.errors import Code, Fatal


class FolderLock:
    """Held from `with` to its end.

    Args:
        path: The lock file.
        folder: How the folder is called in the message.

    Raises:
        Fatal: on entering; `Code.FOLDER_IN_USE`, naming the process, or `Code.SETTINGS_INVALID`.
    """

    def __init__(self, path: Path, folder: str) -> None:
        self._path = path
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Fatal(Code.SETTINGS_INVALID, f"{self._path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Fatal(
                Code.FOLDER_IN_USE,
                f"Another `hansa serve` runs on {self._folder}: process {holder}. Stop it, or use it.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
