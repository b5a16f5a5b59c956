"""The search index of a marketplace: one thread writes, others read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec
import structlog

from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.store.records import INTERNAL, ListCaller
from hansa.store.search.ranking import WINDOW
from hansa.store.search.records import IndexAnswer, IndexBatch, IndexPosition, IndexQuery, Overlay
from hansa.store.sqlite.database.connection import as_ours
from hansa.store.sqlite.lists.search_pool import SearchPool, TooSlow
from hansa.store.sqlite.search.reading import Remembered, answering
from hansa.store.sqlite.search.schema import open_index, remove
from hansa.store.sqlite.search.statistics import add_scoring
from hansa.store.sqlite.search.vocabulary import beginning_words, similar_words
from hansa.store.sqlite.search.writing import MADE_ANEW, Writer

ANSWERS_MAX: Final = 128
"""That are remembered; each has some hundred values of facets."""

Similar = Mapping[str, tuple[tuple[str, int], ...]]
"""Words, each with those that are spelled nearly alike, and the number of documents that have it."""
T = TypeVar("T")

log = structlog.get_logger("hansa.store")


def _windows_of(query: IndexQuery) -> IndexQuery:
    """The same question, for the first hits up to the page and beyond: one, two, four, … windows of them.

    So whoever turns pages asks a few questions: what costs is counting, hardly how many hits are named.
    """
    limit = WINDOW
    while limit < query.offset + query.limit:
        limit *= 2
    return msgspec.structs.replace(query, offset=0, limit=limit)


class _Damaged(Exception):
    """The file is no index, or not a whole one."""


class SqliteSearchIndex:
    """A `hansa.store.search.interface.SearchIndex` in a file, which is opened when it is first needed.

    Args:
        path: The file; nothing else may write it.
        clock: For deadlines.
        timeout_s: How long a question may take, its wait for a turn included.
    """

    def __init__(self, path: Path, clock: Clock, timeout_s: float) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hansa-index")
        self._new_pool = partial(SearchPool, path, clock, timeout_s, add_scoring)
        self._pool = self._new_pool()
        self._connection: apsw.Connection | None = None
        self._writer: Writer | None = None
        self._remembered = Remembered()
        self._generation = 0
        """Another number after each write."""
        self.cache: Final[Cache[IndexQuery, tuple[int, IndexAnswer]]] = Cache("search_answers", ANSWERS_MAX)
        """Answers to questions that are asked again, as by whoever comes back; each with its generation."""
        self.similar_cache: Final[Cache[tuple[tuple[str, ...], bool], tuple[int, Similar]]] = Cache(
            "similar_words", ANSWERS_MAX
        )
        """Likewise words that are spelled nearly alike."""
        self._is_closed = False

    # -- writing -------------------------------------------------------------------------------------------

    async def position(self) -> IndexPosition:
        """How far it has followed the feed."""
        return await self._write(lambda writer: writer.position())

    async def put(self, batch: IndexBatch) -> None:
        """Write and remove documents, and move on in the feed."""
        await self._write(partial(self._put, batch))

    async def empty(self, position: IndexPosition) -> None:
        """Remove everything."""
        await self._write(partial(self._empty, position))

    async def due(self, limit: int) -> tuple[str, ...]:
        """Identifiers of documents that contain something which has changed."""
        return await self._write(lambda writer: writer.due(limit))

    async def compact(self) -> None:
        """Put together what many writes have left in many places, so that it is read sooner."""
        await self._write(lambda writer: writer.compact())

    def _put(self, batch: IndexBatch, writer: Writer) -> None:
        writer.put(batch)
        self._remembered.placed.follow(writer.changed)
        self._remembered.statistics.follow(len(writer.changed))
        if writer.has_new_labels:
            self._remembered.labels.forget()
        self._generation += 1

    def _empty(self, position: IndexPosition, writer: Writer) -> None:
        writer.empty(position)
        self._remembered = Remembered()
        self._generation += 1

    async def _write(self, work: Callable[[Writer], T]) -> T:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The search index is closing.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._written, work)
        except _Damaged as error:
            raise await self._made_anew() from error

    async def _made_anew(self) -> Unavailable:
        """Remove a damaged file, and let go of all that read it; the next who needs an index makes one."""
        log.warning("search_index_damaged", path=str(self._path))
        pool, self._pool = self._pool, self._new_pool()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._remove)
        await pool.close()
        return Unavailable(Code.UNAVAILABLE, MADE_ANEW, 5.0)

    def _remove(self) -> None:
        self._let_go()
        remove(self._path)

    def _written(self, work: Callable[[Writer], T]) -> T:
        try:
            return work(self._opened())
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise _Damaged from error
        except apsw.Error as error:
            raise as_ours(error, str(self._path)) from error

    def _opened(self) -> Writer:
        if self._writer is None:
            self._connection = open_index(self._path)
            self._remembered = Remembered()
            self._remembered.placed.load(self._connection)
            self._generation += 1
            self._writer = Writer(self._connection)
        return self._writer

    def _let_go(self) -> None:
        self._writer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- reading -------------------------------------------------------------------------------------------

    async def count(self) -> int:
        """How many documents there are."""

        def work(connection: apsw.Connection) -> int:
            ((count,),) = connection.execute("SELECT sum(documents) FROM total").fetchall()
            return int(str(count))

        return await self._read("count", work, INTERNAL)

    async def answer(self, query: IndexQuery, overlay: Overlay, caller: ListCaller = INTERNAL) -> IndexAnswer:
        """The hits of a page, their number, and the numbers of facets.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches wait; `Code.SEARCH_TOO_SLOW`.
        """
        # Whoever looks at the next page asks for the same hits in the same order.
        answer = await self._whole(_windows_of(query), overlay, caller)
        return msgspec.structs.replace(answer, ids=answer.ids[query.offset : query.offset + query.limit])

    async def _whole(self, query: IndexQuery, overlay: Overlay, caller: ListCaller) -> IndexAnswer:
        generation = self._generation
        if not overlay and (known := self.cache.get(query)) is not None and known[0] == generation:
            return known[1]
        # An overlay is never changed: whoever has the same sees the same.
        answer = await self._read((query, id(overlay)), answering(self._remembered, query, overlay), caller)
        if not overlay:
            self.cache.put(query, (generation, answer))
        return answer

    async def similar(
        self, words: Sequence[str], *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> Similar:
        """For each word those of documents that are spelled nearly alike, the best first."""
        generation, key = self._generation, (tuple(words), with_private)
        # Whoever looks at the next page of a search with a wrong word asks for the same.
        if (known := self.similar_cache.get(key)) is not None and known[0] == generation:
            return known[1]
        work = partial(similar_words, words=key[0], with_private=with_private)
        similar = await self._read(("similar", *key), work, caller)
        self.similar_cache.put(key, (generation, similar))
        return similar

    async def beginning(
        self, prefix: str, limit: int, *, with_private: bool, caller: ListCaller = INTERNAL
    ) -> tuple[tuple[str, int], ...]:
        """Words of documents that begin so, the most frequent first."""
        work = partial(beginning_words, prefix=prefix, limit=limit, with_private=with_private)
        return await self._read(("beginning", prefix, limit, with_private), work, caller)

    async def _read(self, key: Hashable, work: Callable[[apsw.Connection], T], caller: ListCaller) -> T:
        if self._writer is None:
            await self.position()
        try:
            return await self._pool.answer(key, work, caller)
        except TooSlow:
            raise Unavailable(
                Code.SEARCH_TOO_SLOW, "This search takes too long: use longer or fewer words."
            ) from None
        except (apsw.CorruptError, apsw.NotADBError) as error:  # by opening another connection
            raise await self._made_anew() from error
        except Fatal as error:
            if error.code is not Code.STORE_DAMAGED:
                raise
            raise await self._made_anew() from error

    async def close(self) -> None:
        """Let go of the file."""
        self._is_closed = True
        await self._pool.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._let_go)
        self._thread.shutdown(wait=True)
