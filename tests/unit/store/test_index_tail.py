"""The tail of the index.

Whatever waits there, lists say the same, and nothing is lost when a store is opened again.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store import EntityDraft, Filter, Query
from hansa.store.records import AllOf, AnyOf, SortKey
from hansa.store.sqlite import index_tail as tail
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import OFFERING, draft, fill_index, opened, put
from tests.unit.store.plain_lists import check_list, offerings

CATEGORY = ("category", "id")


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is filled three rows at a time."""
    monkeypatch.setattr(tail, "PART_ROWS", 3)


QUERIES = (
    Query(OFFERING, (Filter(CATEGORY, ("c1",)),)),
    Query(OFFERING, (Filter(CATEGORY, ("c1", "c2")),), public_only=False),
    Query(OFFERING, (Filter(CATEGORY, ("c2",)),), offset=1, limit=2, public_only=False),
    Query(OFFERING, (Filter(CATEGORY, ("c1",)),), sort=(SortKey(("name",), descending=True),)),
    Query(OFFERING, (AnyOf((Filter(CATEGORY, ("c1",)), Filter(("name",), ("x",)))),)),
    Query(OFFERING, (AllOf((Filter(CATEGORY, ("c1",)), Filter(("relatedParty", "id"), ("1",)))),)),
    Query(OFFERING, (Filter(CATEGORY, ("c1",)), Filter(("version",), ("2",))), public_only=False),
)


class Step(msgspec.Struct, frozen=True):
    """Something that happens to a store."""

    action: str
    id: str = ""
    categories: tuple[str, ...] = ()
    party: Any = None
    public: bool = True
    other_type: bool = False

    def draft(self) -> EntityDraft:
        """The entity that is put."""
        return draft(
            self.id,
            "Category" if self.other_type else OFFERING,
            public=self.public,
            name="x" if self.party else "y",
            version="2",
            category=[{"id": each} for each in self.categories],
            relatedParty=[{"id": self.party}],
        )


writes = st.builds(
    Step,
    st.sampled_from(("put", "put", "put", "delete", "undone put")),
    st.sampled_from("abcde"),
    st.lists(st.sampled_from(("c1", "c2", "c3")), max_size=2).map(tuple),
    st.sampled_from((None, "1", 1, True)),
    st.booleans(),
    st.sampled_from((False, False, True)),
)
others = st.sampled_from(
    (Step("fill"), Step("begin to fill"), Step("list"), Step("open again"), Step("crash"))
)


async def check_lists(store: SqliteStore, standing: dict[str, EntityDraft]) -> None:
    """Every list says what stands."""
    for query in QUERIES:
        await check_list(store, list(standing.values()), query)


async def turns(count: int) -> None:
    """Let others run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def write(store: SqliteStore, step: Step, standing: dict[str, EntityDraft]) -> None:
    """Carry out a write, and note what stands afterwards, in the order of a list."""
    if step.action == "undone put":
        transaction = store.transaction()
        tx = await transaction.__aenter__()
        await tx.put(step.draft())
        await transaction.__aexit__(LookupError, LookupError(), None)
    elif step.action == "delete":
        async with store.transaction() as tx:
            await tx.delete(step.id)
        standing.pop(step.id, None)
    else:
        await put(store, step.draft())
        standing[step.id] = step.draft()


@given(st.lists(writes | writes | others, max_size=14), st.booleans())
@settings(deadline=None, max_examples=60)
async def test_lists_agree_with_a_plain_evaluation_whatever_waits(
    steps: list[Step], lists_often: bool
) -> None:
    standing: dict[str, EntityDraft] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        store = await SqliteStore.open(path, ManualClock(), Limits(), synchronous="normal")
        for number, step in enumerate((*steps, Step("list"), Step("fill"), Step("list"))):
            if step.action == "fill":
                await fill_index(store)
            elif step.action == "begin to fill":
                store._start_index_fill()
                await turns(5)
            elif step.action == "crash":
                left, path = path, Path(folder, f"after-{number}", "store.db")
                shutil.copytree(left.parent, path.parent, ignore=shutil.ignore_patterns("after-*"))
                await store.close()
                store = await SqliteStore.open(path, ManualClock(), Limits(), synchronous="normal")
            elif step.action == "open again":
                await store.close()
                store = await SqliteStore.open(path, ManualClock(), Limits(), synchronous="normal")
            elif step.action != "list":
                await write(store, step, standing)
            if lists_often or step.action == "list":
                await check_lists(store, standing)
        await store.close()


async def test_writers_come_between_the_parts_of_a_filling() -> None:
    async with opened() as store:
        await put(store, *offerings(40))
        filling = store._start_index_fill()
        between = 0
        while not filling.done():
            await put(store, draft(f"between-{between}", category=[{"id": "c1"}]))
            between += 1
        assert between > 5, "each part is a transaction of its own"
        assert await store.sql.fetch("SELECT count(DISTINCT entity) FROM entity_index") == [(40,)]


async def test_a_filling_that_fails_leaves_rows_that_no_list_reads_twice() -> None:
    async with opened() as store:
        await put(store, *offerings(40))
        parts = store._index_tail.begin_filling()
        async with store.transaction() as tx:
            tx.index_part(store._index_tail, parts[0])
        assert await store.sql.fetch("SELECT count(*) FROM entity_index") == [(3,)]
        transaction = store.transaction()
        (await transaction.__aenter__()).index_part(store._index_tail, parts[1])
        await transaction.__aexit__(LookupError, LookupError(), None)
        for query in QUERIES:
            await check_list(store, offerings(40), query)


async def test_what_waited_when_a_store_ended_is_indexed_at_its_next_opening(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    async with opened(tmp_path / "store.db") as store:
        await put(store, *offerings(5))
        for file in tmp_path.glob("store.db*"):
            shutil.copy(file, there)
    async with opened(there / "store.db") as again:
        assert await again.sql.fetch("SELECT count(DISTINCT entity) FROM entity_index") == [(5,)]
        await check_list(again, offerings(5), QUERIES[0])
        await put(again, draft("later", category=[{"id": "c1"}]))
        assert (await again.list(QUERIES[0])).ids[-1] == "later"


async def test_many_rows_are_put_into_the_index_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "TAIL_ROWS_MAX", 20)
    async with opened() as store:
        for one in offerings(50):
            await put(store, one)
        ((indexed,),) = await store.sql.fetch("SELECT count(DISTINCT entity) FROM entity_index")
        assert 40 <= indexed < 50
        await check_list(store, offerings(50), QUERIES[0])


async def test_a_list_that_meets_the_tail_has_it_put_into_the_index_though_nobody_writes() -> None:
    async with opened() as store:
        await put(store, *offerings(5))
        await store.list(Query(OFFERING, (Filter(("name",), ("n1",)),)))  # looks in a column
        await asyncio.sleep(0)
        assert await store.sql.fetch("SELECT count(*) FROM entity_index") == [(0,)]
        await store.list(QUERIES[0])
        assert store._index_fill is not None
        await store._index_fill
        assert await store.sql.fetch("SELECT count(DISTINCT entity) FROM entity_index") == [(5,)]
        await check_list(store, offerings(5), QUERIES[0])


async def test_when_the_index_cannot_be_filled_lists_look_at_the_entities() -> None:
    async with opened() as store:
        await put(store, *offerings(300))
        ((pages,),) = store._write.execute("PRAGMA page_count").fetchall()
        store._write.execute(f"PRAGMA max_page_count = {pages}")
        await check_list(store, offerings(300), QUERIES[0])
        assert await store.sql.fetch("SELECT after FROM index_tail") == [(0,)]
        store._write.execute("PRAGMA max_page_count = 4294967294")
        await put(store, draft("later", category=[{"id": "c1"}]))
        assert (await store.list(QUERIES[0])).ids[-1] == "later"


async def test_a_list_waits_until_a_long_tail_is_in_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "TAIL_WALKED_MAX", 4)
    async with opened() as store:
        await put(store, *offerings(5))
        async with store.transaction() as tx:  # where it cannot wait, it looks at the entities
            await check_list(store, offerings(5), QUERIES[0])
            assert await store.sql.fetch("SELECT count(*) FROM entity_index") == [(0,)]
            await tx.put(offerings(6)[5])
        await check_list(store, offerings(6), QUERIES[0])
        await fill_index(store)
        await put(store, *offerings(11)[6:])
        await check_list(store, offerings(11), QUERIES[0])
        assert await store.sql.fetch("SELECT count(DISTINCT entity) FROM entity_index") == [(11,)]


async def test_a_list_waits_until_a_tail_of_many_bytes_is_in_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tail, "TAIL_WALKED_MAX_BYTES", 10_000)
    async with opened() as store:
        large = draft("large", category=[{"id": "c1"}], description="x" * 6000)
        await put(store, *offerings(2), large)
        await check_list(store, [*offerings(2), large], QUERIES[0])
        assert store._index_tail
        await put(store, large := draft("large", category=[{"id": "c1"}], description="x" * 20_000))
        await check_list(store, [*offerings(2), large], QUERIES[0])
        assert not store._index_tail, "its bodies are not parsed for every list"
        await put(store, draft("l2", description="x" * 20_000))
        async with store.transaction() as tx:
            await tx.delete("l2")
        assert not store._index_tail.is_long, "what was deleted counts no more"
