"""What joining costs, by size: a small ledger here, one of a million events with `make joining`."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from hansa.core.clock import SystemClock
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.history.filling import HistoryFiller
from hansa.pubsub.ledger.history.segment import decompressed, segment_of
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.snapshots.service import Verdict
from hansa.pubsub.ledger.sqlite_state import SqliteState
from tests.support.ledgers import Ledger
from tests.unit.pubsub.test_ledger_snapshots import Newcomer, take

EVENTS = int(os.environ.get("JOIN_EVENTS", "1000"))
CLAIMS = int(os.environ.get("JOIN_CLAIMS", "500"))
BATCH = 100
CLOCK = SystemClock()
UNLIMITED = LedgerParams(
    issuer_burst_s=86_400, issuer_events_per_s=10**6, issuer_bytes_per_s=10**8, issuer_bytes_per_day=2**50
)


def generate(path: Path) -> Ledger:
    """A ledger of so many events and claims, by the state machine alone."""
    ledger = Ledger(path, UNLIMITED)
    names = [f"e{number}" for number in range(CLAIMS)]
    for first in range(0, EVENTS, BATCH):
        events = [
            ledger.lubeck.event(names[at % CLAIMS], "Create" if at < CLAIMS else "AttributeValueChange")
            for at in range(first, first + BATCH)
        ]
        assert ledger.commit(ledger.lubeck.batch(*events)) == [None]
    return ledger


def slices(newcomer: Newcomer, reader: LedgerReader) -> Iterator[float]:
    """Fill the history; how long the engine would have waited for each slice."""
    filler = HistoryFiller(newcomer.state)
    while (missing := filler.missing) is not None:
        steps = filler.fill(decompressed(reader.history_segment(segment_of(missing.first_position))))
        started_s = CLOCK.monotonic()
        for _ in steps:
            yield CLOCK.monotonic() - started_s
            started_s = CLOCK.monotonic()


def test_a_newcomer_has_the_state_and_then_the_history(tmp_path: Path) -> None:
    source = generate(tmp_path / "source.db")
    started_s = CLOCK.monotonic()
    snapshot = take(source, tmp_path / "taken")
    taken_s = CLOCK.monotonic() - started_s
    size_bytes = sum(chunk.size for chunk in snapshot.manifest.chunks)
    (tmp_path / "newcomer").mkdir()
    newcomer = Newcomer(tmp_path / "newcomer")
    started_s = CLOCK.monotonic()
    newcomer.offer(snapshot.manifest)
    for index in range(len(snapshot.manifest.chunks)):
        assert newcomer.service.apply(index, snapshot.chunk(index) or b"", "p").verdict is Verdict.ACCEPT
    restored_s = CLOCK.monotonic() - started_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started_s, used_s = CLOCK.monotonic(), process_time()
    longest_s = max(slices(newcomer, LedgerReader(source.state.connection)))
    filled_s, used_s = CLOCK.monotonic() - started_s, process_time() - used_s
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    newcomer.state.close()
    started_s = CLOCK.monotonic()
    again = SqliteState(tmp_path / "newcomer" / "state.db")
    sys.stdout.write(
        f"\n{EVENTS} events, {CLAIMS} claims: snapshot of {size_bytes / 1e6:.1f} MB taken in {taken_s:.1f} s, restored in "
        f"{restored_s:.1f} s; history at {EVENTS / filled_s:.0f} events/s with segments made here ({EVENTS / used_s:.0f} by "
        f"processor time), longest slice {1000 * longest_s:.0f} ms, memory grown by {grown / 1024:.0f} MB; restart in "
        f"{CLOCK.monotonic() - started_s:.1f} s\n"
    )
    assert again.head.app_hash == source.state.head.app_hash
    assert LedgerReader(again.connection).missing() is None
    again.close()
