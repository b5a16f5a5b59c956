"""How many entities an index scan has: exactly, from memory, or counted in the index the first time.

Few rows are counted on the event loop, many in a worker thread, while others go on writing;
`hansa.store.sqlite.totals` adds what they wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from hansa.store.index.extraction import IndexKey
from hansa.store.records import INTERNAL, ListCaller, Query
from hansa.store.sql import Row
from hansa.store.sqlite.lists.analysis import IndexScan, Posting
from hansa.store.sqlite.lists.search_pool import SearchPool
from hansa.store.sqlite.totals import MatchCount, PostingCount, Totals

COUNTED_INLINE_MAX: Final = 2000
"""So many rows of an index are counted on the event loop."""
Counted: TypeAlias = Mapping[IndexKey, MatchCount]

_NOTHING: Final[Counted] = MappingProxyType({})
_COUNT: Final = "SELECT count(*), ifnull(sum(public), 0), (SELECT ifnull(max(seq), 0) FROM change)"


class PostingCounter:
    """Counts the entities of postings, once."""

    def __init__(self, fetch: Callable[..., list[Row]], search_pool: SearchPool, totals: Totals) -> None:
        self._fetch = fetch
        self._search_pool = search_pool
        self._totals = totals

    def known(self, scan: IndexScan, query: Query, counted: Counted = _NOTHING) -> int | None:
        """How many entities the postings of a scan have together; None when one has to be counted first.

        Args:
            scan: The index scan.
            query: Says who reads: private entities may count, too.
            counted: Postings that were counted just now, in case that there is no room for them in memory.
        """
        total = 0
        for posting in scan.postings:
            if posting.is_collection:
                public_only = query.public_only or posting.is_public_half
                total += self._totals.of_collection(query.type, public_only=public_only)
                continue
            if posting.key is None:
                total += self._totals.of_status(query.type, posting.value, public_only=query.public_only)
                continue
            count = self._totals.of_posting(posting.key) or counted.get(posting.key)
            if count is None:
                return None
            total += count.public if query.public_only else count.private + count.public
        return total

    async def count(self, scan: IndexScan, query: Query, caller: ListCaller = INTERNAL) -> int:
        """The same, counted.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting.
        """
        counted: dict[IndexKey, MatchCount] = {}
        while (
            total := self.known(scan, query, counted)
        ) is None:  # all are of the moment after the last was counted
            for posting in scan.postings:
                if posting.key is not None and not self._totals.has_posting(posting.key):
                    counted[posting.key] = await self._count(posting, caller)
        return total

    async def _count(self, posting: Posting, caller: ListCaller) -> MatchCount:
        key, members = posting.key, posting.members
        assert key is not None, "a status is never counted"
        ((count, public, seq),) = self._fetch(
            f"{_COUNT} FROM ({members.sql} LIMIT ?)", (*members.parameters, COUNTED_INLINE_MAX)
        )
        if count < COUNTED_INLINE_MAX:
            return self._totals.put_posting(key, PostingCount(count - public, public, seq))

        async def count_in_pool() -> PostingCount:
            rows: list[Row] = await self._search_pool.run(
                lambda connection: connection.execute(
                    f"{_COUNT} FROM ({members.sql})", members.parameters
                ).fetchall(),
                caller,
            )
            ((count, public, seq),) = rows
            return PostingCount(count - public, public, seq)

        return await self._totals.count_posting(key, count_in_pool)
