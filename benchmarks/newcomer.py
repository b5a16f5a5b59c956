"""`python -m benchmarks.newcomer SOURCE FOLDER HEIGHT`: join a ledger by its snapshot, fill its history.

SOURCE has the state of another member and its snapshots; what it hands out is read beforehand, so that the
times are those of the newcomer alone. Writes what it measured to its output, as JSON.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import msgspec
import structlog

from benchmarks.processes import BenchmarkError, memory_of
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.history.filling import HistoryFiller
from hansa.pubsub.ledger.history.segment import decompressed, segment_of
from hansa.pubsub.ledger.reading import LedgerFile
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder, StoredSnapshot
from hansa.pubsub.ledger.snapshots.manifest import FORMAT
from hansa.pubsub.ledger.snapshots.service import Offer, Verdict, snapshot_service
from hansa.pubsub.ledger.sqlite_state import SqliteState


class Joined(msgspec.Struct, frozen=True):
    """What joining took."""

    restored_s: float
    history_events_per_s: float
    longest_slice_s: float
    """For which the engine would have waited at most."""
    memory_before_bytes: int
    """Resident, when the state was there."""
    memory_bytes: int
    """The same, when the history was."""
    restarted_s: float


class Newcomer:
    """A ledger application without a ledger."""

    def __init__(self, folder: Path, chain_id: str) -> None:
        folder.mkdir()
        self.state = SqliteState(folder / "state.db")
        logger = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
        self._service = snapshot_service(self.state, chain_id, folder / "snapshots", logger)
        self._application = LedgerApplication(self.state, snapshots=self._service)

    def restore(self, snapshot: StoredSnapshot) -> None:
        """Begin with a snapshot."""
        manifest, raw = snapshot.manifest, snapshot.manifest.write()
        chunks = [snapshot.chunk(index) or b"" for index in range(len(manifest.chunks))]
        digest = hashlib.sha256(raw).digest()
        offer = self._service.offer(manifest.height, FORMAT, len(chunks), digest, raw, manifest.app_hash)
        applied = [self._service.apply(index, chunk, "peer") for index, chunk in enumerate(chunks)]
        if offer is not Offer.ACCEPT or any(one.verdict is not Verdict.ACCEPT for one in applied):
            raise BenchmarkError("A snapshot of the benchmark is refused.")
        self._application.begin_at_snapshot()

    def fill(self, segments: Path) -> Iterator[float]:
        """Fill the history; the time of each slice."""
        filler = HistoryFiller(self.state)
        while (missing := filler.missing) is not None:
            raw = (segments / str(segment_of(missing.first_position))).read_bytes()
            begun = perf_counter()
            for pause_s in filler.fill(decompressed(raw)):
                yield perf_counter() - begun
                time.sleep(pause_s)
                begun = perf_counter()


def write_segments(source: Path, folder: Path) -> None:
    """What the other member hands out of its history."""
    folder.mkdir()
    file = LedgerFile(source, lambda: None)
    with file.reader() as reader:
        for number in range(segment_of(reader.head().position) + 1):
            (folder / str(number)).write_bytes(reader.history_segment(number))
    file.close()


def join(source: Path, folder: Path, height: int) -> Joined:
    """Join a ledger."""
    snapshot = SnapshotFolder(source / "snapshots").find(height)
    if snapshot is None:
        raise BenchmarkError("There is no snapshot.")
    folder.mkdir()
    write_segments(source / "state.db", folder / "segments")
    one = Newcomer(folder / "newcomer", snapshot.manifest.chain_id)
    begun = perf_counter()
    one.restore(snapshot)
    restored_s = perf_counter() - begun
    before, events = memory_of(os.getpid()), one.state.head.position
    begun = perf_counter()
    longest_s = max(one.fill(folder / "segments"))
    filled_s = perf_counter() - begun
    after = memory_of(os.getpid())
    app_hash = one.state.head.app_hash
    one.state.close()
    begun = perf_counter()
    again = SqliteState(folder / "newcomer" / "state.db")
    restarted_s = perf_counter() - begun
    if again.head.app_hash != app_hash:
        raise BenchmarkError("The newcomer has another ledger after its restart.")
    again.close()
    return Joined(
        restored_s=restored_s,
        history_events_per_s=events / filled_s,
        longest_slice_s=longest_s,
        memory_before_bytes=0 if before is None else before.rss_bytes,
        memory_bytes=0 if after is None else after.rss_bytes,
        restarted_s=restarted_s,
    )


def main() -> None:
    """`newcomer SOURCE FOLDER HEIGHT`."""
    joined = join(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(msgspec.json.encode(joined).decode() + "\n")


if __name__ == "__main__":
    main()
