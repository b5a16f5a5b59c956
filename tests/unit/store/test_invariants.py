"""Whatever is written in whatever order: the counts are a recount, and the feed tells how to get there."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.store import Filter, Query
from hansa.store.index.extraction import CollectionIndex
from hansa.store.index.plan import CollectionPlan
from hansa.store.sqlite.store import SqliteStore
from tests.unit.store.drafts import draft, fill_index, opened


class Step(msgspec.Struct, frozen=True):
    """One write."""

    id: str
    action: Literal["put", "delete"]
    type: str
    public: bool
    origin: str | None
    status: str | None
    category: str | None


steps = st.builds(
    Step,
    st.sampled_from("abcd"),
    st.sampled_from(("put", "put", "delete")),
    st.sampled_from(("ProductOffering", "Category")),
    st.booleans(),
    st.sampled_from((None, "did:x:1")),
    st.sampled_from((None, "", "Launched", "Retired")),
    st.sampled_from((None, "c1", "c2")),
)
transactions = st.lists(st.tuples(st.lists(steps, max_size=4), st.booleans()), max_size=8)


def json_status(status: str) -> str:
    return "null" if status == "null" else f'"{status}"'


async def written(store: SqliteStore, contents: list[tuple[list[Step], bool]]) -> dict[str, int]:
    """Write; the revision of each entity that must be there afterwards."""
    revisions: dict[str, int] = {}
    for group, fails in contents:
        now = dict(revisions)
        try:
            async with store.transaction() as tx:
                for step in group:
                    if step.action == "delete":
                        await tx.delete(step.id)
                        now.pop(step.id, None)
                        continue
                    attributes: dict[str, Any] = {
                        name: value
                        for name, value in (
                            ("lifecycleStatus", step.status),
                            ("category", step.category and [{"id": step.category}]),
                        )
                        if value is not None
                    }
                    one = draft(step.id, step.type, public=step.public, origin=step.origin, **attributes)
                    now[step.id] = (await tx.put(one)).revision
                if fails:
                    raise LookupError
        except LookupError:
            continue
        revisions = now
    return revisions


CATEGORIES = ("c1", "c2")


def questions(public_only: bool) -> list[Query]:
    return [
        Query(collection, filters, public_only=public_only)
        for collection in ("ProductOffering", "Category")
        for filters in (
            (),
            (Filter(("lifecycleStatus",), ("Launched",)),),
            (Filter(("lifecycleStatus",), ("", "Retired", "Launched")),),
            *((Filter(("category", "id"), (category,)),) for category in CATEGORIES),
            (Filter(("category", "id"), CATEGORIES),),
            (Filter(("@type",), (collection,)),),
        )
    ]


async def kept_totals_agree(store: SqliteStore) -> None:
    """Every total that is kept is what counting what is listed gives."""
    for query in (*questions(True), *questions(False)):
        page = await store.list(query)
        assert page.total == len(page.ids), query


@given(transactions)
@settings(deadline=None, max_examples=150)
async def test_counts_index_and_feed_agree_with_the_entities(contents: list[tuple[list[Step], bool]]) -> None:
    async with opened() as store:
        await kept_totals_agree(store)  # from here on the totals are kept
        revisions = await written(store, contents)
        await kept_totals_agree(store)
        rows = await store.sql.fetch(
            "SELECT type, origin IS NULL, public, ifnull(status, 'null') FROM entity"
        )
        counted = Counter((t, own, public, json_status(status)) for t, own, public, status in rows)
        kept = {
            tuple(key): count
            for *key, count in await store.sql.fetch("SELECT * FROM entity_count WHERE count <> 0")
        }
        assert kept == dict(counted)
        assert await store.counts() == Counter((t, own == 1, p == 1) for t, own, p, _ in counted.elements())

        # The index holds what an index made anew would hold.
        await fill_index(store)
        await kept_totals_agree(store)
        held = sorted(await store.sql.fetch("SELECT * FROM entity_index"))
        async with store.transaction() as tx:
            for collection in ("ProductOffering", "Category"):
                tx.reindex(collection, CollectionIndex(collection, CollectionPlan()).description)
        assert held == sorted(await store.sql.fetch("SELECT * FROM entity_index"))
        assert kept == {
            tuple(key): count for *key, count in await store.sql.fetch("SELECT * FROM entity_count")
        }

        changes = await store.changes(0, 1000)
        assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
        replayed: Counter[str] = Counter()
        present: set[str] = set()
        for change in changes:
            assert (change.operation == "create") == (change.entity_id not in present)
            if change.operation == "delete":
                present.remove(change.entity_id)
            else:
                present.add(change.entity_id)
                replayed[change.entity_id] += 1
        found = await store.entities(list("abcd"))
        assert set(found) == present
        assert {entity.id: entity.revision for entity in found.values()} == revisions
        assert revisions == {id: replayed[id] for id in present}
