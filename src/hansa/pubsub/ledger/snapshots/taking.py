"""Taking snapshots beside the blocks, in a thread, from a read transaction that begins with the block.

Every member takes them at the same heights (each 1,000 blocks, and where the events pass a multiple of
10,000, or of more in a ledger of more than 160,000), and so has the same bytes, which newcomers can get from
several members at once. While one is taken the thread works for a few milliseconds and rests for longer, so
that it never holds the interpreter up for what the engine waits for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import apsw
import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.errors import HansaError
from hansa.pubsub.ledger.commitments.app_hash import Sections
from hansa.pubsub.ledger.commitments.tiles import TreeMissing
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder, chunk_of
from hansa.pubsub.ledger.snapshots.manifest import CHUNK_SIZE_MAX_BYTES, Chunk, StateManifest
from hansa.pubsub.ledger.snapshots.stream import state_stream
from hansa.pubsub.ledger.state import Head
from hansa.pubsub.ledger.storage.schema import HeadRow, select_sql
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

BLOCKS_BETWEEN: Final = 1000
EVENTS_BETWEEN: Final = 10_000
DISTANCES_MAX: Final = 16
"""As often as that, at most, the distance fits into the ledger."""
WORK_S: Final = 0.003
REST_S: Final = 0.006
_BUSY_TIMEOUT_MS: Final = 500


def is_due(before: Head, after: Head) -> bool:
    """Whether a snapshot is taken after a block.

    Args:
        before: The ledger before the block.
        after: The ledger after it.
    """
    events = events_between(after.position)
    return after.height % BLOCKS_BETWEEN == 0 or before.position // events < after.position // events


def events_between(events: int) -> int:
    """After how many events a ledger of so many has its next snapshot.

    What one costs grows with the state. So the distance doubles with the ledger, and a busy league spends no
    larger share of its time on snapshots the longer it lives.
    """
    between = EVENTS_BETWEEN
    while between * DISTANCES_MAX < events:
        between *= 2
    return between


def take_snapshot(
    connection: apsw.Connection, folder: SnapshotFolder, chain_id: str, rest: Callable[[], None]
) -> StateManifest:
    """Write a snapshot of the state that a connection's read transaction sees.

    Args:
        connection: To the state.
        folder: Gets it.
        chain_id: Of the league.
        rest: Called between two parts of work.

    Raises:
        OSError: It cannot be written.
        apsw.Error, TreeMissing, msgspec.DecodeError: The state cannot be read.
    """
    row = connection.execute(select_sql("head", HeadRow)).fetchone()
    assert row is not None, "the ledger has begun"
    head = HeadRow._make(row)
    sections = Sections.decoded(head.sections)
    tables = TreeTables(connection)

    def parts() -> Iterator[bytes | StateManifest]:
        entries: list[Chunk] = []
        for chunk in _chunks(state_stream(tables, sections), rest):
            entries.append(chunk_of(chunk))
            yield chunk
        yield StateManifest(chain_id, head.height, sections, tuple(tables.groups()), tuple(entries))

    return folder.write(head.height, parts())


def _chunks(parts: Iterator[bytes], rest: Callable[[], None]) -> Iterator[bytes]:
    buffer = bytearray()
    for part in parts:
        buffer += part
        while len(buffer) >= CHUNK_SIZE_MAX_BYTES:
            yield bytes(buffer[:CHUNK_SIZE_MAX_BYTES])
            del buffer[:CHUNK_SIZE_MAX_BYTES]
        rest()
    if buffer:
        yield bytes(buffer)


class Rest:
    """Rests after each part of work that took long enough."""

    def __init__(self) -> None:
        self._rest = threading.Event()
        self._since_s = time.thread_time()

    def __call__(self) -> None:
        """Rest, if it is time to."""
        if time.thread_time() - self._since_s >= WORK_S:
            self._rest.wait(REST_S)
            self._since_s = time.thread_time()


class SnapshotTaker:
    """Takes snapshots of one ledger in a thread of its own.

    Args:
        state_file: The ledger's state.
        folder: Gets the snapshots.
        chain_id: Of the league.
        logger: Gets what became of them.
    """

    def __init__(
        self, state_file: Path, folder: SnapshotFolder, chain_id: str, logger: FilteringBoundLogger
    ) -> None:
        self._state_file = state_file
        self._folder = folder
        self._chain_id = chain_id
        self._logger = logger
        self._due: queue.SimpleQueue[apsw.Connection | None] = queue.SimpleQueue()
        self._is_busy = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Be ready to take some."""
        self._folder.prune()
        self._thread.start()

    def stop(self) -> None:
        """Take no more; one that is being taken is left unfinished."""
        self._due.put(None)

    def note(self, before: Head, after: Head) -> None:
        """Take a snapshot after a block that was just committed, if one is due and none is under way."""
        if self._is_busy.is_set() or not is_due(before, after):
            return
        try:
            connection = apsw.Connection(str(self._state_file), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.execute("BEGIN")
            connection.execute(
                "SELECT height FROM head"
            ).fetchall()  # the transaction begins with the first reading
        except apsw.Error as error:
            self._logger.warning("snapshot_failed", height=after.height, reason=str(error)[:200])
            return
        self._is_busy.set()
        self._due.put(connection)

    def _run(self) -> None:
        while (connection := self._due.get()) is not None:
            try:
                manifest = take_snapshot(connection, self._folder, self._chain_id, Rest())
            except (OSError, HansaError, apsw.Error, TreeMissing, msgspec.DecodeError) as error:
                self._logger.warning("snapshot_failed", reason=str(error)[:200])
            else:
                self._logger.info(
                    "snapshot_taken",
                    height=manifest.height,
                    size_bytes=sum(chunk.size for chunk in manifest.chunks),
                )
            finally:
                connection.close()
                self._is_busy.clear()
