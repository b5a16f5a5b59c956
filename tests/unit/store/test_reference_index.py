"""Who refers to an entity is looked up in an index with a short tail, however many entities there are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.store import Filter, Query
from hansa.store.index.plan import CollectionPlan
from hansa.store.sqlite.commit import reference_index
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, fill_index, opened, put

PLAN = {OFFERING: CollectionPlan(references=(("category", "id"), ("relatedParty", "id")))}


@pytest.fixture(autouse=True)
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail is put into the table when it has four entities, two at a time."""
    monkeypatch.setattr("hansa.store.sqlite.store.TAIL_ENTITIES_MAX", 4)
    monkeypatch.setattr("hansa.store.sqlite.store.ENTITIES_AT_ONCE", 2)
    monkeypatch.setattr("hansa.store.sqlite.store.BLOCKS_AT_ONCE", 1)


async def referring(store: SqliteStore, target: str, limit: int = 500) -> set[str]:
    async with store.transaction() as tx:
        return {one.id for one in await tx.referrers([OFFERING], target, limit)}


async def settled(store: SqliteStore) -> None:
    """Wait until the tail is short."""
    while store._reference_fill is not None:
        await store._reference_fill


steps = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from(("put", "delete", "replica")),
        st.lists(st.integers(0, 4), max_size=3),
        st.booleans(),
    ),
    max_size=30,
)


@given(steps)
@settings(deadline=None, max_examples=40)
async def test_referrers_are_those_that_refer_after_any_writes(
    writes: Sequence[tuple[int, str, list[int], bool]],
) -> None:
    await check_referrers(writes)


async def test_an_entity_that_refers_again_takes_nobody_out_of_the_block_that_begins_with_it() -> None:
    first = [(1, "put", [0], False), (5, "put", [0], False)]
    others = [(number, "put", list[int](), True) for number in (0, 2, 3, 4)]
    again = [(1, "put", list[int](), False), (1, "put", [0], False)]
    await check_referrers(
        [*first, *others, *again, *((number, "put", list[int](), True) for number in (6, 7, 8))]
    )


@pytest.mark.parametrize("size_max_bytes", [0, 40])
async def test_referrers_are_the_same_when_memory_has_no_room_for_the_tail(
    size_max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_index, "TAIL_SIZE_MAX_BYTES", size_max_bytes)
    draw = random.Random(size_max_bytes)
    kinds = ("put", "put", "delete", "replica")
    for _ in range(10):
        await check_referrers(
            [
                (draw.randrange(10), draw.choice(kinds), draw.sample(range(5), 2), draw.random() < 0.2)
                for _ in range(30)
            ]
        )


async def check_referrers(writes: Sequence[tuple[int, str, list[int], bool]]) -> None:
    """After each write, those who refer to a target are those that a plain model says."""
    model: dict[str, tuple[set[str], bool]] = {}
    async with opened(plan=PLAN) as store:
        for number, step, targets, waits in writes:
            name = f"e{number}"
            if step == "delete":
                async with store.transaction() as tx:
                    await tx.delete(name)
                model.pop(name, None)
            else:
                origin = "did:web:other.example" if step == "replica" else None
                references: Any = [{"id": f"c{target}"} for target in targets]
                await put(store, draft(name, category=references, origin=origin))
                model[name] = {f"c{target}" for target in targets}, origin is None
            if waits:
                await settled(store)
            target = number % 5
            assert await referring(store, f"c{target}") == expected_referrers(model, target)
        for target in range(5):
            assert await referring(store, f"c{target}") == expected_referrers(model, target)


def expected_referrers(model: dict[str, tuple[set[str], bool]], target: int) -> set[str]:
    return {name for name, (ids, is_own) in model.items() if is_own and f"c{target}" in ids}


async def test_a_look_up_passes_the_tail_over_where_nothing_in_it_refers() -> None:
    tail = reference_index.ReferenceTail(0, 0)
    marks = [number.to_bytes(8) for number in range(4)]
    tail.add(1, 1, marks[0] + marks[1])
    tail.add(1, 2, marks[1])
    assert [tail.may_have(one) for one in marks] == [True, True, False, False]
    tail.add(1, 1, marks[2])  # what it referred to before is not known to be gone
    assert [tail.may_have(one) for one in marks] == [True, True, True, False]
    tail.cut(1)
    assert [tail.may_have(one) for one in marks] == [False, True, False, False]


async def test_what_a_store_of_before_has_in_its_tail_is_looked_through(tmp_path: Any) -> None:
    path = tmp_path / "store.db"
    async with opened(path, plan=PLAN) as store:
        await put(store, draft("e1", category={"id": "c"}))
    async with opened(path, plan=PLAN) as store:
        assert await referring(store, "c") == {"e1"}


async def test_a_look_up_reads_the_index_and_a_short_tail_alone() -> None:
    async with opened(plan=PLAN) as store:
        await put(store, *(draft(f"e{n}", category={"id": f"c{n}"}) for n in range(500)))
        await settled(store)
        ((after, last),) = await store.sql.fetch(reference_index.TAIL)
        assert last - after <= 4
        number = store._indexes.of(OFFERING).number
        sql, parameters = reference_index.referrers("e.id", [number], b"12345678", "x", 5, 0)
        plan = [str(row[-1]) for row in await store.sql.fetch("EXPLAIN QUERY PLAN " + sql, parameters)]
        assert not [
            step
            for step in plan
            if step.startswith("SCAN")
            and step.split()[1] not in {"r", "each", "(subquery-3)", "reference_tail"}
        ], plan
        assert await referring(store, "c7") == {"e7"}


async def test_another_plan_fills_the_index_anew(tmp_path: Any) -> None:
    path = tmp_path / "store.db"
    async with opened(path, plan=PLAN) as store:
        await put(store, *(draft(f"e{n}", category={"id": "c"}, place={"id": "p"}) for n in range(20)))
        await settled(store)
        assert len(await referring(store, "c")) == 20
    other = {OFFERING: CollectionPlan(references=(("place", "id"),))}
    async with opened(path, plan=other) as store:
        assert (await referring(store, "c"), len(await referring(store, "p"))) == (set(), 20)
        await put(store, draft("new", place={"id": "p"}))
        await settled(store)
        assert (await referring(store, "c"), len(await referring(store, "p"))) == (set(), 21)


async def test_entities_with_many_references_are_indexed_fewer_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference_index, "SIZE_AT_ONCE_MAX_BYTES", 2 * 50 * reference_index.FINGERPRINT_BYTES)
    monkeypatch.setattr("hansa.store.sqlite.store.ENTITIES_AT_ONCE", 40)
    async with opened(plan=PLAN) as store:
        counts: list[int] = []
        blocks = reference_index.blocks

        def noting(rows: Sequence[reference_index.Row]) -> list[reference_index.Block]:
            counts.append(len(rows))
            return blocks(rows)

        monkeypatch.setattr(reference_index, "blocks", noting)
        drafts = [draft(f"e{n}", category=[{"id": f"c{n}-{m}"} for m in range(50)]) for n in range(40)]
        await put(store, *drafts, draft("large", category=[{"id": f"l{m}"} for m in range(500)]))
        await put(store, *(draft(f"f{n}", category={"id": "c"}) for n in range(8)))
        await settled(store)
        assert max(counts) <= 8
        assert min(counts) >= 1
        assert await referring(store, "c17-49") == {"e17"}
        assert await referring(store, "l499") == {"large"}
        assert len(await referring(store, "c")) == 8


async def test_writes_go_on_while_the_index_is_filled() -> None:
    async with opened(plan=PLAN) as store:
        await put(store, *(draft(f"e{n}", category={"id": "c"}) for n in range(6)))
        async with asyncio.TaskGroup() as tasks:
            for n in range(40):
                tasks.create_task(put(store, draft(f"f{n}", category={"id": "c"})))
        await settled(store)
        assert len(await referring(store, "c")) == 46


async def test_numbers_of_deleted_entities_are_not_used_again_after_opening(tmp_path: Any) -> None:
    path = tmp_path / "store.db"
    async with opened(path, plan=PLAN) as store:
        await put(store, *(draft(f"e{n}", category={"id": "c"}) for n in range(12)))
        await settled(store)
        await fill_index(store)
        async with store.transaction() as tx:
            for n in range(12):
                await tx.delete(f"e{n}")
    async with opened(path, plan=PLAN) as store:
        new = draft("new", category={"id": "c"})
        async with store.transaction() as tx:
            await tx.create(new)
        assert await referring(store, "c") == {"new"}
        by_category = Query(OFFERING, (Filter(("category", "id"), ("c",)),))
        assert (await store.list(by_category)).ids == ("new",)
