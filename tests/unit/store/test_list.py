"""Lists: the SQL agrees with a plain evaluation, frequent ones stream from an index, the others hold up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Unavailable
from hansa.store import EntityDraft, Filter, Query, SortKey, Store
from hansa.store.query import Search, Statement, Stream, compile_query
from tests.unit.store.drafts import OFFERING, draft, opened, put

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
        st.sampled_from((*TEXTS, "Launched", "e1", "e2", "2026-01-01T00:00:00Z")), min_size=1, max_size=2
    ).map(tuple),
)
queries = st.builds(
    Query,
    st.just(OFFERING),
    st.lists(filters, max_size=2).map(tuple),
    st.lists(st.builds(SortKey, paths, st.booleans()), max_size=2).map(tuple),
    st.integers(0, 3),
    st.integers(0, 5),
    st.booleans(),
)


def reached(document: Any, path: Sequence[str]) -> list[Any]:
    """What a path reaches; the plain reading of the definition."""
    if not path:
        return [document]
    if not isinstance(document, dict) or path[0] not in document:
        return []
    value = document[path[0]]
    return [x for node in (value if isinstance(value, list) else [value]) for x in reached(node, path[1:])]


def equals(value: Any, text: str) -> bool:
    """Whether the text of a query means the value."""
    match value:
        case bool():
            return text == ("true" if value else "false")
        case str():
            return text == value
        case int() | float():
            try:
                number = msgspec.json.decode(text)
            except msgspec.DecodeError:
                return False
            return not isinstance(number, bool) and isinstance(number, int | float) and number == value
        case _:
            return False


def place(bodies: dict[str, Any], path: Sequence[str], id: str) -> tuple[int, float, str]:
    """Place of an entity in an order: absent, numbers, strings."""
    for value in reached(bodies[id], path):
        if isinstance(value, str):
            return 2, 0.0, value
        if isinstance(value, int | float):
            return 1, float(value), ""
    return 0, 0.0, ""


def expected(drafts: Sequence[EntityDraft], query: Query) -> tuple[tuple[str, ...], int]:
    """The page and total, evaluated without SQL."""
    bodies = {one.id: msgspec.json.decode(one.body) for one in drafts}
    ids = [one.id for one in drafts if one.type == query.type and (one.public or not query.public_only)]
    for filter in query.filters:
        ids = [
            i
            for i in ids
            if any(equals(v, t) for v in reached(bodies[i], filter.path) for t in filter.values)
        ]
    if query.sort and query.sort[-1].descending:
        ids.reverse()
    for key in reversed(query.sort):  # sorting is stable, also with `reverse`
        ids = sorted(ids, key=partial(place, bodies, key.path), reverse=key.descending)
    return tuple(ids[query.offset : query.offset + query.limit]), len(ids)


async def checked(store: Store, drafts: Sequence[EntityDraft], query: Query) -> None:
    page = await store.list(query)
    assert (page.ids, page.total) == expected(drafts, query)
    bodies = {one.id: one.body for one in drafts}
    assert page.bodies == tuple(bodies[i] for i in page.ids)


@given(st.lists(st.tuples(documents, st.booleans()), max_size=6), st.lists(queries, min_size=1, max_size=6))
@settings(deadline=None, max_examples=150)
async def test_any_list_agrees_with_a_plain_evaluation(
    contents: list[tuple[dict[str, Any], bool]], asked: list[Query]
) -> None:
    drafts = [draft(f"e{n}", public=public, **content) for n, (content, public) in enumerate(contents)]
    async with opened() as store:
        await put(store, *drafts, draft("other", "Category", name="x"))
        for query in asked:
            await checked(store, drafts, query)


REAL = ("Launched", "Retired", "In design")


def offerings(count: int) -> list[EntityDraft]:
    return [
        draft(
            f"e{n}",
            public=n % 3 < 2,
            name=f"n{n % 10}",
            lifecycleStatus=REAL[n % 3],
            lastUpdate=f"2026-01-{n % 28 + 1:02}",
            category=[{"id": f"c{n % 4}"}, {"id": f"c{n % 5}"}],
            version=f"{n % 7}.0",
        )
        for n in range(count)
    ]


STREAMED = (
    Query(OFFERING),
    Query(OFFERING, public_only=False, offset=50),
    Query(OFFERING, (Filter(("lifecycleStatus",), ("Launched",)),)),
    Query(OFFERING, (Filter(("lifecycleStatus",), ("In design",)),), public_only=False),
    Query(OFFERING, (Filter(("name",), ("n3",)),)),
    Query(OFFERING, (Filter(("lastUpdate",), ("2026-01-05",)),)),
    Query(OFFERING, (Filter(("category", "id"), ("c3",)),)),
    Query(OFFERING, (Filter(("category", "id"), ("c3",)),), public_only=False),
    Query(OFFERING, sort=(SortKey(("lastUpdate",), descending=True),)),
    Query(OFFERING, sort=(SortKey(("name",)),), public_only=False),
)


@pytest.mark.parametrize("query", STREAMED)
async def test_frequent_lists_stream_from_an_index(query: Query) -> None:
    plan = compile_query(query)
    assert isinstance(plan, Stream)
    drafts = offerings(100)
    async with opened() as store:
        await put(store, *drafts)
        for statement in (plan.page, plan.total):
            steps = store.fetch("EXPLAIN QUERY PLAN " + statement.sql, statement.parameters)
            assert not [step for *_, step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]
        await checked(store, drafts, query)


@pytest.mark.parametrize(
    "query",
    [
        Query(OFFERING, (Filter(("version",), ("3.0",)),)),
        Query(OFFERING, (Filter(("category", "id"), ("c1", "c2")), Filter(("name",), ("n1",)))),
        Query(OFFERING, (Filter(("category", "id"), ("c3",)),), sort=(SortKey(("name",), descending=True),)),
        Query(OFFERING, sort=(SortKey(("category", "id")), SortKey(("version",), descending=True)), limit=7),
    ],
)
async def test_every_other_list_is_a_search(query: Query) -> None:
    assert isinstance(compile_query(query), Search)
    drafts = offerings(100)
    async with opened() as store:
        await put(store, *drafts)
        await checked(store, drafts, query)


async def test_a_list_by_identifiers_is_a_stream_whatever_else_it_asks() -> None:
    query = Query(
        OFFERING, (Filter(("id",), ("e3", "e4")), Filter(("version",), ("3.0",))), (SortKey(("a", "b")),)
    )
    assert isinstance(compile_query(query), Stream)
    async with opened() as store:
        await put(store, *offerings(100))
        await checked(store, offerings(100), query)


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
        assert store.fetch("SELECT count(*) FROM entity_index") == [(3,)]


async def test_too_many_searches_are_refused() -> None:
    query = Query(OFFERING, (Filter(("version",), ("3.0",)),))
    async with opened() as store:
        await put(store, *offerings(100))
        results = await asyncio.gather(*(store.list(query) for _ in range(80)), return_exceptions=True)
        refused = [r for r in results if isinstance(r, Unavailable)]
        assert len(refused) == 14
        assert {r.code for r in refused} == {Code.OVERLOADED}
        assert (await store.list(query)).total > 0


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


async def test_a_search_whose_caller_is_gone_is_stopped_and_its_connection_serves_the_next() -> None:
    query = Query(OFFERING, (Filter(("version",), ("3.0",)),))
    async with opened() as store:
        await put(store, *offerings(10))
        endless = [asyncio.create_task(store._searches.fetch(Statement(ENDLESS, ()))) for _ in range(2)]
        await asyncio.sleep(0)
        for task in endless:
            task.cancel()
        results = await asyncio.gather(*endless, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert (await store.list(query)).total == 1


async def test_closing_stops_searches() -> None:
    async with opened() as store:
        endless = asyncio.create_task(store._searches.fetch(Statement(ENDLESS, ())))
        await asyncio.sleep(0)
        assert store._searches._busy
    with pytest.raises(Unavailable, match="closing"):
        await endless
