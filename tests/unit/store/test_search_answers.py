"""What the index of the search remembers of its answers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.clock import SystemClock
from hansa.store.search.records import IndexBatch, IndexQuery, SearchDocument
from hansa.store.sqlite.search.index import SqliteSearchIndex

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
