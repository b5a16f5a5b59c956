"""The index of a search as its users see it.

What is committed by one `put` is visible to every question that is asked after it. An index is derived: it
can be emptied at any time, and is filled again from the store. It follows the feed of the store and says how
far it is; whoever asks hands over what is newer (`Overlay`), so that an answer is as new as the store.

An answer says nothing of private documents unless `with_private`: neither their words, nor numbers, nor the
order of others depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hansa.store.records import INTERNAL, ListCaller
from hansa.store.search.records import IndexAnswer, IndexBatch, IndexPosition, IndexQuery, Overlay


class SearchIndex(Protocol):
    """Documents that are searched. Every method raises `Unavailable` when the engine fails."""

    async def position(self) -> IndexPosition:
        """How far it has followed the feed."""

    async def put(self, batch: IndexBatch) -> None:
        """Write and remove documents, and move on in the feed.

        Raises:
            Unavailable: Also when the index is not where the batch goes on, since it was made anew: whoever
                follows the feed looks where it is, and goes on from there.
        """

    async def empty(self, position: IndexPosition) -> None:
        """Remove everything."""

    async def due(self, limit: int) -> tuple[str, ...]:
        """Identifiers of documents that contain something which has changed, until they are put again."""

    async def compact(self) -> None:
        """Do what makes questions quicker after very many writes; other writes wait meanwhile."""

    async def count(self) -> int:
        """How many documents there are."""

    async def answer(self, query: IndexQuery, overlay: Overlay, caller: ListCaller = INTERNAL) -> IndexAnswer:
        """The hits of a page, their number, and the numbers of facets.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches wait; `Code.SEARCH_TOO_SLOW`.
            Exception: What `caller.left` raises, when the caller leaves before there is an answer.
        """

    async def similar(
        self, words: Sequence[str], *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """For each word those of documents that are spelled nearly alike, the best first.

        Itself is among them if a document has it. Each has the number of documents that have it.
        """

    async def beginning(
        self, prefix: str, limit: int, *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> tuple[tuple[str, int], ...]:
        """Words of documents that begin so, the most frequent first, with the number of documents."""

    async def close(self) -> None:
        """Let go of what it holds."""
