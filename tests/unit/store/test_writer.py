"""Group commit, and what happens to a group when something fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import apsw
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.store import Filter, Query
from hansa.store.sqlite.commit.thread import CommitCallback
from hansa.store.sqlite.commit.writer import GROUP_MEMBERS_MAX
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, opened, put


class Trace:
    """Counts the commits of a store."""

    def __init__(self, store: SqliteStore) -> None:
        self.commits = 0
        store._write.set_commit_hook(self._commit)

    def _commit(self) -> bool:
        self.commits += 1
        return False


async def test_transactions_of_one_turn_share_a_commit() -> None:
    async with opened() as store:
        trace = Trace(store)
        await asyncio.gather(*(put(store, draft(f"e{n}")) for n in range(50)))
        assert trace.commits == 1
        assert await store.last_change() == 50


async def test_one_in_a_group_sees_what_the_ones_before_it_wrote() -> None:
    seen: list[object] = []

    async def look() -> None:
        async with store.transaction() as tx:
            seen.append(await tx.collections_of(["a", "b", "c", "none"]))
            seen.append([one and one.id for one in (await tx.entity("a"), await tx.entity("none"))])
            seen.append(await tx.sql.execute("SELECT id FROM entity ORDER BY number"))
            await tx.put(draft("a", name="changed"))
            await tx.delete("c")
            seen.append(await tx.collections_of(["a", "b", "c"]))
            seen.append(await tx.entity("c"))

    async with opened() as store:
        await put(store, draft("b"))
        await asyncio.gather(put(store, draft("a"), draft("c")), look(), put(store, draft("c", name="new")))
        assert seen == [
            {"a": OFFERING, "b": OFFERING, "c": OFFERING},
            ["a", None],
            [("b",), ("a",), ("c",)],
            {"a": OFFERING, "b": OFFERING},
            None,
        ]
        assert [(c.seq, c.entity_id, c.operation) for c in await store.changes(1, 9)] == [
            (2, "a", "create"),
            (3, "c", "create"),
            (4, "a", "change"),
            (5, "c", "delete"),
            (6, "c", "create"),
        ]
        found = await store.entity("c")
        assert found is not None
        assert found.revision == 2


async def test_rows_that_cannot_be_inserted_are_noticed_though_the_one_who_noticed_goes_on() -> None:
    async def go_on() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("b"))
            with pytest.raises(apsw.ConstraintError):
                await tx.sql.execute("SELECT 1")  # what waits is inserted before
            await tx.put(draft("c"))

    async with opened() as store:
        async with store.transaction() as tx:
            await tx.sql.execute(
                "CREATE TRIGGER no_a BEFORE INSERT ON entity WHEN NEW.id = 'a' BEGIN SELECT raise(ABORT, 'no'); END"
            )
        results = await asyncio.gather(
            put(store, draft("a")), go_on(), put(store, draft("d")), return_exceptions=True
        )
        assert [type(result) for result in results] == [Unavailable, type(None), type(None)]
        assert set(await store.entities(["a", "b", "c", "d"])) == {"b", "c", "d"}
        assert await store.counts() == {(OFFERING, True, True): 3}


async def test_what_an_undone_transaction_created_is_not_known_afterwards() -> None:
    async def fail() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("x"))
            raise ValueError

    async def look() -> dict[str, str]:
        async with store.transaction() as tx:
            return await tx.collections_of(["x", "a"])

    async with opened() as store:
        results = await asyncio.gather(fail(), put(store, draft("a")), look(), return_exceptions=True)
        assert results[2] == {"a": OFFERING}
        await put(store, draft("x"))
        assert await look() == {"x": OFFERING, "a": OFFERING}


async def test_a_durable_store_commits_one_group_while_the_next_gathers(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db", ManualClock(), Limits())
    trace = Trace(store)
    await asyncio.gather(*(put(store, draft(f"e{n}", name="same")) for n in range(100)))
    assert 100 / GROUP_MEMBERS_MAX <= trace.commits <= 20
    assert [c.seq for c in await store.changes(0, 200)] == list(range(1, 101))
    assert (await store.list(Query(OFFERING, (Filter(("name",), ("same",)),)))).total == 100
    assert store.writes_waiting == 0
    await store.close()


async def test_a_count_that_sees_a_commit_before_the_loop_hears_of_it_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Query(OFFERING, (Filter(("name",), ("same",)),), limit=1)
    store = await SqliteStore.open(tmp_path / "store.db", ManualClock(), Limits())
    thread = store._writer._thread
    assert thread is not None
    start = thread.start
    is_asked, is_committed = asyncio.Event(), Event()

    def telling_start(commit: Callable[[], None], ended: CommitCallback) -> None:
        def telling_commit() -> None:
            commit()
            is_committed.set()

        is_asked.set()
        start(telling_commit, ended)

    monkeypatch.setattr(thread, "start", telling_start)
    writes = [asyncio.create_task(put(store, draft(f"e{n}", name="same"))) for n in range(20)]
    await is_asked.wait()
    assert is_committed.wait(60.0)  # the loop stands still meanwhile
    await store.list(named)
    await asyncio.gather(*writes)
    assert (await store.list(named)).total == 20
    await store.close()


async def test_one_that_fails_takes_nothing_else_with_it() -> None:
    async def fail() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("bad"))
            raise ValueError

    async with opened() as store:
        results = await asyncio.gather(
            put(store, draft("a")), fail(), put(store, draft("b")), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), ValueError, type(None)]
        assert set(await store.entities(["a", "b", "bad"])) == {"a", "b"}
        assert [(c.seq, c.entity_id) for c in await store.changes(0, 9)] == [(1, "a"), (2, "b")]
        assert store.writes_waiting == 0


async def test_a_violated_constraint_can_be_handled_within_the_transaction() -> None:
    async with opened() as store:
        async with store.transaction() as tx:
            await tx.put(draft("a"))
            with pytest.raises(apsw.ConstraintError):
                await tx.sql.execute("INSERT INTO cursor VALUES (NULL, NULL)")
        assert await store.entity("a") is not None


async def test_a_transaction_that_waits_lets_the_next_in_afterwards() -> None:
    gate = asyncio.Event()

    async def slow() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("slow"))
            await gate.wait()

    async with opened() as store:
        tasks = [asyncio.create_task(slow()), asyncio.create_task(put(store, draft("next")))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await store.entity("next") is None
        gate.set()
        await asyncio.gather(*tasks)
        assert [c.entity_id for c in await store.changes(0, 9)] == ["slow", "next"]


async def test_cancelling_a_transaction_undoes_it_and_frees_its_turn() -> None:
    async def endless() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("endless"))
            await asyncio.Event().wait()

    async with opened() as store:
        running = asyncio.create_task(endless())
        await asyncio.sleep(0)
        queued = [asyncio.create_task(put(store, draft(name))) for name in ("a", "b", "c")]
        await asyncio.sleep(0)
        queued[0].cancel()
        running.cancel()
        results = await asyncio.gather(running, *queued, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [
            True,
            True,
            False,
            False,
        ]
        assert set(await store.entities(["endless", "a", "b", "c"])) == {"b", "c"}


async def test_cancelling_the_one_whose_turn_has_just_come_passes_the_turn_on() -> None:
    gate = asyncio.Event()

    async def slow() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("slow"))
            await gate.wait()

    async with opened() as store:
        running = asyncio.create_task(slow())
        await asyncio.sleep(0)
        queued = [asyncio.create_task(put(store, draft(name))) for name in ("a", "b")]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.sleep(0)  # the turn has been passed to the first in the queue, which has not run yet
        queued[0].cancel()
        await asyncio.gather(running, *queued, return_exceptions=True)
        assert set(await store.entities(["slow", "a", "b"])) == {"slow", "b"}


async def test_cancelling_one_that_waits_for_the_commit_leaves_the_others_alone() -> None:
    async with opened() as store:
        tasks = [asyncio.create_task(put(store, draft(f"e{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await store.last_change() == 3


async def test_a_transaction_within_a_transaction_is_a_programming_error() -> None:
    async with opened() as store, store.transaction() as tx:
        await tx.put(draft("a"))
        with pytest.raises(AssertionError, match="wait for itself"):
            async with store.transaction():
                pass


async def test_too_many_waiting_writes_are_refused() -> None:
    async with opened(limits=Limits(writes_waiting_max=3)) as store:
        results = await asyncio.gather(
            *(put(store, draft(f"e{n}")) for n in range(5)), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, Unavailable)]
        assert [r.code for r in refused] == [Code.OVERLOADED] * 2
        await put(store, draft("later"))
        assert await store.last_change() == 4


def fill_up(store: SqliteStore) -> None:
    """Let the database grow no further."""
    ((pages,),) = store._write.execute("PRAGMA page_count").fetchall()
    store._write.execute(f"PRAGMA max_page_count = {pages}")


async def test_a_full_disk_is_told_and_the_store_stays_readable_and_recovers() -> None:
    async with opened() as store:
        await put(store, draft("before"))
        fill_up(store)
        with pytest.raises(Unavailable) as failure:
            await put(store, draft("large", description="x" * 1_000_000))
        assert failure.value.code is Code.DISK_FULL
        assert await store.entity("before") is not None
        assert await store.entity("large") is None
        store._write.execute("PRAGMA max_page_count = 4294967294")
        await put(store, draft("large", description="x" * 1_000_000))
        assert [c.entity_id for c in await store.changes(0, 9)] == ["before", "large"]
        assert store.writes_waiting == 0


async def test_a_full_disk_for_one_lets_the_others_of_the_group_through() -> None:
    async with opened() as store:
        await put(store, draft("before"))
        fill_up(store)
        results = await asyncio.gather(
            put(store, draft("a")),
            put(store, draft("large", description="x" * 1_000_000)),
            put(store, draft("b")),
            return_exceptions=True,
        )
        assert [isinstance(result, HansaError) for result in results] == [False, True, False]
        assert set(await store.entities(["a", "b", "large"])) == {"a", "b"}


async def test_a_failure_is_final_for_its_transaction() -> None:
    async def write_on_after_a_failure() -> None:
        async with store.transaction() as tx:
            with suppress(Unavailable):
                await tx.put(draft("large", description="x" * 1_000_000))
            with suppress(Unavailable):
                await tx.put(draft("small"))

    async with opened() as store:
        fill_up(store)
        with pytest.raises(Unavailable) as failure:
            await write_on_after_a_failure()
        assert failure.value.code is Code.DISK_FULL
        assert await store.last_change() == 0
        assert await store.entity("small") is None


async def test_one_that_wrote_before_it_failed_leaves_no_trace_in_counts_index_and_feed() -> None:
    async def fail(name: str) -> None:
        async with store.transaction() as tx:
            await tx.put(draft(name, category={"id": "c"}))
            await tx.put(draft("a", name="overwritten", category={"id": "d"}))
            await tx.delete("b")
            raise ValueError

    query = Query(OFFERING, (Filter(("category", "id"), ("c",)),))
    async with opened() as store:
        await put(store, draft("b", category={"id": "c"}))
        assert (await store.list(query)).total == 1
        results = await asyncio.gather(
            put(store, draft("a", category={"id": "c"})),
            fail("x"),
            put(store, draft("c", category={"id": "c"})),
            fail("y"),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), ValueError, type(None), ValueError]
        page = await store.list(query)
        assert (page.ids, page.total) == (("b", "a", "c"), 3)
        assert await store.counts() == {(OFFERING, True, True): 3}
        assert await store.sql.fetch("SELECT sum(count) FROM entity_count") == [(3,)]
        assert [(c.seq, c.entity_id) for c in await store.changes(0, 9)] == [(1, "b"), (2, "a"), (3, "c")]


async def test_when_sqlite_undoes_the_group_and_it_cannot_be_written_again_everyone_in_it_hears() -> None:
    async def fail() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("large", description="x" * 1_000_000))
            with suppress(Unavailable):
                await tx.sql.execute("SELECT 1")  # what waits is inserted before
            assert not store._write.in_transaction  # the disk is full
            other.execute("BEGIN IMMEDIATE")
            with suppress(Unavailable):
                await tx.put(draft("outside"))

    async with opened() as store:
        store._write.set_busy_timeout(0)
        other = apsw.Connection(store._path)
        fill_up(store)
        results = await asyncio.gather(put(store, draft("a")), fail(), return_exceptions=True)
        assert [isinstance(r, Unavailable) and r.code for r in results] == [Code.UNAVAILABLE, Code.DISK_FULL]
        other.close()
        assert await store.entities(["a", "large", "outside"]) == {}
        await put(store, draft("small"))
        assert [(c.seq, c.entity_id) for c in await store.changes(0, 9)] == [(1, "small")]


async def test_everyone_in_a_group_hears_that_its_commit_failed() -> None:
    async with opened() as store:
        store._write.set_commit_hook(lambda: True)  # SQLite turns the commit into a rollback
        results = await asyncio.gather(
            *(put(store, draft(f"e{n}")) for n in range(3)), return_exceptions=True
        )
        assert all(isinstance(result, Unavailable) for result in results)
        assert await store.last_change() == 0
        store._write.set_commit_hook(None)
        await put(store, draft("later"))
        assert [c.seq for c in await store.changes(0, 9)] == [1]


async def test_who_is_refused_for_what_was_not_committed_hears_that_instead() -> None:
    async def refuse_what_is_there() -> None:
        async with store.transaction() as tx:
            if await tx.entity("a") is not None:
                raise Refused(Code.CONFLICT, "It is there.")

    async with opened() as store:
        store._write.set_commit_hook(lambda: True)  # SQLite turns the commit into a rollback
        results = await asyncio.gather(put(store, draft("a")), refuse_what_is_there(), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        store._write.set_commit_hook(None)
        results = await asyncio.gather(put(store, draft("a")), refuse_what_is_there(), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), Refused]


async def test_closing_commits_what_waits_and_refuses_what_comes_later() -> None:
    store = await SqliteStore.open(None, ManualClock(), Limits())
    writing = asyncio.create_task(put(store, draft("a")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.gather(writing, closing)
    with pytest.raises(Unavailable, match="closing"):
        await put(store, draft("b"))
