"""The snapshots that are stored here: a folder each, named by its height, with the manifest and the chunks.

A folder gets its name when everything in it is written, so what a crash left has another name, and is
removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hansa.core.errors import Refused
from hansa.core.files import sync_folder
from hansa.pubsub.ledger.snapshots.manifest import CHUNK_SIZE_MAX_BYTES, Chunk, StateManifest, read_manifest

SNAPSHOTS_MAX: Final = 2
_PARTIAL: Final = ".partial"
_MANIFEST: Final = "manifest.json"


class StoredSnapshot:
    """A snapshot in its folder.

    Args:
        folder: Its own.
        raw: The manifest.
    """

    def __init__(self, folder: Path, raw: bytes) -> None:
        self._folder = folder
        self.raw = raw
        self.manifest = read_manifest(raw)

    def chunk(self, index: int) -> bytes | None:
        """A chunk; None when there is none, or it cannot be read. Whoever gets it checks it."""
        if not 0 <= index < len(self.manifest.chunks):
            return None
        try:
            with (self._folder / str(index)).open("rb") as file:
                return file.read(CHUNK_SIZE_MAX_BYTES)
        except OSError:
            return None


class SnapshotFolder:
    """All snapshots of one ledger.

    Args:
        folder: For them alone; made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[int, StoredSnapshot] = {}
        """Those that were read, by their heights."""

    def list(self) -> tuple[StoredSnapshot, ...]:
        """All that are whole, newest first."""
        heights = self._heights()
        for height in heights - self._stored.keys():
            folder = self._folder / str(height)
            with contextlib.suppress(OSError, Refused):
                snapshot = StoredSnapshot(folder, (folder / _MANIFEST).read_bytes())
                if snapshot.manifest.height == height:
                    self._stored[height] = snapshot
        for height in self._stored.keys() - heights:
            del self._stored[height]
        return tuple(self._stored[height] for height in sorted(self._stored, reverse=True))

    def find(self, height: int) -> StoredSnapshot | None:
        """That of a height."""
        return next((one for one in self.list() if one.manifest.height == height), None)

    def write(self, height: int, manifest: Iterable[bytes | StateManifest]) -> StateManifest:
        """Write a snapshot, and remove what is older than the newest ones.

        Args:
            height: Of the snapshot.
            manifest: Its chunks, one after another, and at last the manifest.

        Raises:
            OSError: The disk is full, as a rule; nothing is left of it.
        """
        partial = self._folder / f"{height}{_PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        try:
            stored = self._write_parts(partial, manifest)
            partial.rename(self._folder / str(height))
            sync_folder(self._folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.prune()
        return stored

    def _write_parts(self, folder: Path, parts: Iterable[bytes | StateManifest]) -> StateManifest:
        for number, part in enumerate(parts):
            if isinstance(part, StateManifest):
                _write(folder / _MANIFEST, part.write())
                sync_folder(folder)
                return part
            _write(folder / str(number), part)
        raise AssertionError("a snapshot ends with its manifest")

    def prune(self) -> None:
        """Remove all but the newest snapshots, and what was not finished."""
        newest = sorted(self._heights(), reverse=True)[:SNAPSHOTS_MAX]
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if not (path.name.isdecimal() and int(path.name) in newest):
                    shutil.rmtree(path, ignore_errors=True)

    def _heights(self) -> set[int]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:
            return set()
        return {int(name) for name in names if name.isascii() and name.isdecimal()}


def chunk_of(content: bytes) -> Chunk:
    """The entry of a chunk."""
    return Chunk(hashlib.sha256(content).hexdigest(), len(content))


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
