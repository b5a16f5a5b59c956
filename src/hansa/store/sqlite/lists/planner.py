"""The choice of the way in which a page is answered, by the analysis and by numbers of entities alone.

The ways, and when each is chosen, are listed in `hansa.store.sqlite.lists`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from hansa.store.records import READ_AT_ONCE_MAX_BYTES, Query
from hansa.store.sqlite.lists.analysis import Analysis, IndexScan

ENTITIES_INLINE_MAX: Final = 500
"""A search of more entities runs in a worker thread."""
SETS_MIN: Final = 20
"""With fewer entities, a search is as fast as a conjunction of sets."""
BODIES_INLINE_MAX: Final = 50
"""The same, where their bodies have to be parsed."""
BYTES_INLINE_MAX: Final = READ_AT_ONCE_MAX_BYTES
"""The same, where their bodies have more bytes together."""


class Way(Enum):
    """How a page is answered; each tells where its total is from."""

    NAMED = "named"
    """Looks up the identifiers that the conditions name; counts what matches."""
    STREAM = "stream"
    """Reads the page from the only index, in the order of numbers; the plan has the total."""
    WALK = "walk"
    """Reads the index of the sort key and checks entities until the page is full; the plan has the total."""
    WALK_RANGE = "walk range"
    """The same within a range of that index, whose total is counted once in a worker thread."""
    INTERSECTION = "intersection"
    """Joins the sets of all index scans in memory, in the order of numbers or of a column; counts."""
    SEARCH = "search"
    """Collects all matches on the event loop and counts them."""
    POOL_SEARCH = "pool search"
    """The same in a worker thread."""
    NOTHING = "nothing"
    """The page is empty; the plan has the total."""


IN_POOL: Final = (Way.WALK_RANGE, Way.POOL_SEARCH, Way.INTERSECTION)
"""The ways that may wait for a worker thread."""


READS_BODIES: Final = (Way.NAMED, Way.SEARCH)
"""The ways on the event loop that parse bodies, where no index has what is compared."""


class MatchCounts(msgspec.Struct, frozen=True):
    """How many entities there are, as far as the planner needs it."""

    collection: int
    scans: tuple[int, ...] = ()
    """Of each index scan of the analysis, its postings added up."""
    in_range: int = 0
    """Of the range of a column; more than `ENTITIES_INLINE_MAX` are not counted."""


NO_COUNTS: Final = MatchCounts(0)
"""Where identifiers decide."""


class Plan(msgspec.Struct, frozen=True):
    """The way, and what it needs."""

    way: Way
    scan: IndexScan | None = None
    """The index scan that the entities are from."""
    total: int = 0
    """All matches, where the way does not count them itself."""


def choose(analysis: Analysis, query: Query, counts: MatchCounts) -> Plan:
    """The way in which a page is answered.

    Args:
        analysis: Of the list.
        query: The page.
        counts: Of this moment.
    """
    assert len(counts.scans) == len(analysis.scans) or analysis.has_ids, "every index scan is counted"
    if analysis.has_ids:
        if analysis.is_slow:
            return Plan(Way.POOL_SEARCH)
        return Plan(Way.SEARCH if query.sort else Way.NAMED)
    if analysis.condition_count == 0:
        return _counted(analysis, query, None, counts.collection, counts.collection)
    if analysis.range_column is not None:
        return _in_range(analysis, query, counts.in_range)
    if not analysis.scans:
        return Plan(Way.POOL_SEARCH)
    fewest = min(counts.scans)
    scan = analysis.scans[counts.scans.index(fewest)]
    if analysis.only_scan is not None and scan.is_disjoint:
        return _counted(analysis, query, scan, fewest, counts.collection)
    if fewest == 0:
        return Plan(Way.NOTHING)
    if may_join(analysis, query) and fewest >= SETS_MIN:
        return Plan(Way.INTERSECTION, scan)
    if fewest <= _inline_max(analysis) and not analysis.is_slow:
        return Plan(Way.SEARCH, scan)
    return Plan(Way.POOL_SEARCH, scan)


def may_join(analysis: Analysis, query: Query) -> bool:
    """Whether a list can be a conjunction of sets, and is not answered by a stream of its only scan."""
    if analysis.checks or not analysis.scans:
        return False
    if query.sort:
        return analysis.sort_column is not None
    return analysis.only_scan is None or not analysis.only_scan.is_disjoint


def _counted(analysis: Analysis, query: Query, scan: IndexScan | None, total: int, collection: int) -> Plan:
    """The plan where the total is known: without a condition, or with one index scan."""
    if total <= query.offset or query.limit == 0:
        return Plan(Way.NOTHING, total=total)
    if not query.sort:
        return Plan(Way.STREAM, scan, total)
    if scan is not None and total <= _inline_max(analysis):
        return Plan(Way.SEARCH, scan)
    if analysis.sort_column is not None:
        walked = (query.offset + query.limit) * collection / total
        if scan is None or walked <= ENTITIES_INLINE_MAX:
            return Plan(Way.WALK, total=total)
        return Plan(Way.INTERSECTION, scan)
    return Plan(Way.POOL_SEARCH, scan)


def _in_range(analysis: Analysis, query: Query, count: int) -> Plan:
    if count <= ENTITIES_INLINE_MAX:
        return Plan(Way.SEARCH)
    if not query.sort or analysis.sort_column != analysis.range_column:
        return Plan(Way.POOL_SEARCH)
    return Plan(Way.WALK_RANGE)


def _inline_max(analysis: Analysis) -> int:
    return BODIES_INLINE_MAX if analysis.unindexed else ENTITIES_INLINE_MAX
