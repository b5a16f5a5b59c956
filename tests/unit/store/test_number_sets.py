"""Lists with several conditions join sets in memory, which follow every commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.limits import Limits
from hansa.store import AnyOf, Filter, IsPublic, Query, SortKey
from hansa.store.sqlite.lists import ordering, planner
from hansa.store.sqlite.lists.lists import Lists
from hansa.store.sqlite.number_sets import JoinedSet, NumberSet, NumberSets
from tests.unit.store.drafts import OFFERING, draft, opened, put
from tests.unit.store.plain_lists import LAUNCHED, check_list, offerings

IN_C1 = Filter(("category", "id"), ("c1",))
IN_C2_OR_C3 = Filter(("category", "id"), ("c2", "c3"))
BY_NAME = SortKey(("name",))
LATEST_FIRST = SortKey(("lastUpdate",), descending=True, is_instant=True)
TWO = Query(OFFERING, (LAUNCHED, IN_C1), limit=1000)
QUERIES = (
    TWO,
    Query(OFFERING, (LAUNCHED, IN_C1), public_only=False, offset=3, limit=4),
    Query(OFFERING, (Filter(("lifecycleStatus",), ("Launched", "Retired")), IN_C2_OR_C3)),
    Query(OFFERING, (IN_C2_OR_C3,), public_only=False),
    Query(OFFERING, (IN_C1, IN_C2_OR_C3, LAUNCHED), parent="p"),
    Query(OFFERING, (AnyOf((LAUNCHED, IN_C1)), IN_C2_OR_C3)),
    Query(OFFERING, (Filter(("name",), ("n1", "n2")), IN_C1), offset=1),
    Query(OFFERING, (LAUNCHED, IN_C1), (BY_NAME,), limit=7),
    Query(OFFERING, (LAUNCHED, IN_C1), (LATEST_FIRST,), offset=5, limit=4, public_only=False),
    Query(OFFERING, (IN_C2_OR_C3, LAUNCHED), (BY_NAME,), offset=30, limit=50),
    Query(OFFERING, (IN_C1,), (LATEST_FIRST,), offset=2, limit=3),
    Query(OFFERING, (IN_C2_OR_C3,), (SortKey(("lifecycleStatus",)),), public_only=False, parent="p"),
    Query(OFFERING, (AnyOf((IsPublic(), IN_C1)),), public_only=False),
    Query(OFFERING, (AnyOf((IsPublic(), IN_C1, IN_C2_OR_C3)), LAUNCHED), (BY_NAME,), 2, 9, public_only=False),
)


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few entities there are, sets are joined."""
    monkeypatch.setattr(planner, "SETS_MIN", 0)
    monkeypatch.setattr(planner, "ENTITIES_INLINE_MAX", 0)


@given(st.sets(st.integers(0, 20_000)), st.integers(0, 50), st.integers(0, 50))
def test_what_is_selected_is_a_page_of_the_sorted_numbers(numbers: set[int], offset: int, limit: int) -> None:
    bits = NumberSet(numbers).bits
    assert bits.bit_count() == len(numbers)
    joined = JoinedSet(bits)
    assert list(joined.page(offset, limit)) == sorted(numbers)[offset : offset + limit]
    assert list(joined.page(offset, limit)) == sorted(numbers)[offset : offset + limit]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100_000))))
def test_a_set_of_numbers_is_a_set(steps: Sequence[tuple[bool, int]]) -> None:
    numbers, model = NumberSet(), set[int]()
    for is_added, number in steps:
        (numbers.add if is_added else numbers.discard)(number)
        (model.add if is_added else model.discard)(number)
        assert numbers.bits == sum(1 << one for one in model)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_list_of_several_conditions_is_exact_after_every_commit(query: Query) -> None:
    drafts = {one.id: one for one in offerings(100)}
    async with opened() as store:
        await put(store, *drafts.values())
        await check_list(store, list(drafts.values()), query)
        for number in range(0, 60, 7):
            changed = draft(f"e{number}", name="n1", lifecycleStatus="Launched", category=[{"id": "c1"}])
            added = draft(f"new{number}", name="n2", lifecycleStatus="Launched", category=[{"id": "c2"}])
            await put(store, changed, added)
            async with store.transaction() as tx:
                await tx.delete(f"e{number + 1}")
            drafts.update({changed.id: changed, added.id: added})
            del drafts[f"e{number + 1}"]
            # What was changed stays at its place.
            await check_list(store, list(drafts.values()), query)


async def test_after_the_first_no_list_of_several_conditions_asks_sqlite_for_its_matches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as store:
        await put(store, *offerings(100))
        total = (await store.list(TWO)).total

        async def refuse(*_: Any) -> None:
            raise AssertionError("a search")

        monkeypatch.setattr(Lists, "_in_time", refuse)
        monkeypatch.setattr(store._searches, "run", refuse)
        for number in range(20):
            await put(store, draft(f"new{number}", lifecycleStatus="Launched", category=[{"id": "c1"}]))
            assert (await store.list(TWO)).total == total + number + 1


async def test_sets_that_are_read_while_others_write_are_exact() -> None:
    async with opened() as store:
        await put(store, *offerings(100))
        total = (await store.list(TWO)).total
        for number in range(30):
            store._totals.sets.cache.clear()
            reading = asyncio.create_task(store.list(msgspec.structs.replace(TWO, limit=0)))
            await asyncio.sleep(0)
            await put(store, draft(f"new{number}", lifecycleStatus="Launched", category=[{"id": "c1"}]))
            if number % 2:
                async with store.transaction() as tx:
                    await tx.delete(f"new{number}")
            total += 1 - number % 2
            await reading
            page = await store.list(TWO)
            assert page.total == len(page.ids) == total


async def test_a_list_whose_sets_have_no_room_is_a_search() -> None:
    async with opened(limits=Limits(cache_max_bytes=54)) as store:
        await put(store, *offerings(100))
        assert isinstance(store._totals.sets, NumberSets)
        for query in QUERIES:
            await check_list(store, offerings(100), query)
        assert not len(store._totals.sets.cache)


@pytest.mark.parametrize("bounds", [(5000, 0), (0, 1500), (0, 0), (40, 10)], ids=repr)
@pytest.mark.parametrize("sort", [BY_NAME, LATEST_FIRST], ids=["name", "last update"])
async def test_an_order_is_the_same_whether_it_is_walked_sorted_or_searched(
    monkeypatch: pytest.MonkeyPatch, sort: SortKey, bounds: tuple[int, int]
) -> None:
    monkeypatch.setattr(ordering, "WALKED_MAX", bounds[0])
    monkeypatch.setattr(ordering, "SORTED_MAX", bounds[1])
    monkeypatch.setattr(ordering, "PART_MIN", 3)
    drafts = offerings(200)
    async with opened() as store:
        await put(store, *drafts)
        for offset in (0, 1, 9, 40, 1000):
            for conditions in ((LAUNCHED, IN_C1), (IN_C2_OR_C3, LAUNCHED), (IN_C1,)):
                await check_list(store, drafts, Query(OFFERING, conditions, (sort,), offset=offset, limit=11))


async def test_the_last_of_an_order_are_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "SORTED_MAX", 0)
    monkeypatch.setattr(ordering, "WALKED_MAX", 50)
    first = [
        draft(f"a{n}", name=f"a{n}", lifecycleStatus="Retired", category=[{"id": "c1"}]) for n in range(500)
    ]
    last = [draft(f"z{n}", name="z", lifecycleStatus="Launched", category=[{"id": "c1"}]) for n in range(400)]
    query = Query(OFFERING, (LAUNCHED, IN_C1), (BY_NAME,), limit=10)
    async with opened() as store:
        await put(store, *first, *last)
        read: list[int] = []
        rows = Lists._rows

        def counting(lists: Lists, statement: Any) -> Any:
            result = rows(lists, statement)
            read.append(len(result))
            return result

        monkeypatch.setattr(Lists, "_rows", counting)
        await check_list(store, [*first, *last], query)
        assert max(read) <= 100


async def test_sorted_lists_beside_writes_ask_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    query = Query(OFFERING, (LAUNCHED, IN_C1), (BY_NAME,), limit=5)
    async with opened() as store:
        await put(store, *offerings(100))
        total = (await store.list(query)).total

        async def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a search")

        monkeypatch.setattr(store._searches, "run", refuse)
        monkeypatch.setattr(store._searches, "fetch", refuse)
        for number in range(20):
            added = draft(f"new{number}", name="a", lifecycleStatus="Launched", category=[{"id": "c1"}])
            await put(store, added)
            page = await store.list(query)
            assert (page.total, page.ids[0]) == (total + number + 1, "new0")
