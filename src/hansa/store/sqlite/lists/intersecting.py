"""Which entities several index scans share, from sets in memory (`hansa.store.sqlite.number_sets`)."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import Final

import apsw
import msgspec

from hansa.store.records import ListCaller, Query
from hansa.store.sqlite.lists.analysis import Analysis, Posting
from hansa.store.sqlite.lists.search_pool import SearchPool
from hansa.store.sqlite.number_sets import NumberSets, ReadPosting, SetKey, posting_set

ATTEMPTS_MAX: Final = 3
"""At having all sets in memory at once."""
_READ: Final = (
    "SELECT json_group_array(n) FILTER (WHERE public = 0), json_group_array(n) FILTER (WHERE public = 1), "
    "(SELECT ifnull(max(seq), 0) FROM change) FROM ({members})"
)
_decode_numbers: Final = msgspec.json.Decoder(list[int]).decode


class Intersections:
    """Computes them."""

    def __init__(self, sets: NumberSets, search_pool: SearchPool) -> None:
        self._sets = sets
        self._search_pool = search_pool

    def cached(self, analysis: Analysis, query: Query) -> int | None:
        """The entities that all index scans of a list have; None unless all sets are in memory."""
        keys = (_key(one, query) for scan in analysis.scans for one in scan.postings)
        if any(self._sets.cache.peek(key) is None for key in keys):
            return None
        return self._joined(analysis, query)

    async def of_scans(self, analysis: Analysis, query: Query, caller: ListCaller) -> int | None:
        """The entities that all index scans of a list have, as the bits of a number.

        They are those of this moment. None when there is no room in memory for all sets at once.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting.
        """
        postings = {_key(one, query): one for scan in analysis.scans for one in scan.postings}
        for _ in range(ATTEMPTS_MAX):
            missing = [key for key in postings if self._sets.cache.peek(key) is None]
            if not missing:
                return self._joined(analysis, query)
            for key in missing:
                self._sets.cache.get(key)  # a miss
                await self._read(key, postings[key], caller)
        return None

    def _joined(self, analysis: Analysis, query: Query) -> int:
        return reduce(and_, (self._of_scan(scan.postings, query) for scan in analysis.scans))

    def _of_scan(self, postings: tuple[Posting, ...], query: Query) -> int:
        result = 0
        for posting in postings:
            one = self._sets.cache.get(_key(posting, query))
            assert one is not None, "all sets are in memory"
            result |= one.bits(public_only=query.public_only or posting.is_public_half)
        return result

    async def _read(self, key: SetKey, posting: Posting, caller: ListCaller) -> None:
        members = posting.members

        def read_in_thread(connection: apsw.Connection) -> ReadPosting:
            sql = _READ.format(members=members.sql)
            ((private, public, seq),) = connection.execute(sql, members.parameters).fetchall()
            numbers = posting_set(_decode_numbers(str(private)), _decode_numbers(str(public)))
            return ReadPosting(numbers, int(str(seq)))

        await self._sets.read(key, lambda: self._search_pool.run(read_in_thread, caller))


def _key(posting: Posting, query: Query) -> SetKey:
    if posting.is_collection:
        return query.type, None
    return posting.key or (query.type, posting.value)
