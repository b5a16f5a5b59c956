"""One `hansa serve` per folder."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hansa.core.file_lock import acquire_file_lock


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
        self._descriptor = acquire_file_lock(
            self._path,
            lambda holder: (
                f"Another `hansa serve` runs on {self._folder}: process {holder}. Stop it, or use it."
            ),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
