"""Lists.

The SQL agrees with a plain evaluation, frequent ones stream from an index, the others hold up nobody.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.work import Checkpoint
from hansa.store import (
    AllOf,
    AnyOf,
    Filter,
    Query,
    SortKey,
    records,
)
from hansa.store.operators import EQ, GT, GTE, OPERATORS, REGEX
from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.lists import counting, planner
from tests.unit.store.drafts import OFFERING, draft, fill_index, opened, put
from tests.unit.store.plain_lists import LAUNCHED, SINCE, check_list, offerings

NAMES = ("a", "b", "category", "id", 'q"', "ü", "")
TEXTS = (
    "",
    "x",
    "y",
    "5",
    "5.0",
    "-0",
    "true",
    "false",
    "null",
    "1e2",
    "0.1",
    "ü\U0001f600",
    'say "x"',
    "a\\b",
    "\x1f",
    "'",
)
numbers = st.sampled_from((0, 5, -1, 100, 0.1, 5.5, 1e21, 1.7976931348623157e308)) | st.floats(
    allow_nan=False, allow_infinity=False
)
scalars = st.sampled_from(TEXTS) | numbers | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
columns = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("x", "y", "5")),
        "lifecycleStatus": st.sampled_from(("Launched", "Retired", "")),
        "lastUpdate": st.sampled_from(("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")),
    },
)
references = st.fixed_dictionaries(
    {},
    optional={
        path: st.lists(st.fixed_dictionaries({"id": scalars}), max_size=3)
        | st.fixed_dictionaries({"id": scalars})
        for path in ("category", "relatedParty")
    },
)
documents = st.builds(
    lambda free, some, more: {**free, **some, **more},
    st.dictionaries(st.sampled_from(("a", "b", 'q"', "")), values, max_size=3),
    columns,
    references,
)
paths = st.sampled_from(
    (
        *(("name",), ("lifecycleStatus",), ("lastUpdate",), ("id",)),
        *(("category", "id"), ("relatedParty", "id"), ("category",), ("missing",)),
        *(
            ("a",),
            ("b",),
            ('q"',),
            ("",),
            ("a", "b"),
            ("a", "id"),
            ("b", 'q"'),
            ("a", "b", "ü"),
            ("a", "a", "a"),
        ),
    )
)
filters = st.builds(
    Filter,
    paths,
    st.lists(
        st.sampled_from((*TEXTS, "Launched", "e1", "e2", "2026-01-01T00:00:00Z", "2026-01", "[5x]", "^e")),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.sampled_from((EQ, *OPERATORS)),
    st.booleans(),
).filter(lambda one: one.operator is not REGEX or not set(one.values) & {"a\\b"})
tests = st.builds(
    lambda name: records.Test(f"has {name}", lambda body, _: name in body), st.sampled_from(("a", "category"))
)
conditions = st.recursive(
    filters | filters | tests | st.builds(records.IsPublic, st.booleans()),
    lambda inner: (
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple))
        | st.builds(AllOf, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
queries = st.builds(
    Query,
    st.just(OFFERING),
    st.lists(conditions, max_size=2).map(tuple),
    st.lists(st.builds(SortKey, paths, st.booleans()), max_size=2).map(tuple),
    st.integers(0, 3),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from((None, None, None, "p")),
)


@given(
    st.lists(st.tuples(documents, st.booleans(), st.sampled_from((None, "p"))), max_size=6),
    st.lists(queries, min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=200)
async def test_any_list_agrees_with_a_plain_evaluation(
    contents: list[tuple[dict[str, Any], bool, str | None]], asked: list[Query]
) -> None:
    drafts = [
        draft(f"e{n}", public=public, parent=parent, **content)
        for n, (content, public, parent) in enumerate(contents)
    ]
    async with opened() as store:
        await put(store, *drafts, draft("other", "Category", name="x"))
        for query in (*asked, *asked):
            await check_list(store, drafts, query)
        await fill_index(store)
        for query in asked:
            await check_list(store, drafts, query)


@pytest.fixture
def few_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever looks at more than two entities is a matter for a worker thread."""
    for module, name in (
        (planner, "ENTITIES_INLINE_MAX"),
        (planner, "BODIES_INLINE_MAX"),
        (planner, "SETS_MIN"),
        (counting, "COUNTED_INLINE_MAX"),
    ):
        monkeypatch.setattr(module, name, 2)


@given(
    st.lists(st.tuples(documents, st.booleans(), st.sampled_from((None, "p"))), min_size=4, max_size=12),
    st.lists(queries, min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("few_inline")
async def test_a_list_too_long_for_the_loop_agrees_with_a_plain_evaluation(
    contents: list[tuple[dict[str, Any], bool, str | None]], asked: list[Query]
) -> None:
    drafts = [
        draft(f"e{n}", public=public, parent=parent, **content)
        for n, (content, public, parent) in enumerate(contents)
    ]
    async with opened() as store:
        await put(store, *drafts)
        for query in (*asked, *asked):
            await check_list(store, drafts, query)
        changed = [draft("e0", name="x", category={"id": "x"}), *drafts[1:]]
        await put(store, changed[0])
        for query in asked:
            await check_list(store, changed, query)


STREAMED = (
    Query(OFFERING),
    Query(OFFERING, public_only=False, offset=50),
    Query(OFFERING, (LAUNCHED,)),
    Query(OFFERING, (Filter(("lifecycleStatus",), ("Launched", "Retired", "absent")),)),
    Query(OFFERING, (Filter(("lifecycleStatus",), ("In design",)),), public_only=False),
    Query(OFFERING, (Filter(("name",), ("n3",)),)),
    Query(OFFERING, (Filter(("lastUpdate",), ("2026-01-05T01:00:00+01:00",), is_instant=True),)),
    Query(OFFERING, (Filter(("category", "id"), ("c3",)),)),
    Query(OFFERING, (Filter(("category", "id"), ("c3",)),), public_only=False),
    Query(OFFERING, (Filter(("@type",), (OFFERING,)),)),
    Query(OFFERING, sort=(SortKey(("lastUpdate",), descending=True),)),
    Query(OFFERING, sort=(SortKey(("name",)),), public_only=False),
    Query(OFFERING, (LAUNCHED,), (SortKey(("lastUpdate",), descending=True),), limit=1),
    Query(OFFERING, (SINCE,), (SortKey(("lastUpdate",)),)),
    Query(OFFERING, parent="p"),
)


@pytest.mark.parametrize("query", STREAMED)
@pytest.mark.usefixtures("few_inline")
async def test_frequent_lists_stream_from_an_index(query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "ENTITIES_INLINE_MAX", 6)
    drafts = offerings(100)
    async with opened() as store:
        await put(store, *drafts)
        await check_list(store, drafts, query)  # from here on the totals are kept
        asked: list[tuple[str, tuple[Parameter, ...]]] = []
        fetch = store._reader.rows

        def noting(sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
            asked.append((sql, parameters))
            return fetch(sql, parameters)

        store._lists._fetch = noting
        await check_list(store, drafts, query)
        assert asked
        for sql, parameters in asked:
            steps = [step for *_, step in fetch("EXPLAIN QUERY PLAN " + sql, parameters)]
            assert not [s for s in steps if s in {"SCAN e", "SCAN entity"} or "TEMP B-TREE" in s], steps


@pytest.mark.parametrize(
    ("query", "unindexed"),
    [
        (Query(OFFERING, (Filter(("version",), ("3.0",)),)), ("version",)),
        (Query(OFFERING, (LAUNCHED, Filter(("version",), ("3.0",)))), ("version",)),
        (
            Query(OFFERING, (Filter(("category", "id"), ("c1", "c2")), Filter(("name",), ("n1",), REGEX))),
            ("name",),
        ),
        (Query(OFFERING, (records.Test("a test", lambda body, _: body["version"] > "1.0"),)), ("a test",)),
        (
            Query(OFFERING, sort=(SortKey(("place", "id")), SortKey(("version",), descending=True)), limit=7),
            ("place.id", "version"),
        ),
        (Query(OFFERING, (LAUNCHED,), (SortKey(("id",)),)), ()),
        (Query(OFFERING, (AnyOf((LAUNCHED, SINCE)),)), ()),
    ],
)
@pytest.mark.usefixtures("few_inline")
async def test_every_other_list_is_a_search_and_says_what_has_no_index(
    query: Query, unindexed: tuple[str, ...]
) -> None:
    drafts = offerings(100)
    async with opened() as store:
        await put(store, *drafts)
        await check_list(store, drafts, query)
        assert store.unindexed_searches() == {}, "the marketplace's own lists are nobody's to improve"
        for _ in range(2):
            page = await store.list(query, records.ListCaller(is_stranger=True))
            assert page.unindexed == unindexed
        assert store.unindexed_searches() == {(OFFERING, name): 2 for name in unindexed}


async def test_a_list_by_identifiers_looks_at_nothing_else() -> None:
    query = Query(
        OFFERING, (Filter(("id",), ("e3", "e4")), Filter(("version",), ("3.0",))), (SortKey(("a", "b")),)
    )
    async with opened() as store:
        await put(store, *offerings(100))
        await check_list(store, offerings(100), query)
        assert (await store.list(query)).unindexed == ()
        assert store.unindexed_searches() == {}


@pytest.mark.usefixtures("few_inline")
async def test_totals_that_are_counted_while_others_write_are_exact() -> None:
    query = Query(OFFERING, (Filter(("category", "id"), ("c3",)),))
    async with opened() as store:
        await put(store, *offerings(100))
        before = (await store.list(msgspec.structs.replace(query, public_only=False))).total
        for n in range(20):
            store._totals._postings.clear()
            counting = asyncio.create_task(store.list(msgspec.structs.replace(query, limit=0)))
            await asyncio.sleep(0)
            await put(store, draft(f"new{n}", category={"id": "c3"}))
            await counting
            page = await store.list(msgspec.structs.replace(query, public_only=False, limit=1000))
            assert page.total == len(page.ids) == before + n + 1


async def test_a_value_with_hundreds_of_alternatives_is_no_error() -> None:
    many = tuple(f"x{n}" for n in range(3000))
    async with opened() as store:
        await put(store, *offerings(10))
        for path in (("id",), ("name",), ("lifecycleStatus",), ("category", "id"), ("version",), ("a", "b")):
            for order in (EQ, GT, REGEX):
                query = Query(OFFERING, (Filter(path, (*many, "e1"), order),))
                await check_list(store, offerings(10), query)


async def test_a_search_that_takes_too_long_is_stopped_with_advice() -> None:
    clock = ManualClock()

    def slow(body: Any, _: Checkpoint) -> bool:
        clock._elapsed_s += 0.01
        return True

    query = Query(OFFERING, (Filter(("version",), ("3.0",), GTE), records.Test("a test", slow)))
    async with opened(limits=Limits(search_timeout_s=0.5), clock=clock) as store:
        await put(store, *offerings(3000))
        with pytest.raises(Unavailable, match="indexed_attributes") as failure:
            await store.list(query)
        assert failure.value.code is Code.SEARCH_TOO_SLOW
        assert "version" in failure.value.message
        assert (await store.list(Query(OFFERING, (Filter(("version",), ("3.0",)),), limit=1))).total > 0


async def test_a_changed_or_deleted_entity_is_found_under_what_it_is_now() -> None:
    query = Query(OFFERING, (Filter(("category", "id"), ("c1",)),))
    async with opened() as store:
        await put(
            store, draft("a", category=[{"id": "c1"}, {"id": "c2"}]), draft("b", category=[{"id": "c1"}])
        )
        await put(store, draft("a", category=[{"id": "c2"}, {"id": "c3"}]))
        async with store.transaction() as tx:
            await tx.delete("b")
        await put(store, draft("c", category={"id": "c1"}))
        assert (await store.list(query)).ids == ("c",)
        await fill_index(store)
        assert (await store.list(query)).ids == ("c",)
        assert await store.sql.fetch("SELECT count(*) FROM entity_index") == [(5,)]  # each has its @type


async def test_too_many_searches_are_refused() -> None:
    async with opened() as store:
        await put(store, *offerings(100))
        queries = [Query(OFFERING, (Filter(("version",), (f"{n}.0",)),)) for n in range(80)]
        results = await asyncio.gather(*map(store.list, queries), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Unavailable)]
        assert len(refused) == 14
        assert {r.code for r in refused} == {Code.OVERLOADED}
        assert (await store.list(queries[3])).total > 0
