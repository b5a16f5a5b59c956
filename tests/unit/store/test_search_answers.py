"""What the index of the search remembers of its answers."""

from __future__ import annotations

from pathlib import Path

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
