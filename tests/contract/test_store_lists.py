"""The lists of every `Store`: conditions, order, pages, totals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, Refused
from hansa.store import AllOf, AnyOf, Condition, EntityDraft, Filter, IsPublic, Query, SortKey, Store
from hansa.store import Test as StoreTest
from hansa.store.operators import EQ, GT, GTE, LT, LTE, REGEX
from tests.contract.stores import ENGINES, Engine, create, delete, opened, put
from tests.unit.store.drafts import OFFERING, draft


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    engine: Engine = request.param
    async with opened(engine) as one:
        yield one


def sample() -> tuple[EntityDraft, ...]:
    """Entities of many kinds; `e0` is the oldest."""
    return tuple(
        draft(
            f"e{n}",
            public=n % 3 < 2,
            parent="p" if n % 2 else None,
            name=f"n{n % 4}",
            lifecycleStatus=("Launched", "Retired")[n % 2],
            lastUpdate=f"2026-01-0{n % 5 + 1}T00:00:00{('Z', '+02:00')[n % 2]}",
            category=[{"id": f"c{n % 3}"}, {"id": f"c{n % 5}"}],
            size=n % 4 if n % 5 else "big",
            isBundle=n % 2 == 0,
        )
        for n in range(24)
    )


SINCE = ("2026-01-03T00:00:00Z",)
CONDITIONS: dict[str, Condition] = {
    "eq": Filter(("lifecycleStatus",), ("Launched",)),
    "eq-of-several": Filter(("name",), ("n1", "n3", "none")),
    "eq-in-array": Filter(("category", "id"), ("c2",)),
    "eq-number": Filter(("size",), ("3", "2.0"), EQ),
    "eq-boolean": Filter(("isBundle",), ("true",)),
    "eq-id": Filter(("id",), ("e3", "e5", "none")),
    "eq-absent": Filter(("nowhere",), ("x",)),
    "gt-text": Filter(("name",), ("n1",), GT),
    "lte-number": Filter(("size",), ("1",), LTE),
    "gte-moment": Filter(("lastUpdate",), SINCE, GTE, is_instant=True),
    "lt-moment": Filter(("lastUpdate",), SINCE, LT, is_instant=True),
    "regex": Filter(("name",), ("^n[02]$",), REGEX),
    "test": StoreTest("odd", lambda body, _: not body["isBundle"]),
    "any": AnyOf((Filter(("name",), ("n0",)), Filter(("category", "id"), ("c4",)))),
    "all": AnyOf((AllOf((Filter(("name",), ("n0",)), Filter(("isBundle",), ("true",)))),)),
    "public": IsPublic(),
    "not-public": IsPublic(False),
    "public-or": AnyOf((IsPublic(), Filter(("category", "id"), ("c4",)))),
    "public-and": AnyOf((AllOf((IsPublic(), Filter(("name",), ("n0",)))), IsPublic(False))),
}
EXPECTED = {
    "eq": range(0, 24, 2),
    "eq-of-several": range(1, 24, 2),
    "eq-in-array": [n for n in range(24) if 2 in {n % 3, n % 5}],
    "eq-number": [n for n in range(24) if n % 5 and n % 4 in {2, 3}],
    "eq-boolean": range(0, 24, 2),
    "eq-id": [3, 5],
    "eq-absent": [],
    "gt-text": [n for n in range(24) if n % 4 > 1],
    "lte-number": [n for n in range(24) if n % 5 and n % 4 <= 1],
    "gte-moment": [n for n in range(24) if n % 5 + 1 - (n % 2) / 12 >= 3],
    "lt-moment": [n for n in range(24) if n % 5 + 1 - (n % 2) / 12 < 3],
    "regex": range(0, 24, 2),
    "test": range(1, 24, 2),
    "any": [n for n in range(24) if n % 4 == 0 or n % 5 == 4],
    "all": range(0, 24, 4),
    "public": [n for n in range(24) if n % 3 < 2],
    "not-public": range(2, 24, 3),
    "public-or": [n for n in range(24) if n % 3 < 2 or n % 5 == 4],
    "public-and": [n for n in range(24) if n % 3 == 2 or n % 4 == 0],
}


@pytest.mark.parametrize("name", CONDITIONS)
async def test_a_condition_finds_what_it_says_in_the_order_of_creation(store: Store, name: str) -> None:
    await put(store, draft("other", "Category", name="n1"), *sample())
    query = Query(OFFERING, (CONDITIONS[name],), public_only=False)
    numbers = [*EXPECTED[name]]
    page = await store.list(query)
    assert (page.ids, page.total) == (tuple(f"e{n}" for n in numbers), len(numbers))
    assert page.bodies == tuple(sample()[n].body for n in numbers)
    public = [n for n in numbers if n % 3 < 2]
    page = await store.list(msgspec.structs.replace(query, public_only=True))
    assert (page.ids, page.total) == (tuple(f"e{n}" for n in public), len(public))
    below = [n for n in public if n % 2]
    page = await store.list(msgspec.structs.replace(query, public_only=True, parent="p"))
    assert (page.ids, page.total) == (tuple(f"e{n}" for n in below), len(below))


async def test_all_conditions_of_a_list_hold(store: Store) -> None:
    await put(store, *sample())
    filters = (CONDITIONS["eq"], CONDITIONS["eq-in-array"], CONDITIONS["lte-number"])
    page = await store.list(Query(OFFERING, filters, public_only=False))
    numbers = [n for n in range(0, 24, 2) if 2 in {n % 3, n % 5} and n % 5 and n % 4 <= 1]
    assert page.ids == tuple(f"e{n}" for n in numbers)


@pytest.mark.parametrize("filters", [(), (CONDITIONS["eq"],)], ids=["all", "some"])
async def test_pages_join_to_the_whole_list(store: Store, filters: tuple[Condition, ...]) -> None:
    await put(store, *sample())
    whole = await store.list(Query(OFFERING, filters, public_only=False))
    for limit in (1, 5, 24):
        ids: list[str] = []
        for offset in range(0, 30, limit):
            page = await store.list(Query(OFFERING, filters, (), offset, limit, public_only=False))
            assert page.total == whole.total
            ids += page.ids
        assert tuple(ids) == whole.ids
    nothing = await store.list(Query(OFFERING, filters, limit=0, public_only=False))
    assert (nothing.ids, nothing.total) == ((), whole.total)


async def test_a_list_is_sorted_by_its_keys_and_then_by_creation(store: Store) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {"v": 2},
        {"v": "b"},
        {},
        {"v": 10},
        {"v": "B"},
        {"v": None},
        {"v": 2, "w": 1},
        {"v": {"x": 1}},
    )
    await put(store, *(draft(f"e{n}", **body) for n, body in enumerate(bodies)))

    async def sorted_by(*keys: SortKey) -> str:
        return "".join(name[1:] for name in (await store.list(Query(OFFERING, sort=keys))).ids)

    assert await sorted_by(SortKey(("v",))) == "25706341"
    assert await sorted_by(SortKey(("v",), descending=True)) == "14360752"
    assert await sorted_by(SortKey(("v",)), SortKey(("w",), descending=True)) == "75260341"


async def test_moments_are_sorted_whatever_their_zones(store: Store) -> None:
    times = ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00+02:00", "2026-01-01T11:00:00.5Z")
    await put(store, *(draft(f"e{n}", lastUpdate=time) for n, time in enumerate(times)))
    page = await store.list(Query(OFFERING, sort=(SortKey(("lastUpdate",), is_instant=True),)))
    assert page.ids == ("e1", "e2", "e0")


async def test_what_is_no_regular_expression_is_refused(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(Refused) as failure:
            await store.list(Query(OFFERING, (Filter(("name",), ("(",), REGEX),)))
        assert failure.value.code is Code.INVALID
        await put(store, draft("a", name="x"))


async def test_totals_follow_every_write(store: Store) -> None:
    query = Query(OFFERING, (Filter(("category", "id"), ("c",)),), limit=1)
    totals = [(await store.list(query)).total]
    for write in (
        put(store, draft("a", category={"id": "c"}), draft("b", category={"id": "c"})),
        put(store, draft("a", category={"id": "d"})),
        put(store, draft("b", category={"id": "c"}, public=False)),
        create(store, draft("c", category=[{"id": "d"}, {"id": "c"}])),
        delete(store, "c"),
    ):
        await write
        totals.append((await store.list(query)).total)
    assert totals == [0, 2, 1, 0, 1, 0]


async def test_a_page_says_whether_its_identifiers_need_no_escape(store: Store) -> None:
    await put(store, draft("plain-1"))
    assert (await store.list(Query(OFFERING))).is_plain
    await put(store, draft("a b"))
    page = await store.list(Query(OFFERING))
    assert (page.is_plain, page.bodies) == (False, (draft("plain-1").body, draft("a b").body))
