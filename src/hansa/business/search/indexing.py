"""The index follows the feed of the store, and what it does not have yet is searched beside it.

    feed of the store   1 … 700 | 701 … 712
    index               ───────▶|
    unindexed changes            ─────────▶

`UnindexedChanges` has the documents of what is newer than the index. A search first brings it up to the end
of the feed, so that it finds whatever was committed before it. `IndexFollower` writes documents into the
index, some at a time, and then makes those anew that contain something that has changed.

The index is in no hurry: creates come first. While writes wait, the follower uses `BUSY_SHARE` of the time.
Of more changes than `UNINDEXED_MAX`, the newest are searched; an answer says how many it does not know
(`SearchPage.unsearched`). That is so, too, while the index of a store that had none is built, from the
beginning of the feed.

Where the index is, is a number of a row and a mark of that row. One that has another mark there, as when
a folder got the store of another day, is emptied and built again. So is one of other rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import structlog

from hansa.business.search.analysis import RULES
from hansa.business.search.making import DocumentMaker, Made
from hansa.core.clock import Clock
from hansa.store import Change, Store
from hansa.store.search.interface import SearchIndex
from hansa.store.search.records import IndexBatch, IndexPosition, Overlay, SearchDocument

log = structlog.get_logger("hansa.search")

BATCH_CHANGES: Final = 200
UNINDEXED_MAX: Final = 2000
GATHERED_S: Final = 0.05
"""So long changes gather before they are written together."""
BUSY_SHARE: Final = 0.1
"""Of the time, while others write."""
IDLE_SHARE: Final = 0.5


class UnindexedChanges:
    """The documents of what is newer than the index."""

    def __init__(self, store: Store, maker: DocumentMaker) -> None:
        self._store = store
        self.maker: Final = maker
        self._start = 0
        """The row of the feed up to which the index is."""
        self._end = 0
        """The row up to which this is."""
        self._documents: dict[str, tuple[int, SearchDocument | None]] = {}
        """With the row of the change."""
        self._overlay: Overlay = {}

    async def overlay(self) -> Overlay:
        """The documents, up to the end of the feed."""
        last = await self._store.last_change()
        self._end = max(self._end, self._start, last - UNINDEXED_MAX)
        while self._end < last:
            changes = await self._store.changes(self._end, BATCH_CHANGES)
            if not changes:
                break
            made = await self.made(changes)
            self.note(changes, made.documents)
        return self._overlay

    @property
    def unsearched(self) -> int:
        """How many rows lie between the index and what the tail has."""
        return max(0, self._end - UNINDEXED_MAX - self._start) if self._is_cut else 0

    @property
    def _is_cut(self) -> bool:
        return self._end - self._start > UNINDEXED_MAX

    async def made(self, changes: Iterable[Change]) -> Made:
        """The documents of entities that have changed."""
        ids = dict.fromkeys(one.entity_id for one in changes if self.maker.is_searched(one.type))
        return await self.maker.make(tuple(ids))

    def note(self, changes: tuple[Change, ...], documents: Mapping[str, SearchDocument | None]) -> None:
        """Some rows of the feed, and what became of their entities."""
        if changes[0].seq <= self._start:
            return
        rows = {one.entity_id: one.seq for one in changes}
        for each, document in documents.items():
            self._documents[each] = rows[each], document
        self._end = max(self._end, changes[-1].seq)
        self._renew()

    def move(self, start: int) -> None:
        """The index has come to a row, or is made anew from an earlier one."""
        if start < self._start:
            self._documents.clear()
            self._end = start
        self._start = start
        self._end = max(self._end, start)
        self._renew()

    def _renew(self) -> None:
        oldest = max(self._start, self._end - UNINDEXED_MAX)
        self._documents = {each: known for each, known in self._documents.items() if known[0] > oldest}
        self._overlay = {each: document for each, (_, document) in self._documents.items()}


class IndexProgress(msgspec.Struct, frozen=True):
    """How far the index of the search is."""

    behind: int
    """Changes of the store that are not in it yet."""
    is_building: bool
    """Whether it is being built, so that searches do not find everything."""


class IndexFollower:
    """Has the index follow the store.

    Args:
        store: The entities, and their feed.
        index: The index.
        maker: Makes documents.
        clock: For pauses.
    """

    def __init__(self, store: Store, index: SearchIndex, maker: DocumentMaker, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._maker = maker
        self._clock = clock
        self.unindexed: Final = UnindexedChanges(store, maker)
        self._rules = f"{RULES} {maker.rule}"
        self._position: IndexPosition | None = None
        self._is_building = False

    async def run(self) -> None:
        """Follow, until it is cancelled."""
        await self.begin()
        await self._report()
        while True:
            started_s = self._clock.monotonic()
            if not await self.step():
                await self._end_building()
                await self._store.wait_for_change(await self._at())
                await self._clock.sleep(GATHERED_S)
                continue
            share = BUSY_SHARE if self._store.writes_waiting else IDLE_SHARE
            await self._clock.sleep((self._clock.monotonic() - started_s) * (1 - share) / share)

    async def _report(self) -> None:
        """Say when many changes are to be indexed, as of a store that had no index."""
        behind = await self._store.last_change() - await self._at()
        if behind > UNINDEXED_MAX:
            log.info("search_index_building", changes=behind)
            self._is_building = True

    async def _end_building(self) -> None:
        """Do, once the index of a store that had none has everything, what makes questions quicker."""
        if self._is_building:
            self._is_building = False
            await self._index.compact()
            log.info("search_index_built", documents=await self._index.count())

    async def catch_up(self) -> None:
        """Write everything that the index lacks."""
        await self.begin()
        await self._report()
        while await self.step():
            pass
        await self._end_building()

    async def progress(self) -> IndexProgress:
        """How far the index is."""
        at = 0 if self._position is None else self._position.change
        behind = max(0, await self._store.last_change() - at)
        return IndexProgress(behind, behind > UNINDEXED_MAX)

    async def begin(self) -> None:
        """See how far the index is; one that is of something else, or of other rules, is emptied."""
        position = await self._index.position()
        if not await self._is_ours(position):
            position = IndexPosition(0, "", self._rules)
            await self._index.empty(position)
        self._position = position
        self.unindexed.move(position.change)

    async def step(self) -> bool:
        """Write some documents; False when there is nothing to write."""
        changes = await self._store.changes(await self._at(), BATCH_CHANGES)
        if changes:
            await self._follow(changes)
            return True
        due = await self._index.due(BATCH_CHANGES)
        if not due:
            return False
        made = await self._maker.make(due)
        await self._index.put(_batch(None, made))
        return True

    async def _follow(self, changes: tuple[Change, ...]) -> None:
        made = await self.unindexed.made(changes)
        last = changes[-1]
        position = IndexPosition(last.seq, _mark(last), self._rules)
        await self._index.put(msgspec.structs.replace(_batch(position, made), after=await self._at()))
        self._position = position
        self.unindexed.move(last.seq)

    async def _at(self) -> int:
        if self._position is None:
            await self.begin()
        assert self._position is not None, "it has begun"
        return self._position.change

    async def _is_ours(self, position: IndexPosition) -> bool:
        if position.rules != self._rules:
            return False
        if position.change == 0:
            return True
        rows = await self._store.changes(position.change - 1, 1)
        return bool(rows) and rows[0].seq == position.change and _mark(rows[0]) == position.mark


def _mark(change: Change) -> str:
    return f"{change.time} {change.entity_id}"


def _batch(position: IndexPosition | None, made: Made) -> IndexBatch:
    return IndexBatch(
        position,
        tuple(one for one in made.documents.values() if one is not None),
        tuple(each for each, one in made.documents.items() if one is None),
        parts=made.parts,
    )
