"""The ledger's file under those who read it: missing, replaced, damaged, of another release."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.reading import Lane, LedgerFile, LedgerReader, ReaderPool
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import EventFilter
from tests.contract.origins import NOW, Origin
from tests.support.conditions import eventually

TIME_MS = int(NOW.timestamp() * 1000)


def no_limit() -> None:
    """Take any time."""


class Writer:
    """The ledger's process, without an engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.origin = Origin("lubeck")
        self.application = LedgerApplication(SqliteState(path))

    def begin(self) -> Writer:
        """Write the genesis."""
        self.application.init_chain(msgspec.json.encode(AppState((self.origin.member,))), TIME_MS)
        return self

    def commit(self, events: int = 1) -> None:
        """A block with so many events."""
        height = self.application.state.head.height + 1
        contents = self.origin.events(events)
        effects = self.application.finalize_block(
            Block(height, TIME_MS + height, (self.origin.batch(*contents),))
        )
        assert effects.refusals == (None,)
        self.application.commit()

    def close(self) -> None:
        """End."""
        self.application.state.close()

    def remove(self) -> None:
        """End, and remove the file as the operator does."""
        self.close()
        for name in ("", "-wal", "-shm"):
            Path(f"{self.path}{name}").unlink(missing_ok=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    made = Writer(path).begin()
    yield made
    made.close()


@pytest.fixture
def file(path: Path) -> Iterator[LedgerFile]:
    made = LedgerFile(path, no_limit)
    yield made
    made.close()


def position(file: LedgerFile) -> int:
    with file.reader() as reader:
        return reader.head().position


def failures(file: LedgerFile, work: Callable[[LedgerReader], object]) -> list[Unavailable]:
    """How a reading failed, if it did."""
    try:
        with file.reader() as reader:
            work(reader)
    except Unavailable as error:
        return [error]
    return []


def expect_unavailable(file: LedgerFile, match: str) -> None:
    with pytest.raises(Unavailable, match=match) as refused:
        position(file)
    assert refused.value.http_status == 503
    assert refused.value.retry_after_s >= 1


# -- beside the writer ------------------------------------------------------------------------------------------


def test_a_block_can_be_read_once_it_is_committed(writer: Writer, file: LedgerFile) -> None:
    for expected in range(3):
        assert position(file) == expected
        writer.commit()


def test_reading_begins_when_the_ledger_does(path: Path, file: LedgerFile) -> None:
    expect_unavailable(file, "not begun")
    path.touch()
    expect_unavailable(file, "not begun")
    writer = Writer(path)
    expect_unavailable(file, "not begun")
    writer.begin().commit()
    assert position(file) == 1
    writer.close()


def test_a_ledger_can_be_read_while_nobody_writes_it(writer: Writer, path: Path, file: LedgerFile) -> None:
    writer.commit(5)
    writer.close()
    assert position(file) == 5
    again = SqliteState(path)
    assert (again.head.position, position(file)) == (5, 5)
    again.close()


def test_readers_write_nothing(writer: Writer, file: LedgerFile, path: Path) -> None:
    with file.reader() as reader, pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM member")
    with pytest.raises(Unavailable), file.reader() as reader:
        reader._connection.execute("DELETE FROM event")
    writer.commit()
    assert position(file) == 1


@contextlib.contextmanager
def reading(path: Path, threads: int, read: Callable[[LedgerReader], None]) -> Iterator[None]:
    """Read a file in so many threads again and again, until the block ends."""
    is_over = threading.Event()

    def repeat() -> None:
        file = LedgerFile(path, no_limit)
        while not is_over.is_set():
            with file.reader() as reader:
                read(reader)
        file.close()

    started = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in started:
            thread.join()


def test_an_answer_is_of_one_block(writer: Writer, path: Path) -> None:
    """While blocks are committed in another thread."""
    pages: list[tuple[int, int]] = []

    def read(reader: LedgerReader) -> None:
        page = reader.events(0, EventFilter())
        pages.append((len(page.events), page.last_position))

    with reading(path, 2, read):
        for _ in range(60):
            writer.commit(3)
    assert len(set(pages)) > 1
    assert all(events == last for events, last in pages)


def test_the_log_does_not_grow_while_others_read(writer: Writer, path: Path) -> None:
    """However busy the machine is: whoever reads one event lets go before the writer has waited long."""

    def read(reader: LedgerReader) -> None:
        reader.events(0, EventFilter(), 1, with_proofs=True)

    with reading(path, 3, read):
        for _ in range(300):
            writer.commit(20)
    written = path.stat().st_size
    log = Path(f"{path}-wal").stat().st_size
    assert written > 1_000_000
    assert log < 24_000_000, "copied from 1,000 pages on, which are 4 MB; without that it has 50 MB and more"


# -- the file is another one ------------------------------------------------------------------------------------


def test_a_ledger_that_is_rebuilt_is_read_anew(writer: Writer, path: Path, file: LedgerFile) -> None:
    for _ in range(5):
        writer.commit()
    assert position(file) == 5
    writer.remove()
    expect_unavailable(file, "not begun")
    again = Writer(path)
    expect_unavailable(file, "not begun")
    again.begin()
    assert position(file) == 0
    again.commit(3)
    assert position(file) == 3
    again.close()


def test_a_ledger_that_is_removed_under_a_reader_is_read_to_the_end(writer: Writer, file: LedgerFile) -> None:
    writer.commit(10)
    with file.reader() as reader:
        writer.remove()
        assert len(reader.events(0, EventFilter()).events) == 10
    expect_unavailable(file, "not begun")


def test_another_ledger_in_its_place_is_noticed(writer: Writer, path: Path, file: LedgerFile) -> None:
    """As a restored backup is put there, by renaming."""
    writer.commit(2)
    assert position(file) == 2
    other = Writer(path.with_name("other.db")).begin()
    other.commit(7)
    other.close()
    writer.remove()
    path.with_name("other.db").rename(path)
    assert position(file) == 7


def test_a_ledger_of_another_release_is_not_read(writer: Writer, file: LedgerFile) -> None:
    connection = writer.application.state.connection
    version = connection.pragma("user_version")
    for other in (2, 99):
        connection.pragma("user_version", other)
        expect_unavailable(file, "another release")
    connection.pragma("user_version", version)
    assert position(file) == 0


def test_another_programs_database_is_not_read(path: Path, file: LedgerFile) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 7)
    connection.close()
    expect_unavailable(file, "another release")


# -- damage -----------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_no_crash(path: Path, file: LedgerFile) -> None:
    path.write_bytes(b"no database at all" * 1000)
    for _ in range(2):
        expect_unavailable(file, "damaged")


def test_a_folder_in_its_place_is_no_crash(path: Path, file: LedgerFile) -> None:
    path.mkdir()
    expect_unavailable(file, "cannot be read")


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 20_000, 50_001])
def test_a_file_that_is_cut_off_under_a_reader_is_no_crash(
    writer: Writer, path: Path, file: LedgerFile, size: int
) -> None:
    for _ in range(20):
        writer.commit(20)
    writer.application.state.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert position(file) == 400
    writer.close()
    os.truncate(path, size)
    readings: list[Callable[[LedgerReader], object]] = [
        LedgerReader.head,
        LedgerReader.members,
        lambda reader: reader.events(0, EventFilter(), with_proofs=True),
        lambda reader: reader.events(0, EventFilter(types=("x",))),
    ]
    assert [failure for work in readings for failure in failures(file, work)]


@pytest.mark.parametrize("offset", range(0, 120_000, 8192))
def test_overwritten_pages_are_no_crash(path: Path, writer: Writer, offset: int) -> None:
    for _ in range(20):
        writer.commit(20)
    writer.close()
    broken = path.with_name("broken.db")
    shutil.copy(path, broken)
    with broken.open("r+b") as pages:
        pages.seek(offset)
        pages.write(b"\xa5" * 8192)
    file = LedgerFile(broken, no_limit)
    readings: list[Callable[[LedgerReader], object]] = [
        LedgerReader.head,
        LedgerReader.members,
        lambda reader: reader.events(0, EventFilter(), with_proofs=True),
        lambda reader: reader.claims([writer.origin.key_of("x")]),
        lambda reader: reader.positions(writer.origin.did, [writer.origin.event_id()]),
    ]
    codes = {failure.code for work in readings for failure in failures(file, work)}
    assert codes <= {Code.UNAVAILABLE}
    file.close()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM event WHERE position = 7",
        "DELETE FROM event_content WHERE position = 7",
        "DELETE FROM batch",
        "UPDATE batch SET events = 3",
        "UPDATE batch SET events = 0",
        "DELETE FROM claim_bucket",
        "UPDATE claim_bucket SET records = substr(records, 1, 50)",
        "UPDATE member SET body = x'7b7d'",
        "UPDATE issuer SET body = x'00'",
        "UPDATE head SET sections = x'00'",
        "UPDATE head SET events = 1000",
        "UPDATE event_content SET content = x'7b22'",
        "UPDATE name SET text = CAST(x'ff' AS TEXT) WHERE number = 1",
        "DELETE FROM head",
    ],
)
def test_a_state_that_contradicts_itself_is_no_crash(writer: Writer, file: LedgerFile, change: str) -> None:
    writer.commit(10)
    connection, did = writer.application.state.connection, writer.origin.did
    ((entity_key,),) = connection.execute(
        "SELECT lower(hex(substr(records, 1, 32))) FROM claim_bucket LIMIT 1"
    ).fetchall()
    writer.application.state.connection.execute(change)
    readings: list[Callable[[LedgerReader], object]] = [
        LedgerReader.members,
        lambda reader: reader.events(0, EventFilter(), with_proofs=True),
        lambda reader: reader.events(0, EventFilter(keys=(str(entity_key),)), with_proofs=True),
        lambda reader: reader.claims([str(entity_key)]),
        lambda reader: reader.positions(did, [writer.origin.event_id()]),
    ]
    codes = {failure.code for work in readings for failure in failures(file, work)}
    assert codes <= {Code.UNAVAILABLE}


def test_what_a_crash_left_in_the_log_is_read(writer: Writer, path: Path) -> None:
    """Readers recover the log by themselves, before the writer is back."""
    for _ in range(3):
        writer.commit()
    crashed = path.with_name("crashed.db")
    for name in ("", "-wal"):
        shutil.copy(f"{path}{name}", f"{crashed}{name}")
    file = LedgerFile(crashed, no_limit)
    assert position(file) == 3
    again = SqliteState(crashed)
    assert again.head.position == 3
    assert position(file) == 3
    again.close()
    file.close()


# -- the pool ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def blocked(path: Path, writer: Writer) -> AsyncIterator[tuple[ReaderPool, threading.Event]]:
    """A pool of one thread, which is busy until the event is set."""
    pool = ReaderPool(path, SystemClock(), Lane("test", at_once_max=1, waiting_max=2, timeout_s=30.0))
    may_end = threading.Event()
    busy = asyncio.create_task(pool.run(lambda _: may_end.wait(60)))
    await asyncio.sleep(0)
    yield pool, may_end
    may_end.set()
    await busy
    pool.close()


async def test_one_reading_too_many_is_refused_at_once(blocked: tuple[ReaderPool, threading.Event]) -> None:
    pool, may_end = blocked
    waiting = [asyncio.create_task(pool.run(LedgerReader.head)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="waiting") as refused:
        await pool.run(LedgerReader.head)
    assert (refused.value.http_status, refused.value.retry_after_s) == (503, 1.0)
    may_end.set()
    assert [head.position for head in await asyncio.gather(*waiting)] == [0, 0]
    assert (await pool.run(LedgerReader.head)).position == 0


async def test_whoever_goes_away_while_waiting_leaves_room(
    blocked: tuple[ReaderPool, threading.Event],
) -> None:
    pool, may_end = blocked
    for _ in range(5):
        waiting = [asyncio.create_task(pool.run(LedgerReader.head)) for _ in range(2)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    may_end.set()
    assert (await pool.run(LedgerReader.head)).position == 0


ENDLESS = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"
)


def endless(reader: LedgerReader) -> None:
    """A reading that never ends by itself."""
    reader._connection.execute(ENDLESS).fetchall()


async def test_a_reading_that_takes_too_long_is_stopped(path: Path, writer: Writer) -> None:
    pool = ReaderPool(path, SystemClock(), Lane("test", at_once_max=1, waiting_max=2, timeout_s=0.05))
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await pool.run(endless)
        assert refused.value.code is Code.SEARCH_TOO_SLOW

    async def reads() -> bool:
        try:
            return (await pool.run(LedgerReader.head)).position == 0
        except Unavailable:  # on a busy machine this reading can take too long as well
            return False

    await eventually(reads)
    pool.close()


async def test_a_reading_whose_caller_goes_away_is_stopped(path: Path, writer: Writer) -> None:
    pool = ReaderPool(path, SystemClock(), Lane("test", at_once_max=1, waiting_max=2, timeout_s=600.0))
    reading = asyncio.create_task(pool.run(endless))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await pool.run(LedgerReader.head)).position == 0
    pool.close()


async def test_readings_that_go_on_and_on_take_no_more_than_their_share(path: Path, writer: Writer) -> None:
    clock = ManualClock()
    pool = ReaderPool(path, clock, Lane("test", at_once_max=1, waiting_max=100, timeout_s=9.0, share=0.1))

    def read_for_50_ms(_: LedgerReader) -> None:
        clock._elapsed_s += 0.05

    done = 0

    async def read_on_and_on() -> None:
        nonlocal done
        while True:
            await pool.run(read_for_50_ms)
            done += 1

    readers = [asyncio.create_task(read_on_and_on()) for _ in range(8)]
    until_s = clock.monotonic() + 60
    while clock.monotonic() < until_s:
        if clock.sleepers:
            await clock.advance(0.01)
        else:
            await asyncio.sleep(0)
    assert 0.09 < done * 0.05 / 60 < 0.11
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    pool.close()


async def test_a_closed_pool_reads_nothing(path: Path, writer: Writer) -> None:
    pool = ReaderPool(path, SystemClock(), Lane("test", at_once_max=1, waiting_max=1, timeout_s=1.0))
    assert (await pool.run(LedgerReader.head)).position == 0
    pool.close()
    with pytest.raises(Unavailable, match="closed"):
        await pool.run(LedgerReader.head)
