"""What an event costs in a ledger of ten thousand, of a hundred thousand and of a million events.

One ledger application is grown in this process, without an engine, to one size after the other; each event is
of a new entity, so that everything that grows with the ledger does. At each size blocks with a full batch of
each member go through all steps, and the pages that SQLite wrote and read for an event are counted beside the
processor's time. The pages do not depend on what else the machine does.

Then four validators begin with copies of that state, at the height after it: commit latency of one event
while the league is idle, the rate of full batches, and latency beside batches at half of that rate. A state
of a million events is made in some minutes, which takes a league of four three times as long.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from time import process_time, thread_time
from typing import Any, Final

import apsw
import msgspec

from benchmarks.bus import BATCH, Issuer, Validators, running
from benchmarks.figures import median
from benchmarks.growth import QUOTAS, life
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError
from benchmarks.report import Figure, Row, Table
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import Block

STATE: Final = "state.db"
GROWN_LEDGER: Final = "benchmarks.grown_ledger"
COUNTED: Final = {
    "pages written": apsw.SQLITE_DBSTATUS_CACHE_WRITE,
    "pages read": apsw.SQLITE_DBSTATUS_CACHE_MISS,
}
TRUNCATE_TRIES_MAX: Final = 100


class AgeingLedger:
    """A ledger application in a file, with members that publish new entities."""

    def __init__(self, path: Path, issuers: list[Issuer], validators: Validators) -> None:
        self._path = path
        self._issuers = issuers
        self._batches = 0
        self.application = LedgerApplication(SqliteState(path))
        document = msgspec.json.encode(AppState(validators.members, QUOTAS))
        self.application.init_chain(document, _now_ms() - 1000)

    @property
    def events(self) -> int:
        """How many there are."""
        return self.application.state.head.position

    def block(self) -> Block:
        """The next one, with a full batch of each member."""
        self._batches += 1
        batches = []
        for issuer in self._issuers:
            contents = [issuer.event() for _ in range(BATCH)]
            batches.append(encode_events(issuer.signer.sign(contents, self._batches), contents))
        return Block(self.application.state.head.height + 1, _now_ms(), tuple(batches))

    def grow(self, events: int) -> None:
        """Make blocks until there are so many events; they are executed alone."""
        while self.events < events:
            self._execute(self.block())

    def measured(self, blocks: int) -> Row:
        """What an event costs, over so many blocks that go through all steps."""
        application, connection = self.application, self.application.state.connection
        before = self._counts()
        used_s: list[float] = []
        beside_s = 0.0
        for _ in range(blocks):
            block = self.block()
            in_all_s, here_s = process_time(), thread_time()
            for batch in block.transactions:
                application.check_tx(batch, block.time_ms)
            if application.process_proposal(block) is not None:
                raise BenchmarkError("A block of the benchmark is not valid.")
            self._execute(block)
            used_s.append(thread_time() - here_s)
            beside_s += process_time() - in_all_s - used_s[-1]
        events = blocks * BATCH * len(self._issuers)
        pages = [
            Figure(f"{name}, 1,000 events", 1000 * (after - before[name]) / events, "count")
            for name, after in self._counts().items()
        ]
        size_bytes = connection.pragma("page_count") * connection.pragma("page_size")
        return Row(
            f"with {self.events:,} events",
            (
                *pages,
                Figure("a batch", median(used_s) / len(self._issuers), "seconds"),
                Figure("beside it", beside_s / blocks / len(self._issuers), "seconds"),
                Figure("state an event", size_bytes / self.events, "bytes"),
            ),
        )

    def copy_to(self, path: Path) -> None:
        """Copy the whole state into another file."""
        connection = self.application.state.connection
        for _ in range(TRUNCATE_TRIES_MAX):
            with contextlib.suppress(apsw.BusyError):
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                break
            time.sleep(0.1)
        shutil.copy(self._path, path)

    def _execute(self, block: Block) -> None:
        effects = self.application.finalize_block(block)
        if any(refusal is not None for refusal in effects.refusals):
            raise BenchmarkError("A batch of the benchmark is not valid.")
        self.application.commit()

    def _counts(self) -> dict[str, int]:
        connection = self.application.state.connection
        return {name: connection.status(what)[0] for name, what in COUNTED.items()}


def _now_ms() -> int:
    return int(time.time() * 1000)


def later_genesis(genesis: bytes, application: LedgerApplication) -> bytes:
    """A genesis with which an engine begins after what an application has executed."""
    document: dict[str, Any] = msgspec.json.decode(genesis)
    document["initial_height"] = str(application.state.head.height + 1)
    return msgspec.json.encode(document)


def ratios(rows: list[Row]) -> Row:
    """The last of some rows, divided by the first."""
    first, last = rows[0].figures, rows[-1].figures
    return Row(
        "last, of first",
        tuple(
            Figure(old.label, old.value / young.value, "ratio")
            for young, old in zip(first, last, strict=True)
            if young.value
        ),
    )


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of a ledger's ages: of one application, and of four validators."""
    issuers = [Issuer(f"member-{number}") for number in range(1, plan.members + 1)]
    validators = Validators(issuers)
    genesis = validators.genesis(QUOTAS)
    ledger = AgeingLedger(folder / STATE, issuers, validators)
    alone: list[Row] = []
    league: list[list[Row]] = []
    for events in plan.ageing_events:
        ledger.grow(events)
        alone.append(ledger.measured(plan.ageing_blocks))
        state = folder / f"{events}.db"
        ledger.copy_to(state)
        later = later_genesis(genesis, ledger.application)
        place = folder / f"league-{events}"
        grown = {issuer.did: GROWN_LEDGER for issuer in issuers}
        async with running(place, issuers, validators, later, grown, state) as buses:
            rows, _ = await life(plan, issuers, buses, f"with {ledger.events:,} events")
        league.append(list(rows))
        shutil.rmtree(place)
        state.unlink()
    ledger.application.state.close()
    return [
        Table("One ledger application by its age: what an event costs", (*alone, ratios(alone))),
        *(
            Table(f"{plan.members} validators by the age of their ledger", (*rows, ratios(rows)))
            for rows in map(list, zip(*league, strict=True))
        ),
    ]
