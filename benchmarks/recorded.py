"""A ledger with a long history, written into a state's tables without an engine, and what its pages cost.

One issuer has a single entity, with a third of all events; a few events have a rare name, and blocks come
with pauses of up to some seconds. Signatures and what `app_hash` commits to are left out: readers look at
neither.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from time import perf_counter
from typing import Final

import apsw

from benchmarks.figures import quantile
from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.core.canonical import hashlink
from hansa.core.clock import rfc3339_at_ms
from hansa.core.events import EntityVersion, LifecycleEvent, encode_event, identified
from hansa.pubsub.ledger.commitments.claims import bucket_of, encode_claim
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.reading import LedgerFile, LedgerReader
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.storage.compact import stored_content, stored_jws
from hansa.pubsub.ledger.storage.schema import (
    BatchRow,
    BlockRow,
    EventContentRow,
    EventRow,
    insert_sql,
)
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.ledger_records import Claim, EventFilter

ISSUERS: Final = tuple(f"did:key:zBenchmark{number}" for number in range(4))
TYPE: Final = "ProductOffering"
COMMON: Final = ("productOfferingCreateEvent", "productOfferingStateChangeEvent")
RARE: Final = "productOfferingDeleteEvent"
RARE_EVERY: Final = 100_000
BATCH_SIZES: Final = (1, 3, 20, 100, 100)
ISSUER_NUMBERS: Final = (0, 0, 1, 2, 3)
"""The first issuer, whose events are all of one entity, has twice as many batches as another."""
BEGIN_MS: Final = 1_767_225_600_000
BLOCK_PAUSE_MAX_MS: Final = 3000
JWS: Final = "x" * 420
PAGES: Final = 20


class RecordedLedger:
    """The rows of a ledger, made in the order of its positions."""

    def __init__(self, path: Path, events: int) -> None:
        self.events = events
        self.keys: list[str] = []
        self.end_ms = BEGIN_MS
        self._random = random.Random(1)
        state = SqliteState(path)
        state.write_genesis(AppState(()), BEGIN_MS)
        self._connection = state.connection
        self._connection.pragma("synchronous", "off")
        self._versions: dict[int, tuple[int, str]] = {}
        """Of each claim: the last version, and its hashlink."""
        self._first: dict[int, int] = {}
        """Of each claim: position of its first event."""
        self._claimants: list[int] = []
        """Of each claim: number of its issuer."""
        with self._connection:
            self._connection.executemany(
                "INSERT INTO name VALUES (?, ?)", list(enumerate((*ISSUERS, *COMMON, RARE)))
            )
            self._new_claim(0)
            self._write()
            self._write_claims()
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        state.close()

    def versions_of(self, claim: int) -> int:
        """Number of events of an entity."""
        return self._versions[claim][0]

    def _write(self) -> None:
        execute = self._connection.execute
        position = height = 0
        while position < self.events:
            height += 1
            self.end_ms += self._random.randrange(30, BLOCK_PAUSE_MAX_MS)
            execute(insert_sql("block", BlockRow), BlockRow(height, self.end_ms, position + 1))
            for _ in range(self._random.randrange(1, 4)):
                position = self._write_batch(position, height)
        self.events = position
        execute("UPDATE head SET height = ?, time_ms = ?, events = ?", (height, self.end_ms, position))

    def _write_batch(self, position: int, height: int) -> int:
        first, count = position + 1, self._random.choice(BATCH_SIZES)
        issuer = self._random.choice(ISSUER_NUMBERS)
        self._connection.execute(
            insert_sql("batch", BatchRow), BatchRow(first, count, height, issuer, height, stored_jws(JWS))
        )
        for number in range(first, first + count):
            claim = self._new_claim(issuer) if issuer else 0
            type_number = len(ISSUERS) + self._random.randrange(2)
            if number % RARE_EVERY == RARE_EVERY // 2:
                type_number = len(ISSUERS) + 2
            self._write_event(number, first, issuer, type_number, claim)
        return position + count

    def _new_claim(self, issuer: int) -> int:
        claim = len(self.keys)
        key = hashlib.sha256(b"%d" % claim).digest()
        self.keys.append(key.hex())
        self._claimants.append(issuer)
        return claim

    def _write_claims(self) -> None:
        """The buckets, as far as whoever searches reads them."""
        buckets: dict[int, list[bytes]] = {}
        for number, (version, link) in self._versions.items():
            first, key = self._first[number], self.keys[number]
            claim = Claim(
                key, ISSUERS[self._claimants[number]], first, first, version, link, is_deleted=False
            )
            buckets.setdefault(bucket_of(key), []).append(encode_claim(claim))
        rows = [(bucket, bytes(32), b"".join(sorted(records))) for bucket, records in buckets.items()]
        TreeTables(self._connection).write_buckets(rows)

    def _write_event(self, position: int, batch: int, issuer: int, type_number: int, claim: int) -> None:
        time_ms = self.end_ms - self._random.randrange(500)
        version, previous = self._versions.get(claim, (0, None))
        link = hashlink(b"%d" % position)
        self._versions[claim] = version + 1, link
        first = self._first.setdefault(claim, position)
        event = identified(
            LifecycleEvent(
                id="",
                type=COMMON[0] if version == 0 else COMMON[1],
                time=rfc3339_at_ms(time_ms),
                issuer=ISSUERS[issuer],
                entity=EntityVersion(self.keys[claim], TYPE, version + 1),
                hashlink=link,
                previous=previous,
            )
        )
        self._connection.execute(
            insert_sql("event", EventRow),
            EventRow(position, batch, issuer, type_number, first, time_ms),
        )
        self._connection.execute(
            insert_sql("event_content", EventContentRow),
            EventContentRow(position, stored_content(encode_event(event))),
        )


def measured(reader: LedgerReader, name: str, filter: EventFilter, limit: int) -> Row:
    """One search from the beginning, for `PAGES` pages at most."""
    seconds: list[float] = []
    matches = after = 0
    for _ in range(PAGES):
        started = perf_counter()
        page = reader.events(after, filter, limit, with_proofs=True)
        seconds.append(perf_counter() - started)
        matches += len(page.events)
        after = page.scanned_to
        if after >= page.last_position:
            break
    figures = (
        Figure("page p50", quantile(seconds, 0.5), "seconds"),
        Figure("slowest", max(seconds), "seconds"),
        Figure("pages", len(seconds), "count"),
    )
    return Row(name, (*figures, Figure("events", matches, "count")) if matches else figures)


def pages_table(plan: Plan, folder: Path) -> Table:
    """The table of searches."""
    ledger = RecordedLedger(folder / "state.db", plan.recorded_events)
    big, last_ms = ledger.keys[0], ledger.end_ms
    middle = rfc3339_at_ms((BEGIN_MS + last_ms) // 2)
    searches: list[tuple[str, EventFilter, int]] = [
        ("all events", EventFilter(), 500),
        ("one event of the large entity", EventFilter(keys=(big,)), 1),
        ("500 events of the large entity", EventFilter(keys=(big,)), 500),
        ("a rare name of the large entity", EventFilter(keys=(big,), types=(RARE,)), 500),
        ("1,000 entities", EventFilter(keys=tuple(ledger.keys[::7][:1000])), 500),
        ("1,000 unknown entities", EventFilter(keys=tuple(f"{n:064x}" for n in range(1000))), 500),
        ("a rare name", EventFilter(types=(RARE,)), 500),
        ("no event has the name", EventFilter(types=("x",)), 500),
        ("one issuer", EventFilter(issuers=ISSUERS[1:2]), 500),
        ("one issuer, a rare name", EventFilter(issuers=ISSUERS[1:2], types=(RARE,)), 500),
        ("from 30 s before the end", EventFilter(from_time=rfc3339_at_ms(last_ms - 30_000)), 500),
        ("from the year 1", EventFilter(from_time="0001-01-01T00:00:00Z"), 500),
        ("until the middle", EventFilter(to_time=middle), 500),
        (
            "from the middle, for a minute",
            EventFilter(from_time=middle, to_time=rfc3339_at_ms((BEGIN_MS + last_ms) // 2 + 60_000)),
            500,
        ),
    ]
    file = LedgerFile(folder / "state.db", lambda: None)
    with file.reader() as reader:
        reader.events(0, EventFilter())
        rows = tuple(measured(reader, name, filter, limit) for name, filter, limit in searches)
    file.close()
    versions = f"{ledger.events:,} events, {ledger.versions_of(0):,} of the large entity"
    return Table(f"Pages of a ledger, with proofs: {versions}", rows)
