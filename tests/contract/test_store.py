"""What every `Store` keeps: entities, the feed, cursors, walks (lists and domain tables: test_store_*.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.store import (
    Change,
    Entity,
    EntityDraft,
    Filter,
    Query,
    Store,
)
from tests.contract.stores import ENGINES, Engine, create, delete, fail, open_store, opened, put
from tests.unit.store.drafts import OFFERING, draft

LAUNCHED = Filter(("lifecycleStatus",), ("Launched",))
TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    result: Engine = request.param
    return result


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(engine: Engine, clock: ManualClock) -> AsyncIterator[Store]:
    async with opened(engine, clock=clock) as one:
        yield one


# -- entities -------------------------------------------------------------------------------------------------


async def test_what_was_put_is_read_byte_for_byte(store: Store) -> None:
    one = draft("a", name="Ünïcode \U0001f600", origin="did:key:z1", parent="p")
    (written,) = await put(store, one)
    expected = Entity(
        id="a",
        type=OFFERING,
        body=one.body,
        hashlink=one.hashlink,
        public=True,
        origin="did:key:z1",
        revision=1,
        parent="p",
        modified=TIME,
    )
    assert written == await store.entity("a") == expected
    assert await store.entity("b") is None
    assert await store.entities(["a", "b", "a"]) == {"a": expected}
    assert await store.entities([]) == {}


async def test_an_entity_counts_its_writes_and_says_when_the_last_was(
    store: Store, clock: ManualClock
) -> None:
    await put(store, draft("a"))
    await clock.advance(90.0)
    (written,) = await put(store, draft("a", name="new"))
    assert (written.revision, written.modified) == (2, "2026-01-01T00:01:30.000Z")
    (again,) = await put(store, draft("a", name="new"))
    assert again == written == await store.entity("a")
    assert await store.last_change() == 2


@pytest.mark.parametrize(
    "other",
    [
        draft("a", name="x", public=False),
        draft("a", name="x", origin="did:x:1"),
        draft("a", name="x", parent="p"),
        draft("a", "Category", name="x"),
        msgspec.structs.replace(draft("a", name="y"), hashlink=draft("a", name="x").hashlink),
    ],
    ids=["public", "origin", "parent", "type", "body"],
)
async def test_whatever_differs_is_written(store: Store, other: EntityDraft) -> None:
    await put(store, draft("a", name="x"))
    (written,) = await put(store, other)
    assert written.revision == 2
    assert written == await store.entity("a")
    assert (written.public, written.origin, written.parent, written.type, written.body) == (
        other.public, other.origin, other.parent, other.type, other.body,
    )  # fmt: skip
    assert await store.last_change() == 2


async def test_an_identifier_that_is_used_again_after_a_delete_goes_on_counting(store: Store) -> None:
    await put(store, draft("a"), draft("b"))
    await put(store, draft("a", name="new"))
    async with store.transaction() as tx:
        deleted = await tx.delete("a")
        assert deleted is not None
        assert deleted.body == draft("a", name="new").body
        assert await tx.delete("a") is None
        assert await tx.entity("a") is None
    assert await store.entity("a") is None
    assert await store.missing(["a", "b", "c"]) == {"a", "c"}
    (written,) = await put(store, draft("a"))
    assert written.revision == 3
    await delete(store, "a")
    async with store.transaction() as tx:
        assert (await tx.add(draft("a"))).revision == 4


async def test_many_that_are_added_together_go_on_counting_each_for_itself(store: Store) -> None:
    await put(store, draft("a"), draft("other"))
    await delete(store, "a")
    async with store.transaction() as tx:
        await tx.add_all([draft("a", name="new"), *(draft(f"n{n}") for n in range(600))])
        await tx.add_all([])
        written = await tx.entity("a")
    assert written is not None
    assert written.body == draft("a", name="new").body
    revisions = {
        one.id: one.revision for one in (await store.entities(["a", "n0", "n599", "other"])).values()
    }
    assert revisions == {"a": 2, "n0": 1, "n599": 1, "other": 1}
    assert (await store.list(Query(OFFERING, limit=1))).total == 602
    assert [one.operation for one in await store.changes(3, 900)] == ["create"] * 601
    await delete(store, "a")
    assert await store.missing(["a"]) == {"a"}


async def test_a_transaction_reads_what_it_wrote_and_others_after_its_commit(store: Store) -> None:
    await put(store, draft("old"))
    async with store.transaction() as tx:
        written = await tx.put(draft("a"))
        await tx.delete("old")
        assert await tx.entity("a") == written
        assert await tx.entity("old") is None
        assert await tx.collections_of(["a", "old", "none"]) == {"a": OFFERING}
        assert await store.entity("a") is None
        assert await store.entity("old") is not None
        assert await store.last_change() == 1
        assert (await store.list(Query(OFFERING))).ids == ("old",)
    assert await store.entity("a") == written
    assert (await store.list(Query(OFFERING))).ids == ("a",)


async def test_an_exception_undoes_everything_and_nothing_else(store: Store) -> None:
    await put(store, draft("a", category=[{"id": "c"}]))
    by_category = Query(OFFERING, (Filter(("category", "id"), ("c",)),))
    revision = store.revision(OFFERING)

    async def fail_late() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("a", category=[{"id": "d"}]))
            await tx.put(draft("b", category=[{"id": "c"}]))
            await tx.set_cursor("x", 5)
            await tx.delete("a")
            raise LookupError

    with pytest.raises(LookupError):
        await fail_late()
    assert set(await store.entities(["a", "b"])) == {"a"}
    assert (await store.list(by_category)).ids == ("a",)
    assert await store.counts() == {(OFFERING, True, True): 1}
    assert await store.cursor("x") == 0
    assert await store.last_change() == 1
    assert store.revision(OFFERING) == revision
    (written,) = await put(store, draft("b"))
    assert written.revision == 1
    assert [change.entity_id for change in await store.changes(0, 9)] == ["a", "b"]


async def test_transactions_run_one_after_the_other(store: Store) -> None:
    async def count_up() -> None:
        async with store.transaction() as tx:
            before = await tx.cursor("counter")
            await asyncio.sleep(0)
            await tx.set_cursor("counter", before + 1)

    await asyncio.gather(*(count_up() for _ in range(20)))
    assert await store.cursor("counter") == 20


async def test_a_transaction_that_is_cancelled_is_undone_and_the_next_runs(store: Store) -> None:
    async def endless() -> None:
        async with store.transaction() as tx:
            await tx.put(draft("endless"))
            await asyncio.Event().wait()

    running = asyncio.create_task(endless())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(put(store, draft(name))) for name in "ab"]
    await asyncio.sleep(0)
    waiting[0].cancel()
    running.cancel()
    await asyncio.gather(running, *waiting, return_exceptions=True)
    assert set(await store.entities(["endless", "a", "b"])) == {"b"}
    assert store.writes_waiting == 0


async def test_a_transaction_within_a_transaction_is_a_programming_error(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put(draft("a"))
        with pytest.raises(AssertionError, match="wait for itself"):
            async with store.transaction():
                pass


async def test_a_transaction_that_has_ended_is_of_no_use(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put(draft("a"))
    with pytest.raises(AssertionError, match="has ended"):
        await tx.put(draft("b"))


async def test_too_many_writes_that_wait_are_refused(engine: Engine) -> None:
    async with opened(engine, Limits(writes_waiting_max=3)) as store:
        results = await asyncio.gather(
            *(put(store, draft(f"e{n}")) for n in range(5)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, Unavailable)]
        assert [one.code for one in refused] == [Code.OVERLOADED] * 2
        await put(store, draft("later"))
        assert store.writes_waiting == 0


async def test_closing_commits_what_waits_and_refuses_what_follows(engine: Engine) -> None:
    store = await open_store(engine)
    writing = asyncio.create_task(put(store, draft("a")))
    await asyncio.sleep(0)
    await asyncio.gather(writing, store.close())
    with pytest.raises(Unavailable, match="closing"):
        await put(store, draft("b"))
    with pytest.raises(Unavailable, match="closing"):
        await create(store, draft("c"))


# -- creates --------------------------------------------------------------------------------------------------


async def test_a_create_writes_what_a_transaction_would(store: Store) -> None:
    one = draft("a", lifecycleStatus="Launched", parent="p")
    created = await create(store, one)
    assert created == await store.entity("a")
    assert (created.revision, created.modified) == (1, TIME)
    assert await store.changes(0, 9) == (Change(1, TIME, "a", OFFERING, "create", None, "Launched", "p"),)
    async with store.transaction() as tx:
        await tx.create(draft("b"))
    await put(store, draft("a", name="changed"))
    assert [(change.entity_id, change.operation) for change in await store.changes(1, 9)] == [
        ("b", "create"),
        ("a", "state"),
    ]


async def test_a_create_is_known_before_its_commit(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.set_cursor("x", 1)
        created = asyncio.create_task(create(store, draft("a")))
        await asyncio.sleep(0)
        assert await store.collections_of(["a", "b"]) == {"a": OFFERING}
        assert await store.entity("a") is None
        assert not created.done()
    await created
    assert await store.entity("a") is not None


async def test_creates_survive_that_transactions_beside_them_are_undone(store: Store) -> None:
    results = await asyncio.gather(
        fail(store, draft("void")),
        *(create(store, draft(f"e{n}")) for n in range(5)),
        fail(store, draft("void")),
        return_exceptions=True,
    )
    assert sum(isinstance(result, LookupError) for result in results) == 2
    assert (await store.list(Query(OFFERING))).total == 5
    assert await store.collections_of(["void", "e0"]) == {"e0": OFFERING}


# -- the feed -------------------------------------------------------------------------------------------------


async def test_every_write_is_one_row_of_the_feed(store: Store) -> None:
    await put(store, draft("a", lifecycleStatus="In study"), draft("b", origin="did:key:z1"))
    await put(store, draft("a", lifecycleStatus="In study", name="new"))
    await put(store, draft("a", lifecycleStatus="Launched", name="newer"))
    await put(store, draft("a", "Category", lifecycleStatus="Launched"))
    await delete(store, "b", "a")
    await put(store, draft("t", "Topic", lifecycleStatus="not a status there", parent="a"))
    assert await store.changes(0, 100) == (
        Change(1, TIME, "a", OFFERING, "create", None, "In study"),
        Change(2, TIME, "b", OFFERING, "create", "did:key:z1"),
        Change(3, TIME, "a", OFFERING, "change", None, "In study"),
        Change(4, TIME, "a", OFFERING, "state", None, "Launched"),
        Change(5, TIME, "a", "Category", "state", None, "Launched"),
        Change(6, TIME, "b", OFFERING, "delete", "did:key:z1"),
        Change(7, TIME, "a", "Category", "delete", None, "Launched"),
        Change(8, TIME, "t", "Topic", "create", None, None, "a"),
    )
    assert [change.seq for change in await store.changes(2, 2)] == [3, 4]
    assert await store.changes(8, 5) == ()
    assert await store.last_change() == 8
    assert [await store.own_changes(after) for after in (0, 1, 5, 8)] == [6, 5, 2, 0]


async def test_all_rows_of_a_transaction_have_one_time_and_it_knows_the_last(
    store: Store, clock: ManualClock
) -> None:
    await put(store, draft("before"))
    async with store.transaction() as tx:
        assert (tx.last_change, await tx.feed_end()) == (0, 1)
        await clock.advance(1.0)
        await tx.put(draft("a"))
        await clock.advance(1.0)
        await tx.put(draft("b"))
        assert (tx.last_change, await tx.feed_end()) == (3, 3)
        assert tx.time == "2026-01-01T00:00:01.000Z"
    assert [change.time for change in await store.changes(1, 9)] == ["2026-01-01T00:00:01.000Z"] * 2


async def test_whoever_waits_for_a_change_is_woken_by_it(store: Store) -> None:
    waiting = [asyncio.create_task(store.wait_for_change(0)) for _ in range(3)]
    await asyncio.sleep(0)
    async with store.transaction() as tx:
        await tx.set_cursor("x", 1)
    with pytest.raises(LookupError):
        await fail(store, draft("void"))
    assert not any(task.done() for task in waiting)
    await put(store, draft("a"))
    await asyncio.gather(*waiting)
    await store.wait_for_change(0)
    later = asyncio.create_task(store.wait_for_change(1))
    await create(store, draft("b"))
    await later


async def test_readers_of_the_feed_miss_nothing_whoever_writes(store: Store) -> None:
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 40:
            await store.wait_for_change(seen[-1] if seen else 0)
            seen.extend([change.seq for change in await store.changes(seen[-1] if seen else 0, 3)])

    following = asyncio.create_task(follow())
    writes = [
        create(store, draft(f"e{n}")) if n % 2 else put(store, draft(f"e{n}", name="put")) for n in range(40)
    ]
    await asyncio.gather(*writes)
    await following
    assert seen == sorted(seen) == [change.seq for change in await store.changes(0, 100)]


async def test_a_cursor_moves_with_its_transaction(store: Store) -> None:
    assert await store.cursor("publisher") == 0
    async with store.transaction() as tx:
        await tx.set_cursor("publisher", 7)
        assert (await tx.cursor("publisher"), await tx.cursor("follower")) == (7, 0)
        assert await store.cursor("publisher") == 0
    async with store.transaction() as tx:
        await tx.set_cursor("publisher", 9)
        await tx.set_cursor("follower", 1)
    assert (await store.cursor("publisher"), await store.cursor("follower")) == (9, 1)


# -- counts, revisions, walks, references ---------------------------------------------------------------------


async def test_entities_are_counted_by_collection_origin_and_visibility(store: Store) -> None:
    await put(store, draft("a"), draft("b", origin="did:x:1"), draft("c", "Category", public=False))
    assert await store.counts() == {
        (OFFERING, True, True): 1,
        (OFFERING, False, True): 1,
        ("Category", True, False): 1,
    }
    await put(store, draft("a", public=False))
    await delete(store, "b", "c")
    assert await store.counts() == {(OFFERING, True, False): 1}


async def test_the_revision_of_a_collection_changes_with_every_commit_that_touches_it(store: Store) -> None:
    seen = [store.revision(OFFERING)]
    for write in (
        put(store, draft("a")),
        put(store, draft("a", name="new")),
        create(store, draft("b")),
        put(store, draft("a", "Category")),
        delete(store, "b"),
    ):
        await write
        seen.append(store.revision(OFFERING))
    assert len(set(seen)) == len(seen)
    await put(store, draft("x", "Category"))
    await put(store, draft("x", "Category"))
    assert store.revision(OFFERING) == seen[-1]


async def test_a_scan_walks_everything_in_the_order_of_identifiers(store: Store) -> None:
    await put(
        store, draft("c"), draft("a"), draft("b", public=False), draft("d", "Category", origin="did:x:1")
    )

    async def pages(**arguments: object) -> list[str]:
        return ["".join(one.id for one in page) async for page in store.scan(**arguments)]  # type: ignore[arg-type]

    assert await pages(limit=2) == ["ac", "d"]
    assert await pages(public_only=False) == ["abcd"]
    assert await pages(own_only=True, after_id="a") == ["c"]
    assert await pages(types=("Category",)) == ["d"]
    assert await pages(types=("Catalog",)) == []


async def test_a_scan_meets_what_is_written_before_its_place_comes(store: Store, clock: ManualClock) -> None:
    await put(store, draft("b"), draft("d"))
    ids = []
    async for page in store.scan(limit=1):
        ids += [one.id for one in page]
        if ids == ["b"]:
            await put(store, draft("a"), draft("c"))
    assert ids == ["b", "c", "d"]


async def test_referrers_are_those_that_hold_an_identifier_at_a_path_of_the_plan(store: Store) -> None:
    await put(
        store,
        draft("a", category=[{"id": "x"}, {"id": "y"}]),
        draft("b", productSpecification={"id": "x"}),
        draft("c", somewhere={"id": "x"}),
        draft("replica", category={"id": "x"}, origin="did:x:1"),
        draft("x", category={"id": "x"}),
        draft("sub", category={"id": "x"}, parent="x"),
        draft("other", "Topic", category={"id": "x"}),
    )
    async with store.transaction() as tx:
        assert {one.id for one in await tx.referrers([OFFERING, "Topic"], "x", 10)} == {"a", "b"}
        assert len(await tx.referrers([OFFERING], "x", 1)) == 1
        assert await tx.referrers(["Topic"], "x", 10) == ()
        (one,) = await tx.referrers([OFFERING], "y", 10)
        assert (one.id, one.collection, one.body) == (
            "a",
            OFFERING,
            draft("a", category=[{"id": "x"}, {"id": "y"}]).body,
        )
        await tx.put(draft("a"))
        assert await tx.referrers([OFFERING], "y", 10) == ()
    referring = [(one.id, one.origin) async for part in store.referring() for one in part]
    assert sorted(referring, key=str) == [("b", None), ("replica", "did:x:1"), ("sub", None), ("x", None)]


async def test_sub_resources_are_those_of_their_parent(store: Store) -> None:
    await put(
        store, draft("a", parent="p"), draft("b", "Category", parent="p"), draft("c", parent="q"), draft("d")
    )
    async with store.transaction() as tx:
        assert set(await tx.below([OFFERING, "Category"], "p", 9)) == {"a", "b"}
        assert await tx.below([OFFERING], "p", 9) == ("a",)
        assert len(await tx.below([OFFERING, "Category"], "p", 1)) == 1
        await tx.delete("a")
        assert await tx.below([OFFERING], "p", 9) == ()


async def test_what_is_worked_out_of_an_entity_before_is_what_the_store_would(store: Store) -> None:
    one = draft("a", category=[{"id": "c"}], lifecycleStatus="Launched")
    indexed = store.indexed(OFFERING, msgspec.json.decode(one.body), None)
    await create(store, msgspec.structs.replace(one, indexed=indexed))
    by_category = Query(OFFERING, (Filter(("category", "id"), ("c",)), LAUNCHED))
    assert (await store.list(by_category)).ids == ("a",)
    assert (await store.changes(0, 1))[0].status == "Launched"
