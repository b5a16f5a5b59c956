"""What the index of the search remembers of its answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import SystemClock
from hansa.store.search.records import IndexBatch, IndexQuery, SearchDocument, Term
from hansa.store.sqlite.search.index import SqliteSearchIndex

NUMBERS = range(1, 101)
"""Of documents of one kind, in the order in which they were put."""
HITS = tuple(
    SearchDocument(f"{number:03}", 0, True, ("cloud", *[""] * 5), "cloud", ()) for number in range(100)
)


async def test_the_next_page_of_hits_is_remembered_with_the_first(tmp_path: Path) -> None:
    index = SqliteSearchIndex(tmp_path / "search.db", SystemClock(), 60.0)
    await index.put(IndexBatch(None, HITS))
    pages = [await index.answer(IndexQuery(offset=offset, limit=20), {}) for offset in (0, 20, 40)]
    assert [len(page.ids) for page in pages] == [20, 20, 20]
    assert (index.cache.figures.misses, index.cache.figures.hits) == (1, 2)
    await index.close()


async def test_whoever_turns_pages_asks_for_twice_as_many_hits_each_time(tmp_path: Path) -> None:
    index = SqliteSearchIndex(tmp_path / "search.db", SystemClock(), 60.0)
    await index.put(IndexBatch(None, HITS))
    pages = [await index.answer(IndexQuery(offset=offset, limit=10), {}) for offset in range(0, 100, 10)]
    assert [id for page in pages for id in page.ids] == [one.id for one in HITS]
    assert index.cache.figures.misses == 2  # 60 and 120
    await index.close()


async def test_words_spelled_nearly_alike_are_remembered_until_something_changes(tmp_path: Path) -> None:
    index = SqliteSearchIndex(tmp_path / "search.db", SystemClock(), 60.0)
    storage = msgspec.structs.replace(HITS[0], columns=("storage", *[""] * 5), name="storage")
    hidden = msgspec.structs.replace(storage, id="s", is_public=False, columns=("storge", *[""] * 5))
    await index.put(IndexBatch(None, (storage,)))
    for _ in range(2):
        assert await index.similar(["storge"], with_private=False) == {"storge": (("storage", 1),)}
    assert index.similar_cache.figures.hits == 1
    await index.put(IndexBatch(None, (msgspec.structs.replace(storage, id="b"), hidden)))
    assert await index.similar(["storge"], with_private=False) == {"storge": (("storage", 2),)}
    assert ("storge", 1) in (await index.similar(["storge"], with_private=True))["storge"]
    await index.close()


@pytest.mark.parametrize("read_max", [6, 40, 99, 100, 1000])
async def test_the_sample_of_very_many_hits_is_the_same_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_max: int
) -> None:
    for name, value in (("COUNTED_MAX", 5), ("SAMPLED_MAX", 20), ("READ_MAX", read_max)):
        monkeypatch.setattr(f"hansa.store.sqlite.search.matching.{name}", value)
    index = SqliteSearchIndex(tmp_path / "search.db", SystemClock(), 60.0)
    status = (("status", "Launched"),)
    await index.put(IndexBatch(None, tuple(msgspec.structs.replace(one, facets=status) for one in HITS)))
    answer = await index.answer(IndexQuery(((Term(("cloud",)),),)), {})
    assert (answer.total, answer.is_sampled) == (100, True)
    assert answer.counts == {"status": {"Launched": 5 * sum((n * 40503 >> 7) % 5 == 0 for n in NUMBERS)}}
    await index.close()
