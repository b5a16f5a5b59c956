"""What is remembered of pages: where they begin in the order of numbers, and the results of pool searches.

A page far down a list is read from the number of the entity before it, so that whoever turns pages skips
nothing. Small pages are read a *stretch* at a time, ahead of the reader. Both hold while entities are only
added to the collection, which come behind all others: as long as `Totals.removals` stays the same.

The result of a pool search holds while nothing in the collection changes (`Totals.revision`), so that many
who search alike, or turn pages back and forth, search once.
"""

from __future__ import annotations

from array import array
from typing import Final, TypeAlias

import msgspec

from hansa.core.cache import Cache
from hansa.store.records import Query
from hansa.store.sqlite.lists.analysis import Analysis

Numbers: TypeAlias = "array[int]"
"""Numbers of entities, in the order of a list."""
STRETCH: Final = 100
"""So many entities are read ahead of whoever turns pages."""
STRETCHES_MAX: Final = 20
"""Of one list, behind a reader who goes straight on."""
OVERHEAD_BYTES: Final = 400
"""What an entry takes beside its numbers, roughly."""


class _End(msgspec.Struct, frozen=True):
    """The place behind an entity."""

    analysis: Analysis
    offset: int
    """How many entities of the list come before the place."""


class _Stretch(msgspec.Struct, frozen=True):
    """`STRETCH` entities of a list."""

    analysis: Analysis
    place: int
    """How many stretches come before it."""


class PageNumbers(msgspec.Struct, frozen=True):
    """What is remembered, and the state of the collection in which it holds."""

    state: int
    numbers: Numbers
    total: int = 0
    """All matches, of a search."""


class PageMemory:
    """Pages of all lists."""

    def __init__(self, size_max_bytes: int) -> None:
        self.cache: Final[Cache[_End | _Stretch | Query, PageNumbers]] = Cache(
            "pages", size_max_bytes, size_max_bytes // 16, _size_bytes
        )

    def number_before(self, analysis: Analysis, offset: int, removals: int) -> int | None:
        """Number of the last entity before an offset, if that was read in this state of the collection."""
        if offset == 0:
            return None
        end = self._get(_End(analysis, offset), removals)
        return end.numbers[0] if end is not None else None

    def stretch(self, analysis: Analysis, place: int, removals: int) -> Numbers | None:
        """The numbers from `place * STRETCH` on, `STRETCH` of them, if they have been read in this state."""
        stretch = self._get(_Stretch(analysis, place), removals)
        return stretch.numbers if stretch is not None else None

    def result(self, query: Query, revision: int) -> PageNumbers | None:
        """What a pool search yielded, if it ran in this state of the collection."""
        return self._get(query, revision)

    def note_end(self, analysis: Analysis, offset: int, number: int, removals: int) -> None:
        """An entity has been read that is the last before an offset."""
        assert offset > 0, "an entity comes before it"
        key = _End(analysis, offset)
        current = self.cache.peek(key)
        if current is None or current.state != removals:
            self.cache.put(key, PageNumbers(removals, array("q", (number,))))

    def note_stretch(self, analysis: Analysis, place: int, numbers: Numbers, removals: int) -> None:
        """A whole stretch has been read."""
        assert len(numbers) == STRETCH, "a part of one says nothing of what will be added"
        self.cache.put(_Stretch(analysis, place), PageNumbers(removals, numbers))
        self.cache.discard(_Stretch(analysis, place - STRETCHES_MAX))
        self.note_end(analysis, (place + 1) * STRETCH, numbers[-1], removals)

    def note_result(self, query: Query, revision: int, numbers: Numbers, total: int) -> None:
        """A pool search has yielded a page, from this state of the collection."""
        assert total >= len(numbers), "a page is a part of all matches"
        self.cache.put(query, PageNumbers(revision, numbers, total))

    def _get(self, key: _End | _Stretch | Query, state: int) -> PageNumbers | None:
        page = self.cache.get(key)
        if page is not None and page.state != state:
            self.cache.reject(key)
            return None
        return page


def _size_bytes(page: PageNumbers) -> int:
    return len(page.numbers) * page.numbers.itemsize + OVERHEAD_BYTES
