"""The snapshots that are stored here, as strangers read them over HTTP: one at a time, beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from hansa.core.admission import Admission
from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder

WAITING_MAX: Final = 32
"""Requests for a part of a snapshot, of which has some megabytes at most."""

T = TypeVar("T")


class ServedSnapshots:
    """Reads manifests and chunks.

    Args:
        folder: The snapshots, for this reader alone.
    """

    def __init__(self, folder: SnapshotFolder) -> None:
        self._folder = folder
        self._admission = Admission(1, WAITING_MAX - 1, "Too many requests for snapshots are waiting.")

    async def heights(self) -> tuple[int, ...]:
        """Of the snapshots, newest first.

        Raises:
            Unavailable: too many wait.
        """
        return await self._read(lambda: tuple(one.manifest.height for one in self._folder.list()))

    async def manifest(self, height: int) -> bytes:
        """The manifest of the snapshot of a height.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: too many wait.
        """
        snapshot = await self._read(lambda: self._folder.find(height))
        if snapshot is None:
            raise Refused(Code.NOT_FOUND, f"There is no snapshot of height {height:,} here.")
        return snapshot.raw

    async def chunk(self, height: int, index: int) -> bytes:
        """A chunk of the snapshot of a height.

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: too many wait.
        """

        def read() -> bytes | None:
            snapshot = self._folder.find(height)
            return None if snapshot is None else snapshot.chunk(index)

        content = await self._read(read)
        if content is None:
            raise Refused(
                Code.NOT_FOUND, f"There is no part {index:,} of a snapshot of height {height:,} here."
            )
        return content

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._admission(lambda: asyncio.to_thread(work))
