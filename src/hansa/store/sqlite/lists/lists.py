"""Lists: the choice of the way to answer one, by the totals; see `hansa.store.sqlite.lists.planner` for the ways.

What looks at few entities runs on the event loop; everything else in a worker thread, where it may take
`limits.search_timeout_s` and is refused afterwards with the advice to add an index. What a search found is kept until
its collection changes, so that turning pages back and forth, or many who ask the same, search once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import apsw
import msgspec

from hansa.core.errors import Code, Unavailable
from hansa.store.index.extraction import Indexes
from hansa.store.records import Page, Query
from hansa.store.sql import Row
from hansa.store.sqlite.functions import Functions
from hansa.store.sqlite.index_tail import IndexTail
from hansa.store.sqlite.lists.planner import STRETCH, IndexScan, Plan, Posting, Statement, plan_query
from hansa.store.sqlite.lists.row_cache import RowCache, shown_row
from hansa.store.sqlite.lists.search_pool import SearchPool, TooSlow
from hansa.store.sqlite.totals import Counted, SearchResult, Totals

ENTITIES_INLINE_MAX: Final = 500
"""So many entities are looked at on the event loop; more are a matter for a worker thread."""
BODIES_INLINE_MAX: Final = 50
"""The same where their bodies have to be parsed."""
COUNTED_INLINE_MAX: Final = 2000
"""So many rows of an index are counted on the event loop."""
COMPILED_KEPT_MAX: Final = 512
UNINDEXED_KEPT_MAX: Final = 1000

ROWS_KEPT_MAX_BYTES: Final = 16_777_216

_ROWS: Final = "SELECT number, id, body FROM entity WHERE number IN (SELECT value FROM json_each(?))"
_EMPTY: Final = ((), ())
_COUNT: Final = "SELECT count(*), ifnull(sum(public), 0), (SELECT ifnull(max(seq), 0) FROM change)"


class FillIndex(Protocol):
    """Has the tail of the index put into its table."""

    async def __call__(self, *, wait: bool) -> None:
        """Begin, and wait for it or not."""


class Lists:
    """Answers queries."""

    def __init__(
        self,
        connection: apsw.Connection,
        fetch: Callable[..., list[Row]],
        searches: SearchPool,
        indexes: Indexes,
        totals: Totals,
        tail: IndexTail,
        fill_index: FillIndex,
    ) -> None:
        self._functions = Functions(connection)
        self._fetch = fetch
        self._searches = searches
        self._indexes = indexes
        self._totals = totals
        self._tail = tail
        self._fill_index = fill_index
        self._compiled: dict[tuple[Query, bool], Plan] = {}
        self._unindexed: dict[tuple[str, str], int] = {}
        self._shown = RowCache(ROWS_KEPT_MAX_BYTES)

    def forget(self, entity_id: str) -> None:
        """An entity has been written or deleted."""
        self._shown.discard(entity_id)

    async def answer(self, query: Query) -> Page:
        """A page and the exact total."""
        compiled = await self._taken_apart(query)
        if compiled.has_ids:
            return await self._searched(compiled, None) if compiled.is_slow else self._named(compiled)
        if compiled.conditions == 0:
            total = self._totals.of_collection(query.type, public_only=query.public_only)
            return await self._known(compiled, None, total)
        if compiled.ranged is not None:
            return await self._ranged(compiled)
        if not compiled.leads:
            return await self._searched(compiled, None)
        return await self._led(compiled)

    def unindexed_searches(self) -> dict[tuple[str, str], int]:
        """How often something without an index was compared or sorted by."""
        return dict(self._unindexed)

    # -- the ways ---------------------------------------------------------------------------------------------

    def _named(self, compiled: Plan) -> Page:
        """The answer where identifiers say it all."""
        query = compiled.query
        if query.sort:
            return self._searched_here(compiled, None)
        found = self._numbers(compiled.named())
        return self._paged(found[query.offset : query.offset + query.limit], len(found))

    async def _led(self, compiled: Plan) -> Page:
        """The answer where an index knows the entities of at least one condition: the one with the fewest leads."""
        query = compiled.query
        is_one = compiled.conditions == 1
        if is_one and not query.sort and query.offset == 0 and not self._is_counted(compiled.leads[0]):
            numbers = self._numbers(compiled.stream(0, query.limit))
            if len(numbers) < query.limit:  # that was all
                return self._paged(numbers, len(numbers))
            revision = self._totals.revision(query.type)
            total = await self._count(compiled.leads[0], query)
            if compiled.leads[0].is_disjoint and revision == self._totals.revision(query.type):
                return self._paged(numbers, total)
        counts = [await self._count(lead, query) for lead in compiled.leads]
        fewest = min(counts)
        leading = compiled.leads[counts.index(fewest)]
        if is_one and leading.is_disjoint:
            return await self._known(compiled, leading, fewest)
        if fewest == 0:
            return Page(*_EMPTY, 0)
        inline_max = BODIES_INLINE_MAX if compiled.unindexed else ENTITIES_INLINE_MAX
        if fewest <= inline_max and not compiled.is_slow:
            return self._searched_here(compiled, leading)
        return await self._searched(compiled, leading)

    async def _known(self, compiled: Plan, lead: IndexScan | None, total: int) -> Page:
        """The answer where the total is kept: no condition, or one."""
        query = compiled.query
        if total <= query.offset or query.limit == 0:
            return Page(*_EMPTY, total)
        if not query.sort:
            return self._streamed(compiled, total)
        if lead is not None and total <= (BODIES_INLINE_MAX if compiled.unindexed else ENTITIES_INLINE_MAX):
            return self._searched_here(compiled, lead)
        if compiled.sorted_column is not None:
            whole = self._totals.of_collection(query.type, public_only=query.public_only)
            looked_at = (query.offset + query.limit) * whole / total
            if lead is None or looked_at <= ENTITIES_INLINE_MAX:
                return self._paged(self._numbers(compiled.walk()), total)
        return await self._searched(compiled, lead)

    async def _ranged(self, compiled: Plan) -> Page:
        """The answer to a range of a column."""
        probe = compiled.range_count(ENTITIES_INLINE_MAX + 1)
        ((count,),) = self._fetch(probe.sql, probe.parameters)
        if count <= ENTITIES_INLINE_MAX:
            return self._searched_here(compiled, None)
        query = compiled.query
        if not query.sort or compiled.sorted_column != compiled.ranged:
            return await self._searched(compiled, None)
        kept = msgspec.structs.replace(query, offset=0, limit=0, sort=())
        answer = self._totals.answer(kept)
        if answer is None:
            revision = self._totals.revision(query.type)
            ((total,),) = await self._in_time(compiled, compiled.range_count())
            answer = SearchResult(total, ())
            self._totals.keep_answer(kept, revision, answer)
        return self._paged(self._numbers(compiled.walk()), answer.total)

    def _streamed(self, compiled: Plan, total: int) -> Page:
        """A page in the order of numbers: the first one by itself, later ones from stretches that are read ahead."""
        query, order = compiled.query, compiled.order
        state = self._totals.removals(query.type)
        if query.offset > 0 and query.limit <= STRETCH:
            return self._paged(self._from_stretches(compiled, state), total)
        behind = order.number_before(query.offset, state)
        numbers = self._numbers(compiled.stream(query.offset, query.limit, behind))
        if len(numbers) == query.limit:
            order.note_page(query.offset + query.limit, numbers[-1], state)
        return self._paged(numbers, total)

    def _from_stretches(self, compiled: Plan, state: int) -> Sequence[int]:
        query, order = compiled.query, compiled.order
        first, last = query.offset // STRETCH, (query.offset + query.limit - 1) // STRETCH
        found: list[int] = []
        for place in range(first, last + 1):
            numbers = order.stretch(place, state)
            if numbers is None:
                behind = order.number_before(place * STRETCH, state)
                numbers = array("q", self._numbers(compiled.stream(place * STRETCH, STRETCH, behind)))
                if len(numbers) == STRETCH:
                    order.note_stretch(place, numbers, state)
            found += numbers
            if len(numbers) < STRETCH:
                break
        begin = query.offset - first * STRETCH
        return found[begin : begin + query.limit]

    def _numbers(self, statement: Statement) -> list[int]:
        return [row[0] for row in self._rows(statement)]

    def _rows(self, statement: Statement) -> list[Row]:
        self._functions.tests = statement.tests
        return self._fetch(statement.sql, statement.parameters)

    def _searched_here(self, compiled: Plan, leading: IndexScan | None) -> Page:
        ((total, numbers),) = self._rows(compiled.search(leading))
        return self._paged(msgspec.json.decode(numbers, type=tuple[int, ...]), total)

    async def _searched(self, compiled: Plan, leading: IndexScan | None) -> Page:
        self._note_unindexed(compiled.query, compiled.unindexed)
        answer = await self._search_answer(compiled, leading)
        return self._paged(answer.numbers, answer.total, compiled.unindexed)

    async def _search_answer(self, compiled: Plan, leading: IndexScan | None) -> SearchResult:
        query = compiled.query
        answer = self._totals.answer(query)
        if answer is None:
            revision = self._totals.revision(query.type)
            ((total, numbers),) = await self._in_time(compiled, compiled.search(leading))
            answer = SearchResult(total, msgspec.json.decode(numbers, type=tuple[int, ...]))
            self._totals.keep_answer(query, revision, answer)
        return answer

    def _paged(self, numbers: Sequence[int], total: int, unindexed: tuple[str, ...] = ()) -> Page:
        """A page of the entities with some numbers, in this order."""
        rows = self._shown.of(numbers)
        if None in rows:
            missing = [number for number, row in zip(numbers, rows, strict=True) if row is None]
            read = {
                number: shown_row(identifier, body)
                for number, identifier, body in self._fetch(_ROWS, (msgspec.json.encode(missing).decode(),))
            }
            for number, row in read.items():
                self._shown.put(number, row)
            rows = [row or read.get(number) for number, row in zip(numbers, rows, strict=True)]
        shown = [row for row in rows if row is not None]  # what was deleted since a search is left out
        if not shown:
            return Page(*_EMPTY, total, unindexed)
        identifiers, tails, plain = zip(*shown, strict=True)
        return Page(tails, identifiers, total, unindexed, all(plain))

    async def _in_time(self, compiled: Plan, statement: Statement) -> list[Row]:
        try:
            return await self._searches.fetch(statement)
        except TooSlow:
            query = compiled.query
            names = ", ".join(compiled.unindexed)
            advice = (
                f"add {names} to the setting indexed_attributes, or filter by an attribute with an index first"
                if names
                else "filter by something that fewer entities have"
            )
            raise Unavailable(
                Code.SEARCH_TOO_SLOW, f"This list has to look at too many entities of {query.type}: {advice}."
            ) from None

    def _note_unindexed(self, query: Query, names: tuple[str, ...]) -> None:
        for name in names:
            key = (query.type, name)
            if key in self._unindexed or len(self._unindexed) < UNINDEXED_KEPT_MAX:
                self._unindexed[key] = self._unindexed.get(key, 0) + 1

    async def _taken_apart(self, query: Query) -> Plan:
        whole = msgspec.structs.replace(query, offset=0, limit=0)  # all pages of a list are taken apart alike
        compiled = self._compiled_for(whole, has_tail=False)
        if compiled.looks_in_index and self._tail:
            await self._fill_index(wait=self._tail.is_long)
            if self._tail:
                compiled = self._compiled_for(whole, has_tail=True)
        return msgspec.structs.replace(compiled, query=query)

    def _compiled_for(self, query: Query, *, has_tail: bool) -> Plan:
        key = (query, has_tail)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = plan_query(query, self._indexes.of(query.type), has_tail=has_tail)
            if len(self._compiled) >= COMPILED_KEPT_MAX:
                self._compiled.clear()
            self._compiled[key] = compiled
        return compiled

    # -- totals -----------------------------------------------------------------------------------------------

    def _is_counted(self, lead: IndexScan) -> bool:
        return all(
            source.posting is None or self._totals.of_posting(source.posting) is not None
            for source in lead.sources
        )

    async def _count(self, lead: IndexScan, query: Query) -> int:
        """How many entities the postings of a lead have together."""
        total = 0
        for source in lead.sources:
            if source.posting is None:
                total += self._totals.of_status(query.type, source.value, public_only=query.public_only)
                continue
            pair = self._totals.of_posting(source.posting)
            if pair is None:
                pair = await self._counted(source)
            total += pair[1] if query.public_only else sum(pair)
        return total

    async def _counted(self, source: Posting) -> tuple[int, int]:
        posting, counted = source.posting, source.counted
        assert posting is not None
        ((count, public, seq),) = self._fetch(
            f"{_COUNT} FROM ({counted.sql} LIMIT ?)", (*counted.parameters, COUNTED_INLINE_MAX)
        )
        if count < COUNTED_INLINE_MAX:
            self._totals.keep(posting, Counted(count - public, public, seq))
            return (count - public, public)

        async def elsewhere() -> Counted:
            rows: list[Row] = await self._searches.run(
                lambda connection: connection.execute(
                    f"{_COUNT} FROM ({counted.sql})", counted.parameters
                ).fetchall()
            )
            ((count, public, seq),) = rows
            return Counted(count - public, public, seq)

        return await self._totals.count(posting, elsewhere)
