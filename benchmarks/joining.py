"""One ledger application with a long history, and what a newcomer to it pays.

The application is fed with full batches by four members, without an engine, as the engine would: CheckTx,
ProcessProposal, FinalizeBlock and Commit. What each of them takes of the processor is measured with a young
ledger and one of `joining_events` events on `joining_claims` entities, by turns, so that both meet the same
machine; what the batches cost to make is left out. The newcomer is a process of its own
(`benchmarks.newcomer`), so that its memory is its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, TypeVar

import msgspec

from benchmarks.bus import BATCH, TYPE, Issuer
from benchmarks.growth import QUOTAS, size_of
from benchmarks.newcomer import Joined
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError
from benchmarks.report import Figure, Row, Table
from hansa.core.canonical import hashlink
from hansa.core.events import (
    ATTRIBUTE_VALUE_CHANGE,
    CREATE,
    EntityVersion,
    LifecycleEvent,
    Metadata,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.identifiers import entity_key
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder
from hansa.pubsub.ledger.snapshots.taking import take_snapshot
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import Block

CHAIN: Final = "benchmark"
STATE: Final = "state.db"
MEMBERS: Final = 4
ROUNDS: Final = 5
BLOCKS_A_ROUND: Final = 5
YOUNG_EVENTS: Final = 10_000
YOUNG_SHARE: Final = 100
"""One in so many of the entities of the old ledger are in the young one: both publish later versions."""

T = TypeVar("T")


class Publisher(Issuer):
    """A member that publishes one version after another of some entities, in turn."""

    def __init__(self, name: str, entities: int) -> None:
        super().__init__(name)
        self._keys = [entity_key(self.did, f"urn:x:{number}") for number in range(entities)]
        self._links: dict[int, str] = {}
        self._published = 0
        self._batches = 0

    def event(self) -> bytes:
        """The content of the next event."""
        round_, number = divmod(self._published, len(self._keys))
        self._published += 1
        previous, link = self._links.get(number), hashlink(b"%d %d" % (number, round_))
        self._links[number] = link
        event = LifecycleEvent(
            id="",
            type=event_name(TYPE, CREATE if previous is None else ATTRIBUTE_VALUE_CHANGE),
            time=event_time(datetime.now(UTC)),
            issuer=self.did,
            entity=EntityVersion(self._keys[number], TYPE, round_ + 1),
            hashlink=link,
            previous=previous,
            metadata=Metadata(lifecycleStatus="Launched", categories=("cloud",)),
        )
        return encode_event(identified(event))

    def batch(self) -> bytes:
        """A transaction with new events."""
        self._batches += 1
        contents = [self.event() for _ in range(BATCH)]
        return encode_events(self.signer.sign(contents, self._batches), contents)


class GrowingLedger:
    """A ledger application in a file, with members that publish."""

    def __init__(self, path: Path, entities: int) -> None:
        self.path = path
        self._members = [Publisher(f"member-{number}", entities // MEMBERS) for number in range(MEMBERS)]
        self.application = LedgerApplication(SqliteState(path))
        members = tuple(msgspec.structs.replace(one.member, power=0) for one in self._members)
        self.application.init_chain(msgspec.json.encode(AppState(members, QUOTAS)), _now_ms() - 1000)
        self._used_s: dict[str, float] = {}
        self._batches = 0
        """Those in `_used_s`."""

    @property
    def events(self) -> int:
        """How many there are."""
        return self.application.state.head.position

    def block(self) -> None:
        """A block with a full batch of each member."""
        application, now_ms = self.application, _now_ms()
        batches = tuple(member.batch() for member in self._members)
        for batch in batches:
            self._timed("CheckTx", lambda batch=batch: application.check_tx(batch, now_ms))  # type: ignore[misc]
        block = Block(application.state.head.height + 1, now_ms, batches)
        if self._timed("ProcessProposal", lambda: application.process_proposal(block)) is not None:
            raise BenchmarkError("A block of the benchmark is not valid.")
        self._timed("FinalizeBlock", lambda: application.finalize_block(block))
        self._timed("Commit", application.commit)
        self._batches += len(batches)

    def grow(self, events: int) -> None:
        """Make blocks until there are so many events; they are executed alone."""
        application = self.application
        while self.events < events:
            batches = tuple(member.batch() for member in self._members)
            effects = application.finalize_block(Block(application.state.head.height + 1, _now_ms(), batches))
            if any(refusal is not None for refusal in effects.refusals):
                raise BenchmarkError("A batch of the benchmark is not valid.")
            application.commit()

    def row(self) -> Row:
        """What each step took of the processor, for a batch."""
        figures = [Figure(step, used_s / self._batches, "seconds") for step, used_s in self._used_s.items()]
        everything = Figure("all", sum(self._used_s.values()) / self._batches, "seconds")
        return Row(f"with {self.events:,} events", (*figures, everything))

    def _timed(self, step: str, work: Callable[[], T]) -> T:
        begun = process_time()
        try:
            return work()
        finally:
            self._used_s[step] = self._used_s.get(step, 0.0) + process_time() - begun


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def newcomer(folder: Path, source: Path, height: int) -> Joined:
    """What a newcomer pays, measured in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.newcomer", str(source), str(folder), str(height)),
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    if process.returncode:
        raise BenchmarkError("The newcomer did not join.")
    return msgspec.json.decode(answer, type=Joined)


def measured_joining(joined: Joined, snapshot_bytes: int, taken_s: float) -> Row:
    """The row of a newcomer."""
    return Row(
        "a newcomer",
        (
            Figure("snapshot", snapshot_bytes, "bytes"),
            Figure("taken", taken_s, "seconds"),
            Figure("restored", joined.restored_s, "seconds"),
            Figure("history", joined.history_events_per_s, "per second"),
            Figure("longest slice", joined.longest_slice_s, "seconds"),
            Figure("memory before", joined.memory_before_bytes, "bytes"),
            Figure("memory after", joined.memory_bytes, "bytes"),
            Figure("restart", joined.restarted_s, "seconds"),
        ),
    )


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of one ledger's life, and of a newcomer to it."""
    source = folder / "source"
    source.mkdir()
    ledger = GrowingLedger(source / STATE, plan.joining_claims)
    ledger.grow(plan.joining_events)
    other = GrowingLedger(folder / STATE, plan.joining_claims // YOUNG_SHARE)
    other.grow(min(YOUNG_EVENTS, plan.joining_events))
    for _ in range(ROUNDS):
        for one in (other, ledger):
            for _ in range(BLOCKS_A_ROUND):
                one.block()
    young, old = other.row(), ledger.row()
    other.application.state.close()
    ratio = Row(
        "old, of young",
        tuple(
            Figure(one.label, one.value / other.value, "ratio")
            for one, other in zip(old.figures, young.figures, strict=True)
        ),
    )
    events, state = ledger.events, ledger.application.state
    begun = perf_counter()
    snapshots = SnapshotFolder(source / "snapshots")
    take_snapshot(state.connection, snapshots, CHAIN, lambda: None)
    taken_s = perf_counter() - begun
    size_bytes = sum(chunk.size for chunk in snapshots.list()[0].manifest.chunks)
    joined = await newcomer(folder / "newcomer", source, state.head.height)
    state.close()
    disk = Row("on disk", (Figure("state an event", size_of(source.glob(f"{STATE}*")) / events, "bytes"),))
    claims = f"{plan.joining_claims:,} entities"
    return [
        Table(f"One ledger application, processor time of a batch of {BATCH}: {claims}", (young, old, ratio)),
        Table(
            f"A newcomer to {events:,} events on {claims}",
            (measured_joining(joined, size_bytes, taken_s), disk),
        ),
    ]
