"""Answers lists: analysis, numbers, way, rows; `hansa.store.sqlite.lists` tells how."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import apsw
import msgspec

from hansa.core.cache import Cache
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import CacheSizes
from hansa.store.index.extraction import Indexes
from hansa.store.records import INTERNAL, ListCaller, Page, Query, fitting
from hansa.store.sql import Row
from hansa.store.sqlite.database.functions import Functions
from hansa.store.sqlite.index_tail import IndexTail
from hansa.store.sqlite.lists import planner, statements
from hansa.store.sqlite.lists.analysis import Analysis, IndexScan, analyse
from hansa.store.sqlite.lists.counting import PostingCounter
from hansa.store.sqlite.lists.intersecting import Intersections
from hansa.store.sqlite.lists.ordering import ordered_page
from hansa.store.sqlite.lists.page_memory import STRETCH, Numbers, PageMemory
from hansa.store.sqlite.lists.planner import NO_COUNTS, MatchCounts, Plan, Way
from hansa.store.sqlite.lists.row_cache import RowCache, ShownRow, shown_row
from hansa.store.sqlite.lists.search_pool import SearchPool, TooSlow
from hansa.store.sqlite.lists.statements import Statement
from hansa.store.sqlite.number_sets import JoinedSet
from hansa.store.sqlite.totals import Totals

ANALYSES_MAX: Final = 512
JOINED_MAX_BYTES: Final = 8_388_608
UNINDEXED_MAX: Final = 1000
"""So many attributes without an index are counted."""

_ROWS: Final = "SELECT number, id, body FROM entity WHERE number IN (SELECT value FROM json_each(?))"
_SIZES: Final = "SELECT number, length(body) FROM entity WHERE number IN (SELECT value FROM json_each(?))"
FILLINGS_MAX: Final = 3
"""So often a list waits for the tail of the index, which grows meanwhile."""
READ_UNMEASURED_MAX: Final = 8
"""So many entities are read without a look at their sizes before."""
_decode_numbers: Final = msgspec.json.Decoder(list[int]).decode


class FillIndex(Protocol):
    """Starts to put the tail of the index into its table."""

    async def __call__(self, *, wait: bool) -> None:
        """Start, and return when it is done, or at once."""


class Lists:
    """Answers queries, and remembers what helps to answer the next ones."""

    def __init__(
        self,
        connection: apsw.Connection,
        fetch: Callable[..., list[Row]],
        search_pool: SearchPool,
        indexes: Indexes,
        totals: Totals,
        index_tail: IndexTail,
        fill_index: FillIndex,
        answer_size_max_bytes: int,
        caches: CacheSizes,
    ) -> None:
        self._answer_size_max_bytes = answer_size_max_bytes
        self._functions = Functions(connection)
        self._fetch = fetch
        self._search_pool = search_pool
        self._indexes = indexes
        self._totals = totals
        self._counter = PostingCounter(fetch, search_pool, totals)
        self._intersections = Intersections(totals.sets, search_pool)
        self._index_tail = index_tail
        self._fill_index = fill_index
        self._analyses: Cache[tuple[Query, bool], Analysis] = Cache("analyses", ANALYSES_MAX)
        """By query without its page, and whether the index has a tail."""
        self._pages = PageMemory(caches.page_numbers)
        self._joined_sets: Cache[Analysis, tuple[int, JoinedSet]] = Cache(
            "joined_sets", JOINED_MAX_BYTES, size_of=lambda one: one[1].size_bytes
        )
        """By analysis: the revision of the collection, and the entities that all index scans have."""
        self._row_cache = RowCache(caches.rows)
        self._unindexed: dict[tuple[str, str], int] = {}

    async def answer(self, query: Query, caller: ListCaller = INTERNAL) -> Page:
        """A page and the exact total.

        Raises:
            Refused: `Code.INVALID`, for what is no regular expression.
            Unavailable: `Code.OVERLOADED`, `Code.SEARCH_TOO_SLOW` or `Code.UNAVAILABLE`.
        """
        analysis = self._analysis(query, has_tail=False)
        if planner.may_join(analysis, query):
            joined = self._joined_now(analysis, query)
            page = None if joined is None else self._joined(analysis, query, joined)
            if page is not None:
                return page
        if analysis.reads_index and self._index_tail:
            for _ in range(FILLINGS_MAX):
                await self._fill_index(wait=self._index_tail.is_long)
                if not self._index_tail.is_long:
                    break
            analysis = self._analysis(query, has_tail=bool(self._index_tail))
        counts = self._known_counts(analysis, query)
        if counts is None:
            page = await self._first_page(analysis, query, caller)
            if page is not None:
                return page
            counts = await self._counts(analysis, query, caller)
        plan = planner.choose(analysis, query, counts)
        if plan.way in planner.READS_BODIES and analysis.unindexed and self._are_large(plan, analysis):
            plan = Plan(Way.POOL_SEARCH, plan.scan)
        if plan.way in planner.IN_POOL:
            return await self._run_in_pool(plan, analysis, query, caller)
        return self._run(plan, analysis, query)

    def evict(self, entity_id: str) -> None:
        """An entity has been written or deleted."""
        self._row_cache.discard(entity_id)

    def unindexed_searches(self) -> dict[tuple[str, str], int]:
        """How often pool searches have compared or sorted by what has no index, by (collection, path)."""
        return dict(self._unindexed)

    @property
    def caches(self) -> tuple[Cache[Any, Any], ...]:
        """For the metrics."""
        return (self._analyses, self._joined_sets, self._pages.cache, self._row_cache.cache)

    # -- analysis and numbers ------------------------------------------------------------------------------

    def _analysis(self, query: Query, *, has_tail: bool) -> Analysis:
        every_page = msgspec.structs.replace(query, offset=0, limit=0)
        key = (every_page, has_tail)
        analysis = self._analyses.get(key)
        if analysis is None:
            analysis = analyse(every_page, self._indexes.of(every_page.type), has_tail=has_tail)
            self._analyses.put(key, analysis)
        return analysis

    def _known_counts(self, analysis: Analysis, query: Query) -> MatchCounts | None:
        """The numbers that decide about the way; None when one of them has to be counted first."""
        if analysis.has_ids:
            return NO_COUNTS
        scans: list[int] = []
        for scan in analysis.scans:
            count = self._counter.known(scan, query)
            if count is None:
                return None
            scans.append(count)
        in_range = 0
        if analysis.range_column is not None:
            ((in_range,),) = self._rows(statements.range_count(analysis, planner.ENTITIES_INLINE_MAX + 1))
        collection = self._totals.of_collection(query.type, public_only=query.public_only)
        return MatchCounts(collection, tuple(scans), in_range)

    async def _counts(self, analysis: Analysis, query: Query, caller: ListCaller) -> MatchCounts:
        """The same, counted."""
        scans = [await self._counter.count(scan, query, caller) for scan in analysis.scans]
        collection = self._totals.of_collection(query.type, public_only=query.public_only)
        return MatchCounts(collection, tuple(scans))

    async def _first_page(self, analysis: Analysis, query: Query, caller: ListCaller) -> Page | None:
        """The first page of a list that has not been counted yet; None where it has to be planned.

        A page that is not full has all there is. Otherwise counting may take a while, and a page that was
        read before and is still right need not be read again.
        """
        scan = analysis.only_scan
        if scan is None or query.sort or query.offset:
            return None
        numbers = self._numbers(statements.stream(analysis, 0, query.limit, None))
        if len(numbers) < query.limit:
            return self._page(numbers, len(numbers))
        revision = self._totals.revision(query.type)
        total = await self._counter.count(scan, query, caller)
        if scan.is_disjoint and revision == self._totals.revision(query.type):
            return self._page(numbers, total)
        return None

    # -- the ways ------------------------------------------------------------------------------------------

    def _run(self, plan: Plan, analysis: Analysis, query: Query) -> Page:
        match plan.way:
            case Way.STREAM:
                return self._page(self._streamed(analysis, query), plan.total)
            case Way.SEARCH:
                ((total, numbers),) = self._rows(statements.search(analysis, query, plan.scan))
                return self._page(_decode_numbers(numbers), total)
            case Way.WALK:
                return self._page(self._numbers(statements.walk(analysis, query)), plan.total)
            case Way.NAMED:
                numbers = self._numbers(statements.named(analysis))
                return self._page(numbers[query.offset : query.offset + query.limit], len(numbers))
            case _:
                assert plan.way is Way.NOTHING, "all other ways wait"
                return Page((), (), plan.total)

    def _are_large(self, plan: Plan, analysis: Analysis) -> bool:
        """Whether the bodies that a search on the event loop would parse are too large for that."""
        ((size_bytes,),) = self._rows(statements.searched_bytes(analysis, plan.scan))
        return int(size_bytes) > planner.BYTES_INLINE_MAX

    async def _run_in_pool(self, plan: Plan, analysis: Analysis, query: Query, caller: ListCaller) -> Page:
        """The ways that wait for a worker thread."""
        if plan.way is Way.WALK_RANGE:
            total = await self._range_total(analysis, query, caller)
            return self._page(self._numbers(statements.walk(analysis, query)), total)
        if plan.way is Way.INTERSECTION:
            bits = await self._intersections.of_scans(analysis, query, caller)
            page = None if bits is None else self._joined(analysis, query, JoinedSet(bits))
            if page is not None:
                return page
        assert plan.way in {Way.POOL_SEARCH, Way.INTERSECTION}, "no other way waits"
        if caller is not INTERNAL:
            self._count_unindexed(query.type, analysis.unindexed)
        page_numbers, total = await self._pool_search(analysis, query, plan.scan, caller)
        return self._page(page_numbers, total, analysis.unindexed)

    def _joined_now(self, analysis: Analysis, query: Query) -> JoinedSet | None:
        """The entities that all index scans of a list have; None unless all sets are in memory.

        They are joined once for all pages, until something in the collection changes.
        """
        revision = self._totals.revision(query.type)
        known = self._joined_sets.get(analysis)
        if known is not None and known[0] == revision:
            return known[1]
        bits = self._intersections.cached(analysis, query)
        if bits is None:
            return None
        joined = JoinedSet(bits)
        self._joined_sets.put(analysis, (revision, joined))
        return joined

    def _joined(self, analysis: Analysis, query: Query, joined: JoinedSet) -> Page | None:
        """A page of the entities in a set; None where its order is not to be had on the event loop."""
        if not query.sort:
            return self._page(joined.page(query.offset, query.limit), joined.total)
        collection = self._totals.of_collection(query.type, public_only=query.public_only)
        numbers = ordered_page(self._rows, analysis, query, joined, collection)
        return None if numbers is None else self._page(numbers, joined.total)

    def _streamed(self, analysis: Analysis, query: Query) -> Sequence[int]:
        """A page in the order of numbers; but for the first one it is read ahead, in stretches."""
        removals = self._totals.removals(query.type)
        if query.offset > 0 and query.limit <= STRETCH:
            return self._from_stretches(analysis, query, removals)
        before = self._pages.number_before(analysis, query.offset, removals)
        numbers = self._numbers(statements.stream(analysis, query.offset, query.limit, before))
        if len(numbers) == query.limit >= STRETCH:
            self._pages.note_end(analysis, query.offset + query.limit, numbers[-1], removals)
        return numbers

    def _from_stretches(self, analysis: Analysis, query: Query, removals: int) -> Sequence[int]:
        first, last = query.offset // STRETCH, (query.offset + query.limit - 1) // STRETCH
        numbers: list[int] = []
        for place in range(first, last + 1):
            stretch = self._pages.stretch(analysis, place, removals)
            if stretch is None:
                stretch = self._read_stretch(analysis, place, removals)
            numbers += stretch
            if len(stretch) < STRETCH:
                break
        start = query.offset - first * STRETCH
        return numbers[start : start + query.limit]

    def _read_stretch(self, analysis: Analysis, place: int, removals: int) -> Numbers:
        before = self._pages.number_before(analysis, place * STRETCH, removals)
        stretch = array("q", self._numbers(statements.stream(analysis, place * STRETCH, STRETCH, before)))
        if len(stretch) == STRETCH:
            self._pages.note_stretch(analysis, place, stretch, removals)
        return stretch

    async def _pool_search(
        self, analysis: Analysis, query: Query, scan: IndexScan | None, caller: ListCaller
    ) -> tuple[Sequence[int], int]:
        """The numbers of the page, and the total."""
        revision = self._totals.revision(query.type)
        result = self._pages.result(query, revision)
        if result is not None:
            return result.numbers, result.total
        ((total, text),) = await self._in_time(analysis, statements.search(analysis, query, scan), caller)
        numbers = array("q", _decode_numbers(text))
        if revision == self._totals.revision(query.type):
            self._pages.note_result(query, revision, numbers, total)
        return numbers, total

    async def _range_total(self, analysis: Analysis, query: Query, caller: ListCaller) -> int:
        """How many entities a range has."""
        every_page = msgspec.structs.replace(query, offset=0, limit=0, sort=())
        revision = self._totals.revision(query.type)
        result = self._pages.result(every_page, revision)
        if result is not None:
            return result.total
        ((total,),) = await self._in_time(analysis, statements.range_count(analysis), caller)
        if revision == self._totals.revision(query.type):
            self._pages.note_result(every_page, revision, array("q"), total)
        return int(total)

    # -- running statements --------------------------------------------------------------------------------

    def _rows(self, statement: Statement) -> list[Row]:
        self._functions.prepare(statement.tests)
        return self._fetch(statement.sql, statement.parameters)

    def _numbers(self, statement: Statement) -> list[int]:
        return [row[0] for row in self._rows(statement)]

    async def _in_time(self, analysis: Analysis, statement: Statement, caller: ListCaller) -> list[Row]:
        """The rows of a statement that runs in a worker thread."""
        try:
            return await self._search_pool.fetch(statement, caller)
        except TooSlow:
            names = ", ".join(analysis.unindexed)
            advice = (
                f"add {names} to the setting indexed_attributes, or filter by an attribute with an index first"
                if names
                else "filter by something that fewer entities have"
            )
            raise Unavailable(
                Code.SEARCH_TOO_SLOW,
                f"This list has to look at too many entities of {analysis.query.type}: {advice}.",
            ) from None

    def _page(self, numbers: Sequence[int], total: int, unindexed: tuple[str, ...] = ()) -> Page:
        """The page of the entities with some numbers, in this order, as far as its bytes allow."""
        rows = self._row_cache.get_many(numbers)
        if None in rows:
            rows = self._completed(numbers, rows)
        present = [row for row in rows if row is not None]  # not what was deleted since a search
        if not present:
            return Page((), (), total, unindexed)
        identifiers, tails, plain = zip(*present, strict=True)
        page = Page(tails, identifiers, total, unindexed, is_plain=all(plain))
        if len(rows) == len(numbers) and sum(map(len, tails)) <= self._answer_size_max_bytes:
            return page
        count = fitting(map(len, tails), self._answer_size_max_bytes)
        return msgspec.structs.replace(
            page, tails=tails[:count], ids=identifiers[:count], is_cut=count < len(numbers)
        )

    def _completed(self, numbers: Sequence[int], rows: Sequence[ShownRow | None]) -> list[ShownRow | None]:
        """Rows with those that are not cached, up to the bytes that a page may have, and not far beyond."""
        missing = [number for number, row in zip(numbers, rows, strict=True) if row is None]
        if len(missing) > READ_UNMEASURED_MAX:
            sizes: dict[int, int] = dict(self._fetch(_SIZES, (msgspec.json.encode(missing).decode(),)))
            count = fitting(
                (
                    sizes.get(number, 0) if row is None else len(row.suffix)
                    for number, row in zip(numbers, rows, strict=True)
                ),
                self._answer_size_max_bytes,
            )
            numbers, rows = numbers[:count], rows[:count]
            missing = [number for number, row in zip(numbers, rows, strict=True) if row is None]
        read = {
            number: shown_row(identifier, body)
            for number, identifier, body in self._fetch(_ROWS, (msgspec.json.encode(missing).decode(),))
        }
        for number, row in read.items():
            self._row_cache.put(number, row)
        return [row or read.get(number) for number, row in zip(numbers, rows, strict=True)]

    def _count_unindexed(self, collection: str, names: tuple[str, ...]) -> None:
        for name in names:
            key = (collection, name)
            if key in self._unindexed or len(self._unindexed) < UNINDEXED_MAX:
                self._unindexed[key] = self._unindexed.get(key, 0) + 1
