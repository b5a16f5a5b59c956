"""Exact totals without counting: the writer says what each commit changed, and numbers in memory follow.

How many entities there are of each kind (collection, status, own, public) is in the table `entity_count` and
here; a commit writes the kinds that it changed once, however many transactions share it. How many entities
have a *posting*, a value of an indexed attribute, is counted in the index when it is first requested, and
exact from then on.

A count in a worker thread sees the store at some moment of the feed, and says at which; what was committed
since then is added to it from a journal that exists while it runs.

Everything happens on the event loop, between two statements: a total and the page read with it are of one
moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.store.index.extraction import IndexKey
from hansa.store.sqlite.changes import Delta, Kind
from hansa.store.sqlite.number_sets import NumberSets

POSTINGS_MAX: Final = 20_000
"""So many postings have their numbers in memory."""


class PostingCount(msgspec.Struct, frozen=True):
    """A count in the index, and the row of the feed up to which it is true."""

    private: int
    public: int
    seq: int


class MatchCount:
    """How many entities there are; brought up to date in place, by `Totals` alone."""

    __slots__ = ("private", "public")

    def __init__(self, private: int = 0, public: int = 0) -> None:
        self.private = private
        self.public = public

    def add(self, difference: int, *, public: bool) -> None:
        """Some entities more, or fewer."""
        if public:
            self.public += difference
        else:
            self.private += difference
        assert self.public >= 0, "there is no entity less than none"
        assert self.private >= 0, "there is no entity less than none"


class Totals:
    """The numbers in memory."""

    def __init__(self, counts: Iterable[tuple[Kind, int]], last_change: int, sets_max_bytes: int) -> None:
        """The numbers at opening.

        Args:
            counts: The table `entity_count`.
            last_change: The newest row of the feed.
            sets_max_bytes: Room for the entities of postings.
        """
        self._last_change = last_change
        self._kinds: dict[str, dict[Kind, int]] = {}
        self._collections: dict[str, MatchCount] = {}
        for kind, count in counts:
            self._kinds.setdefault(kind[0], {})[kind] = count
            self._collections.setdefault(kind[0], MatchCount()).add(count, public=kind[2])
        self._postings: Cache[IndexKey, MatchCount] = Cache("posting_counts", POSTINGS_MAX)
        self._journals: dict[IndexKey, list[list[tuple[int, int, bool]]]] = {}
        """Of the postings that are being counted: row of the feed, difference, is public."""
        self.sets: Final = NumberSets(sets_max_bytes)
        """The entities of some postings."""
        self._revisions: dict[str, int] = {}
        self._removals: dict[str, int] = {}

    @property
    def cache(self) -> Cache[IndexKey, MatchCount]:
        """The numbers of postings, for the metrics."""
        return self._postings

    # -- reading -------------------------------------------------------------------------------------------

    def counts_by_type(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (collection, is ours, is public); no entry is 0."""
        counts: dict[tuple[str, bool, bool], int] = {}
        for kinds in self._kinds.values():
            for (collection, own, public, _), count in kinds.items():
                if count:
                    key = (collection, own, public)
                    counts[key] = counts.get(key, 0) + count
        return counts

    def of_collection(self, collection: str, *, public_only: bool) -> int:
        """How many entities a collection has."""
        count = self._collections.get(collection)
        if count is None:
            return 0
        return count.public if public_only else count.private + count.public

    def of_status(self, collection: str, status: str, *, public_only: bool) -> int:
        """How many entities of a collection are in a state."""
        kinds = self._kinds.get(collection, {})
        return sum(
            count for kind, count in kinds.items() if kind[3] == status and (kind[2] or not public_only)
        )

    def of_posting(self, posting: IndexKey) -> MatchCount | None:
        """How many entities have a posting, if that is known."""
        return self._postings.get(posting)

    def has_posting(self, posting: IndexKey) -> bool:
        """Whether `of_posting` knows it."""
        return self._postings.peek(posting) is not None

    def revision(self, collection: str) -> int:
        """A number that is another after every commit that touches the collection."""
        return self._revisions.get(collection, 0)

    def removals(self, collection: str) -> int:
        """A number that is another after every commit that takes an entity, as it was, out of the collection.

        While it stays, entities are only added behind all others, and what is at a place of a list stays
        there.
        """
        return self._removals.get(collection, 0)

    # -- counting ------------------------------------------------------------------------------------------

    def put_posting(self, posting: IndexKey, counted: PostingCount) -> MatchCount:
        """Take over what was counted on the event loop just now.

        It is not remembered if it includes a commit that `apply` has not been called for: that would be added
        once more.
        """
        count = MatchCount(counted.private, counted.public)
        if counted.seq == self._last_change:
            self._postings.put(posting, count)
        return count

    async def count_posting(
        self, posting: IndexKey, count: Callable[[], Awaitable[PostingCount]]
    ) -> MatchCount:
        """Take over what is counted elsewhere, with what is committed meanwhile."""
        journal: list[tuple[int, int, bool]] = []
        journals = self._journals.setdefault(posting, [])
        journals.append(journal)
        try:
            counted = await count()
        finally:
            journals.remove(journal)
            if not journals:
                self._journals.pop(posting, None)
        result = MatchCount(counted.private, counted.public)
        for seq, difference, public in journal:
            if seq > counted.seq:
                result.add(difference, public=public)
        self._postings.put(posting, result)
        return result

    # -- following the commits -----------------------------------------------------------------------------

    def changed(self, deltas: Iterable[Delta]) -> dict[Kind, int]:
        """The kinds that a commit is about to change, with what `entity_count` has to say of them."""
        differences: dict[Kind, int] = {}
        for delta in deltas:
            differences[delta.kind] = differences.get(delta.kind, 0) + delta.difference
        return {
            kind: self._kinds.get(kind[0], {}).get(kind, 0) + difference
            for kind, difference in differences.items()
            if difference
        }

    def apply(self, deltas: Sequence[Delta], last_change: int) -> None:
        """Follow a commit.

        Args:
            deltas: What it changed.
            last_change: The newest row of the feed that it wrote; 0 for none.
        """
        self._last_change = max(self._last_change, last_change)
        self.sets.apply(deltas, last_change)
        touched: dict[str, bool] = {}
        differences: dict[Kind, int] = {}
        has_postings = len(self._postings) > 0 or bool(self._journals)
        for delta in deltas:
            kind, difference = delta.kind, delta.difference
            differences[kind] = differences.get(kind, 0) + difference
            collection = kind[0]
            touched[collection] = touched.get(collection, False) or difference < 0
            if has_postings:
                self._apply_postings(delta, last_change)
        for collection, is_removed in touched.items():
            self._revisions[collection] = self._revisions.get(collection, 0) + 1
            if is_removed:
                self._removals[collection] = self._removals.get(collection, 0) + 1
        for kind, difference in differences.items():
            collection = kind[0]
            kinds = self._kinds.setdefault(collection, {})
            kinds[kind] = kinds.get(kind, 0) + difference
            assert kinds[kind] >= 0, "no more entities are removed than there are"
            self._collections.setdefault(collection, MatchCount()).add(difference, public=kind[2])

    def _apply_postings(self, delta: Delta, last_change: int) -> None:
        difference, public = delta.difference, delta.kind[2]
        for posting in self._postings.among(delta.postings):
            count = self._postings.peek(posting)
            if count is not None:
                count.add(difference, public=public)
        if self._journals:
            for posting in delta.postings:
                for journal in self._journals.get(posting, ()):
                    journal.append((last_change, difference, public))
