"""A small file system for the folder of a member, that can be filled to the last byte."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DISK_SIZE_MB: Final = 160
CHUNK: Final = b"\0" * 1_048_576


class DiskMissing(Exception):
    """This machine lets nobody mount file systems."""


class Disk:
    """A file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, leave_bytes: int = 0) -> None:
        """Leave so many bytes to others."""
        with self._filler.open("ab", buffering=0) as filler:
            while (free := shutil.disk_usage(self.folder).free) > leave_bytes:
                filler.write(CHUNK[: min(len(CHUNK), free - leave_bytes)])

    def free(self) -> None:
        """Give everything back."""
        self._filler.unlink()


@contextlib.contextmanager
def mounted_disk(folder: Path) -> Iterator[Disk]:
    """Put what is in a folder on a file system of its own.

    Raises:
        DiskMissing: when that is not possible here.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        raise DiskMissing("mounting a small file system needs Linux and root")
    original = folder.with_name(f"{folder.name}.original")
    folder.rename(original)
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE_MB}m,mode=700", "hansa-test", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DiskMissing(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(original, folder, dirs_exist_ok=True)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607
