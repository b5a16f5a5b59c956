"""Creates that wait for no turn.

They join whatever group is open, and are as durable and ordered as all other writes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.core.limits import Limits
from hansa.store import Filter, Query
from hansa.store.index.plan import CollectionPlan
from hansa.store.sqlite.commit.added_rows import ROWS_TOGETHER_MAX
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, fill_index, opened, put

CATEGORY = Query(OFFERING, (Filter(("category", "id"), ("c",)),), limit=1)


async def create(store: SqliteStore, name: str) -> None:
    committed: asyncio.Future[HansaError | None] = asyncio.get_running_loop().create_future()
    await store.create(draft(name, category=[{"id": "c"}]), committed)
    if (failure := await committed) is not None:
        raise failure


async def fail(store: SqliteStore, name: str, *, waits: int) -> None:
    """A transaction that reads and writes, and is undone."""
    try:
        async with store.transaction() as tx:
            await tx.put(draft(name))
            await tx.entity(name)  # which has everything inserted that waits
            for _ in range(waits):
                await asyncio.sleep(0)
            raise LookupError
    except LookupError:
        pass


async def test_a_create_joins_the_group_of_a_transaction_that_runs() -> None:
    async with opened() as store:
        async with asyncio.TaskGroup() as tasks, store.transaction() as tx:
            created = tasks.create_task(create(store, "a"))
            await asyncio.sleep(0)
            assert await store.collections_of(("a", "b")) == {"a": OFFERING}
            assert await tx.collections_of(("a",)) == {"a": OFFERING}
            assert (await tx.put(draft("a", name="put"))).revision == 2
            assert not created.done()
        assert [(c.entity_id, c.operation) for c in await store.changes(0, 9)] == [
            ("a", "create"),
            ("a", "change"),
        ]


async def test_a_create_survives_that_a_transaction_of_its_group_is_undone() -> None:
    async with opened() as store:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(store, "void", waits=3))
            await asyncio.sleep(0)
            tasks.create_task(create(store, "a"))
        assert set(await store.entities(("a", "void"))) == {"a"}
        assert await store.collections_of(("a", "void")) == {"a": OFFERING}


async def test_creates_of_a_group_whose_commit_fails_hear_it() -> None:
    async with opened() as store:
        store._write.set_commit_hook(lambda: True)
        results = await asyncio.gather(*(create(store, f"e{n}") for n in range(3)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        store._write.set_commit_hook(None)
        assert await store.collections_of(("e0", "e1", "e2")) == {}
        await create(store, "later")
        assert [change.seq for change in await store.changes(0, 9)] == [1]


async def test_an_identifier_that_is_taken_fails_its_create_alone() -> None:
    async with opened() as store:
        await create(store, "a")
        one, other = await asyncio.gather(create(store, "a"), create(store, "b"), return_exceptions=True)
        assert isinstance(one, Exception)
        assert other is None
        assert set(await store.entities(("a", "b"))) == {"a", "b"}


async def test_an_identifier_that_is_taken_fails_its_create_alone_where_a_thread_commits(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "store.db") as store:
        await create(store, "a")
        names = ["b", "c", "a", "d", "e", "b"]
        results = await asyncio.gather(*(create(store, name) for name in names), return_exceptions=True)
        assert [isinstance(result, HansaError) for result in results] == [
            False,
            False,
            True,
            False,
            False,
            True,
        ]
        assert set(await store.entities(names)) == {"a", "b", "c", "d", "e"}
        assert await store.counts() == {(OFFERING, True, True): 5}
        assert await store.sql.fetch("SELECT sum(count) FROM entity_count") == [(5,)]
        await create(store, "later")
        assert (await store.list(CATEGORY)).total == 6
        assert store.writes_waiting == 0


async def test_creates_hear_that_the_commit_of_a_thread_failed(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        store._write.set_commit_hook(lambda: True)
        results = await asyncio.gather(*(create(store, f"e{n}") for n in range(9)), return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
        store._write.set_commit_hook(None)
        assert await store.collections_of(("e0", "e1", "e2")) == {}
        await asyncio.gather(*(create(store, f"later{n}") for n in range(9)))
        assert len(await store.changes(0, 99)) == 9


@pytest.mark.parametrize("count", [4, 16, ROWS_TOGETHER_MAX, 2 * ROWS_TOGETHER_MAX + 7])
async def test_creates_of_one_statement_leave_the_rows_that_they_leave_table_by_table(
    tmp_path: Path, count: int
) -> None:
    draw = random.Random(count)
    plan = {OFFERING: CollectionPlan("lifecycleStatus", references=(("category", "id"),))}
    drafts = [
        draft(
            f"e{n}",
            public=draw.random() < 0.5,
            origin=draw.choice((None, "did:web:other.example")),
            parent=draw.choice((None, "p")),
            lifecycleStatus=draw.choice(("Launched", 'a "word"\n\\ é \u2028\x7f', "")),
            lastUpdate="2026-01-01T00:00:00.000Z",
            **({"category": [{"id": f"c{n % 3}"}]} if draw.random() < 0.7 else {"name": "ü"}),
        )
        for n in range(count)
    ]
    drafts[0] = msgspec.structs.replace(drafts[0], public=False, is_pending=True, nonce=b"n" * 16)
    tables: list[list[object]] = []
    for path in (tmp_path / "store.db", None):
        async with opened(path, plan=plan) as store:
            await put(store, draft("before", lifecycleStatus="Launched"))
            ended = [asyncio.get_running_loop().create_future() for _ in drafts]
            for each, committed in zip(drafts, ended, strict=True):
                await store.create(each, committed)
            assert await asyncio.gather(*ended) == [None] * count
            tables.append(
                [
                    await store.sql.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3")  # noqa: S608 - a constant
                    for table in ("entity", "change", "entity_reference", "entity_count")
                ]
            )
    assert all(tables[0])
    assert tables[0] == tables[1]


async def test_too_many_creates_are_refused_and_so_are_those_after_closing() -> None:
    async with opened(limits=Limits(writes_waiting_max=10)) as store:
        results = await asyncio.gather(*(create(store, f"e{n}") for n in range(15)), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Unavailable)]
        assert len(refused) == 5
        assert {r.code for r in refused} == {Code.OVERLOADED}
    with pytest.raises(Unavailable) as failure:
        await create(store, "late")
    assert failure.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("seed", range(12))
async def test_whoever_writes_how_readers_see_a_feed_without_anything_behind_them(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    store = await SqliteStore.open(tmp_path / "store.db", ManualClock(), Limits())
    is_over = False
    seen: list[int] = []

    async def follow() -> None:
        """Read the feed as the publisher does: what comes later has higher numbers."""
        while not is_over or await store.last_change() > (seen[-1] if seen else 0):
            changes = await store.changes(seen[-1] if seen else 0, 7)
            seen.extend(change.seq for change in changes)
            await asyncio.sleep(0)

    async def client(number: int) -> None:
        for step in range(12):
            name = f"{number}-{step}"
            await draw.choice(
                (
                    lambda name=name: create(store, name),
                    lambda name=name: create(store, name),
                    lambda name=name: put(store, draft(name, category={"id": "c"})),
                    lambda name=f"{number}-{step // 2}": put(
                        store, draft(name, category={"id": draw.choice("cd")})
                    ),
                    lambda name=name: fail(store, name, waits=draw.choice((0, 2))),
                    lambda: fill_index(store),
                )
            )()

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(client(number) for number in range(40)))
    is_over = True
    await follower
    everything = [change.seq for change in await store.changes(0, 1000)]
    assert seen == everything == sorted(everything)
    bodies = [entity.body async for page in store.scan() for entity in page]
    assert await store.counts() == Counter({(OFFERING, True, True): len(bodies)})
    wanted = sum(b'{"id":"c"}' in body for body in bodies)
    assert (await store.list(CATEGORY)).total == wanted
    assert len((await store.list(msgspec.structs.replace(CATEGORY, limit=1000))).ids) == wanted
    await fill_index(store)
    assert len((await store.list(msgspec.structs.replace(CATEGORY, limit=1000))).ids) == wanted
    assert store.writes_waiting == 0
    await store.close()
