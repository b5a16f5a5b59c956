"""Entities, the feed, tombstones, cursors, counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import msgspec

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store import Change, Entity
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, opened, put


async def test_what_was_put_is_served_byte_for_byte() -> None:
    async with opened() as store:
        one = draft("a", name="Ünïcode \U0001f600", origin="did:key:z1")
        await put(store, one)
        assert await store.entity("a") == Entity(
            "a", OFFERING, one.body, one.hashlink, True, "did:key:z1", 1, None, "2026-01-01T00:00:00.000Z"
        )
        assert await store.entity("b") is None


async def test_every_write_is_one_row_of_the_feed() -> None:
    async with opened() as store:
        await put(store, draft("a", lifecycleStatus="In study"), draft("b", origin="did:key:z1"))
        await put(store, draft("a", lifecycleStatus="In study", name="new"))
        await put(store, draft("a", lifecycleStatus="Launched", name="new"))
        async with store.transaction() as tx:
            await tx.delete("b")
        time = "2026-01-01T00:00:00.000Z"
        assert await store.changes(0, 100) == (
            Change(1, time, "a", OFFERING, "create", None, "In study"),
            Change(2, time, "b", OFFERING, "create", "did:key:z1"),
            Change(3, time, "a", OFFERING, "change", None, "In study"),
            Change(4, time, "a", OFFERING, "state", None, "Launched"),
            Change(5, time, "b", OFFERING, "delete", "did:key:z1"),
        )
        assert [change.seq for change in await store.changes(2, 2)] == [3, 4]
        assert await store.last_change() == 5


async def test_putting_the_same_again_changes_nothing() -> None:
    async with opened() as store:
        await put(store, draft("a"))
        async with store.transaction() as tx:
            again = await tx.put(draft("a"))
        assert again.revision == 1
        assert await store.last_change() == 1


async def test_a_change_of_a_flag_alone_is_a_change() -> None:
    async with opened() as store:
        await put(store, draft("a", category=[{"id": "c"}]))
        await put(store, draft("a", public=False, category=[{"id": "c"}]))
        assert await store.counts() == {(OFFERING, True, False): 1}
        found = await store.entity("a")
        assert found is not None
        assert (found.public, found.revision) == (False, 2)


async def test_other_bytes_under_the_same_hashlink_are_written() -> None:
    async with opened() as store:
        await put(store, draft("a", name="x"))
        await put(
            store, msgspec.structs.replace(draft("a", name="y"), hashlink=draft("a", name="x").hashlink)
        )
        found = await store.entity("a")
        assert found is not None
        assert found.body == draft("a", name="y").body


async def test_an_identifier_used_again_after_a_delete_goes_on_counting() -> None:
    async with opened() as store:
        await put(store, draft("a"))
        async with store.transaction() as tx:
            gone = await tx.delete("a")
            assert gone is not None
            assert await tx.delete("a") is None
        assert await store.entity("a") is None
        await put(store, draft("a"))
        found = await store.entity("a")
        assert found is not None
        assert found.revision == 2
        assert [c.operation for c in await store.changes(0, 10)] == ["create", "delete", "create"]
        assert await store.sql.fetch("SELECT count(*) FROM tombstone") == [(0,)]


async def test_a_transaction_sees_its_own_writes_and_others_see_them_after_the_commit() -> None:
    async with opened() as store:
        async with store.transaction() as tx:
            await tx.put(draft("a"))
            assert await tx.entity("a") is not None
            assert await store.entity("a") is None
            assert await store.last_change() == 0
        assert await store.entity("a") is not None


async def test_several_entities_are_fetched_at_once() -> None:
    async with opened() as store:
        await put(store, *(draft(f"e{n}") for n in range(1200)))
        found = await store.entities([*(f"e{n}" for n in range(1100)), "missing"])
        assert set(found) == {f"e{n}" for n in range(1100)}
        assert await store.entities([]) == {}


async def test_a_scan_walks_everything_in_the_order_of_identifiers() -> None:
    async with opened() as store:
        await put(
            store, draft("c"), draft("a"), draft("b", public=False), draft("d", "Category", origin="did:x:1")
        )
        assert [[e.id for e in page] async for page in store.scan(limit=2)] == [["a", "c"], ["d"]]
        assert [[e.id for e in page] async for page in store.scan(public_only=False)] == [
            ["a", "b", "c", "d"]
        ]
        assert [[e.id for e in page] async for page in store.scan(own_only=True, after_id="a")] == [["c"]]
        assert [[e.id for e in page] async for page in store.scan(("Category",))] == [["d"]]


async def test_a_cursor_moves_with_its_transaction() -> None:
    async with opened() as store:
        assert await store.cursor("publisher") == 0
        async with store.transaction() as tx:
            await tx.set_cursor("publisher", 7)
        async with store.transaction() as tx:
            await tx.set_cursor("publisher", 9)
        assert await store.cursor("publisher") == 9


async def test_who_waits_for_a_change_is_woken_by_it() -> None:
    async with opened() as store:
        waiting = [asyncio.create_task(store.wait_for_change(0)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        async with store.transaction() as tx:
            await tx.set_cursor("x", 1)
        assert not any(task.done() for task in waiting)
        await put(store, draft("a"))
        await asyncio.gather(*waiting)
        await store.wait_for_change(0)


async def test_the_store_in_memory_leaves_nothing_behind() -> None:
    store = await SqliteStore.open(None, ManualClock(), Limits())
    ((file,),) = await store.sql.fetch("SELECT file FROM pragma_database_list")
    folder = file.rsplit("/", 1)[0]
    await store.close()
    assert not Path(folder).exists()


async def test_reads_between_writes_see_what_is_committed_and_hold_up_no_checkpoint() -> None:
    async with opened() as store:
        for n in range(20):
            await put(store, draft(f"e{n}", description="x" * 20_000))
            assert await store.entity(f"e{n}") is not None
            async with store.transaction() as tx:
                await tx.put(draft("open"))
                assert (await store.entity("open") is None) == (n == 0)
        log = store._write.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        assert log[0] == log[1]
        await put(store, draft("last"))
        assert store._write.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)[0] < log[0]


async def test_an_entity_that_stays_at_hand_is_never_an_old_one() -> None:
    async with opened() as store:
        await put(store, draft("a", name="one"))
        first = await store.entity("a")
        assert await store.entity("a") is first
        async with store.transaction() as tx:
            await tx.put(draft("a", name="two"))
            assert await store.entity("a") is first  # not committed yet
        second = await store.entity("a")
        assert second is not None
        assert b"two" in second.body
        async with store.transaction() as tx:
            await tx.delete("a")
        assert await store.entity("a") is None
        await put(store, draft("a", name="three"))
        third = await store.entity("a")
        assert third is not None
        assert b"three" in third.body
