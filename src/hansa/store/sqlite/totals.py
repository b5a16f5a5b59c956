"""Exact totals without counting: the writer tells what each commit changed, and numbers in memory follow.

Three things are kept. How many entities there are of each kind (collection, status, own, public): in the table
`entity_count` and here; a commit writes the kinds that it changed once, however many transactions share it. How many
entities have a *posting*, a value of an indexed attribute: counted in the index when first asked for, and exact from
then on. What a search found: until its collection changes.

A count in a worker thread sees the store at some moment of the feed, and says at which; what was committed since then
is added to it from a journal that is kept while it runs.

Everything happens on the event loop, between two statements: a total and the page read with it are of one moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import msgspec

from hansa.store.index.extraction import IndexKey
from hansa.store.records import Query

POSTINGS_KEPT_MAX: Final = 20_000
ANSWERS_KEPT_MAX: Final = 1024

Kind = tuple[str, bool, bool, str | None]
"""Collection, is ours, is public, status."""
Pair = tuple[int, int]
"""How many are private, how many public."""
K = TypeVar("K")
V = TypeVar("V")


class Delta(msgspec.Struct, frozen=True):
    """An entity comes into the store, or goes; a change is both."""

    kind: Kind
    postings: tuple[IndexKey, ...]
    difference: int
    """1 or -1."""


class Counted(msgspec.Struct, frozen=True):
    """A count in the index, and the row of the feed up to which it is true."""

    private: int
    public: int
    seq: int


class SearchResult(msgspec.Struct, frozen=True):
    """What a search found."""

    total: int
    numbers: tuple[int, ...]
    """Of the entities of the page, in order."""


class Totals:
    """The numbers in memory."""

    def __init__(self, counts: Iterable[tuple[Kind, int]], last_change: int) -> None:
        self._last_change = last_change
        self._kinds: dict[str, dict[Kind, int]] = {}
        for kind, count in counts:
            self._kinds.setdefault(kind[0], {})[kind] = count
        self._postings: dict[IndexKey, Pair] = {}
        self._journals: dict[IndexKey, list[list[tuple[int, int, int]]]] = {}
        self._revisions: dict[str, int] = {}
        self._removals: dict[str, int] = {}
        self._answers: dict[Query, tuple[int, SearchResult]] = {}

    # -- reading ----------------------------------------------------------------------------------------------

    def counts(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (collection, is ours, is public)."""
        found: dict[tuple[str, bool, bool], int] = {}
        for kinds in self._kinds.values():
            for (collection, own, public, _), count in kinds.items():
                if count:
                    key = (collection, own, public)
                    found[key] = found.get(key, 0) + count
        return found

    def collections(self) -> tuple[str, ...]:
        """Those that have, or had, entities."""
        return tuple(self._kinds)

    def of_collection(self, collection: str, *, public_only: bool) -> int:
        """How many entities a collection has."""
        kinds = self._kinds.get(collection, {})
        return sum(count for kind, count in kinds.items() if kind[2] or not public_only)

    def of_status(self, collection: str, status: str, *, public_only: bool) -> int:
        """How many entities of a collection are in a state."""
        kinds = self._kinds.get(collection, {})
        return sum(
            count for kind, count in kinds.items() if kind[3] == status and (kind[2] or not public_only)
        )

    def of_kind(self, kind: Kind) -> int:
        """How many entities of one kind there are."""
        return self._kinds.get(kind[0], {}).get(kind, 0)

    def of_posting(self, posting: IndexKey) -> Pair | None:
        """How many entities have a posting, if that is known."""
        return self._postings.get(posting)

    def keep(self, posting: IndexKey, counted: Counted) -> None:
        """Keep what was counted on the event loop just now.

        Not, if the count has seen a commit that nobody has told of yet: that would be added to it once more.
        """
        if counted.seq == self._last_change:
            _put(self._postings, posting, (counted.private, counted.public), POSTINGS_KEPT_MAX)

    async def count(self, posting: IndexKey, count: Callable[[], Awaitable[Counted]]) -> Pair:
        """Count elsewhere, and keep it."""
        journal: list[tuple[int, int, int]] = []
        journals = self._journals.setdefault(posting, [])
        journals.append(journal)
        try:
            counted = await count()
        finally:
            journals.remove(journal)
            if not journals:
                self._journals.pop(posting, None)
        later = [entry for entry in journal if entry[0] > counted.seq]
        pair = (counted.private + sum(e[1] for e in later), counted.public + sum(e[2] for e in later))
        _put(self._postings, posting, pair, POSTINGS_KEPT_MAX)
        return pair

    def revision(self, collection: str) -> int:
        """A number that every commit which touches the collection changes."""
        return self._revisions.get(collection, 0)

    def removals(self, collection: str) -> int:
        """A number that every commit changes which takes an entity, as it was, out of the collection.

        While it stands, entities only come behind all others, and what is at a place of a list stays there.
        """
        return self._removals.get(collection, 0)

    def answer(self, query: Query) -> SearchResult | None:
        """What a search found, if nothing has changed since."""
        found = self._answers.get(query)
        return found[1] if found is not None and found[0] == self.revision(query.type) else None

    def keep_answer(self, query: Query, revision: int, answer: SearchResult) -> None:
        """Keep what a search found that began at a revision of its collection."""
        if revision == self.revision(query.type):
            _put(self._answers, query, (revision, answer), ANSWERS_KEPT_MAX)

    # -- following the commits --------------------------------------------------------------------------------

    def changed(self, deltas: Iterable[Delta]) -> dict[Kind, int]:
        """The kinds that a commit is about to change, with what `entity_count` has to say of them."""
        differences: dict[Kind, int] = {}
        for delta in deltas:
            differences[delta.kind] = differences.get(delta.kind, 0) + delta.difference
        return {kind: self.of_kind(kind) + n for kind, n in differences.items() if n}

    def apply(self, deltas: Iterable[Delta], last_change: int) -> None:
        """Follow a commit."""
        self._last_change = max(self._last_change, last_change)
        for delta in deltas:
            kind, difference = delta.kind, delta.difference
            collection, public = kind[0], kind[2]
            kinds = self._kinds.setdefault(collection, {})
            kinds[kind] = kinds.get(kind, 0) + difference
            self._revisions[collection] = self._revisions.get(collection, 0) + 1
            if difference < 0:
                self._removals[collection] = self._removals.get(collection, 0) + 1
            for posting in delta.postings:
                pair = self._postings.get(posting)
                if pair is not None:
                    private, published = pair
                    self._postings[posting] = (
                        (private, published + difference) if public else (private + difference, published)
                    )
                if self._journals:
                    for journal in self._journals.get(posting, ()):
                        journal.append((last_change, *((0, difference) if public else (difference, 0))))


def _put(kept: dict[K, V], key: K, value: V, count_max: int) -> None:
    """Keep the newest so many."""
    kept.pop(key, None)
    if len(kept) >= count_max:
        del kept[next(iter(kept))]
    kept[key] = value
