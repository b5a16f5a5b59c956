"""Searches in worker threads: joined, in two classes, with deadlines that hold wherever time is spent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.measured_work import MeasuredWork
from hansa.core.work import Checkpoint
from hansa.store import Filter, ListCaller, Query, records
from hansa.store.operators import REGEX
from hansa.store.sqlite.lists.search_pool import SEARCHES_WAITING_MAX, TooSlow
from hansa.store.sqlite.lists.statements import Statement
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, opened, put
from tests.unit.store.plain_lists import offerings

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT {} UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
STRANGER = ListCaller(is_stranger=True)
BY_VERSION = Query(OFFERING, (Filter(("version",), ("3.0",)),))


def endless(store: SqliteStore, number: int = 0, caller: ListCaller = STRANGER) -> asyncio.Task[Any]:
    """A search that never ends by itself."""
    return asyncio.create_task(store._searches.fetch(Statement(ENDLESS.format(number), ()), caller))


async def ended(*tasks: asyncio.Task[Any]) -> list[Any]:
    """What became of some tasks, after they were cancelled."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_identical_searches_that_wait_are_one_and_see_what_was_committed_before_they_came() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        blockers = [endless(store, n, ListCaller()) for n in range(2)]
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(store.list(BY_VERSION)) for _ in range(300)]
        await asyncio.sleep(0)
        await put(store, draft("new", version="3.0"))
        after_commit = [asyncio.create_task(store.list(BY_VERSION)) for _ in range(300)]
        await asyncio.sleep(0)
        assert store._searches.joined == 599
        await ended(*blockers)
        totals = {page.total for page in await asyncio.gather(*waiting, *after_commit)}
        assert totals == {2}


async def test_a_search_that_runs_is_not_joined() -> None:
    async with opened() as store:
        first = endless(store)
        await asyncio.sleep(0)
        second = endless(store)
        await asyncio.sleep(0)
        assert store._searches.joined == 0
        await ended(first, second)


async def test_strangers_never_have_all_workers() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        flood = [endless(store, n) for n in range(SEARCHES_WAITING_MAX + 1)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await store.list(BY_VERSION, STRANGER)
        assert refused.value.code is Code.OVERLOADED
        assert (await store.list(BY_VERSION, ListCaller())).total == 1
        assert not any(task.done() for task in flood)
        await ended(*flood)


async def test_known_callers_leave_strangers_a_worker() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        known = [endless(store, n, ListCaller()) for n in range(2)]
        await asyncio.sleep(0)
        more = [endless(store, n, ListCaller()) for n in range(2, 20)]
        stranger = asyncio.create_task(store.list(BY_VERSION, STRANGER))
        await asyncio.sleep(0)
        await ended(known[0])
        assert (await stranger).total == 1
        await ended(*known, *more)


async def test_a_caller_that_leaves_takes_its_search_along() -> None:
    class LeftError(Exception):
        pass

    gone = asyncio.Event()

    async def left() -> None:
        await gone.wait()
        raise LeftError

    async with opened() as store:
        await put(store, *offerings(10))
        flood = [endless(store, n, ListCaller(is_stranger=True, left=left)) for n in range(60)]
        await asyncio.sleep(0)
        gone.set()
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert all(isinstance(result, LeftError) for result in results)
        assert (await store.list(BY_VERSION, STRANGER)).total == 1


async def test_a_search_goes_on_while_one_of_those_who_joined_it_waits() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        blocker = endless(store)
        await asyncio.sleep(0)
        first, second = (asyncio.create_task(store.list(BY_VERSION, STRANGER)) for _ in range(2))
        await asyncio.sleep(0)
        await ended(first, blocker)
        assert (await second).total == 1


async def test_a_search_that_was_cancelled_before_its_first_step_frees_its_worker() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        for _ in range(5):
            task = asyncio.create_task(store.list(BY_VERSION, STRANGER))
            await asyncio.sleep(0)
            await ended(task)
        assert (await store.list(BY_VERSION, STRANGER)).total == 1


async def test_waiting_counts_toward_the_deadline() -> None:
    clock = ManualClock()
    async with opened(limits=Limits(search_timeout_s=0.5), clock=clock) as store:
        blocker = endless(store)
        await asyncio.sleep(0)
        waiting = endless(store, 1)
        await asyncio.sleep(0)
        await clock.advance(0.6)
        results = await asyncio.gather(blocker, waiting, return_exceptions=True)
        assert all(isinstance(result, TooSlow) for result in results)


def runs_of(body: Any, checkpoint: Checkpoint) -> bool:
    """A test of one entity that would take for ever."""
    while True:
        checkpoint()


def heavy_pattern() -> Query:
    """A regular expression that takes half a second for each entity."""
    return Query(OFFERING, (Filter(("description",), ("(a|b|[0-9 ]){100,180}$",), REGEX),))


@pytest.mark.parametrize(
    "query",
    [heavy_pattern, lambda: Query(OFFERING, (records.Test("a test", runs_of),))],
    ids=["pattern", "test"],
)
async def test_a_deadline_holds_where_python_spends_the_time(query: Callable[[], Query]) -> None:
    text = "ab 12" * 30_000
    async with opened(limits=Limits(search_timeout_s=0.2), clock=SystemClock()) as store:
        await put(store, *(draft(f"e{n}", description=f"{text}{n}x") for n in range(40)))
        started_s = time.process_time()
        with pytest.raises(Unavailable) as failure:
            await store.list(query(), STRANGER)
        assert failure.value.code is Code.SEARCH_TOO_SLOW
        assert (await store.list(Query(OFFERING), STRANGER)).total == 40
        assert (
            time.process_time() - started_s < 8.0
        )  # all entities would take some twenty seconds, or for ever


async def test_a_search_whose_caller_is_cancelled_is_stopped_and_its_connection_serves_the_next() -> None:
    async with opened() as store:
        await put(store, *offerings(10))
        results = await ended(endless(store, 0, ListCaller()), endless(store, 1, ListCaller()))
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert (await store.list(BY_VERSION)).total == 1


async def test_closing_stops_searches() -> None:
    async with opened() as store:
        search = endless(store)
        await asyncio.sleep(0)
        assert store._searches._busy
    with pytest.raises(Unavailable, match="closing"):
        await search


async def test_a_search_costs_each_of_those_who_share_it_its_part_of_the_time() -> None:
    clock = SystemClock()
    long = Statement(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 400000) SELECT count(*) FROM n",
        (),
    )
    async with opened(clock=clock) as store:
        searches = store._searches
        alone = MeasuredWork(searches.fetch(long, STRANGER), clock.monotonic)
        await alone
        blockers = [endless(store, n, ListCaller()) for n in range(2)]
        await asyncio.sleep(0)
        shared = [MeasuredWork(searches.fetch(long, ListCaller()), clock.monotonic) for _ in range(50)]

        async def run(work: MeasuredWork[Any]) -> None:
            await work

        started_s = clock.monotonic()
        tasks = [asyncio.create_task(run(work)) for work in shared]
        await asyncio.sleep(0)
        await ended(*blockers)
        await asyncio.gather(*tasks)
        taken_s = clock.monotonic() - started_s
    assert alone.seconds > 0.002, "it is no quick one"
    parts = [work.seconds for work in shared]
    assert 0 < min(parts) <= sum(parts) <= taken_s, "nobody pays for all"
