"""Searches in worker threads, so that nobody else waits for them.

SQLite runs outside the interpreter's lock. A search is *waiting* until a worker is free, *running*, and then
over. Its rules:

Joined. Identical searches that have not begun are one: whoever comes while it is waiting waits for the same
result. A search reads what is committed when it begins, so everybody who waits for it sees what was committed
before they came. One that runs is never joined: something may have been committed since it began.

Two classes. Strangers and all others have a queue each. Strangers never have all workers, so that the next
search of a known caller waits for no search of theirs; and they have one worker at least while any of them
waits.

Deadlines. A caller waits so long at most, in the queue and for the result together. The deadline is looked at
by SQLite every `STEPS_PER_CHECK` of its steps, by the functions that it calls (`Functions`), and every
`WATCH_S` by a task on the event loop, which interrupts SQLite between two steps.

Leaving. A caller that is cancelled, or has left (`ListCaller.left`), waits no more; with the last one its
search is taken from the queue, or stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.measured_work import add_work
from hansa.core.thread_work import run_in_thread
from hansa.store.records import INTERNAL, ListCaller
from hansa.store.sql import Row
from hansa.store.sqlite.database.connection import as_ours, connect
from hansa.store.sqlite.database.functions import Functions
from hansa.store.sqlite.lists.statements import Statement

SEARCHES_AT_ONCE: Final = 2
SEARCHES_WAITING_MAX: Final = 64
"""Of each class."""
STEPS_PER_CHECK: Final = 20_000
"""Steps of SQLite's machine between two checks whether a search has to stop; some milliseconds."""
WATCH_S: Final = 0.05
"""Time between two looks at all deadlines."""

T = TypeVar("T")


class TooSlow(Exception):
    """A search was stopped because it had taken too long."""


class SearchStopped(Exception):
    """A search was stopped because nobody waits for it."""


class _Worker:
    """A connection for one search at a time, which stops itself when the search is cancelled or late.

    Interrupting alone is not enough: SQLite forgets an interrupt that arrives before the statement runs.
    """

    def __init__(self, path: Path, clock: Clock, equip: Callable[[apsw.Connection], None]) -> None:
        self.connection = connect(path, "searching")
        equip(self.connection)
        self.functions = Functions(self.connection, self._check)
        self._clock = clock
        self._is_cancelled = False
        self._deadline_s: float | None = None
        self.is_late = False
        """Whether the last search reached its deadline."""
        self.connection.set_progress_handler(self._has_to_stop, STEPS_PER_CHECK)

    def start(self, deadline_s: float | None) -> None:
        """A search is about to run, until that moment of the clock at most."""
        self._is_cancelled = self.is_late = False
        self._deadline_s = deadline_s

    def cancel(self) -> None:
        """End the search that runs, soon."""
        self._is_cancelled = True
        self.connection.interrupt()

    def watch(self) -> None:
        """Interrupt the search that runs if it has to stop; called from the event loop."""
        if self._has_to_stop():
            self.connection.interrupt()

    def _has_to_stop(self) -> bool:
        """Called from a worker thread every `STEPS_PER_CHECK` steps."""
        if self._deadline_s is not None and self._clock.monotonic() >= self._deadline_s:
            self.is_late = True
        return self._is_cancelled or self.is_late

    def _check(self) -> None:
        """The checkpoint of the functions that SQLite calls."""
        if self._has_to_stop():
            raise TooSlow if self.is_late else SearchStopped


class _Search:
    """One search, and who waits for it."""

    __slots__ = ("began_at_s", "is_strange", "key", "share_s", "task", "waiters", "work")

    def __init__(self, work: Callable[[_Worker], Any], key: Hashable, *, is_strange: bool) -> None:
        self.work = work
        self.key = key
        self.is_strange = is_strange
        self.waiters: dict[asyncio.Future[Any], float | None] = {}
        """With the moment of the clock until which each waits."""
        self.task: asyncio.Task[None] | None = None
        """Runs it, once it has begun."""
        self.began_at_s: float | None = None
        """By the clock, once it has begun."""
        self.share_s: float | None = None
        """Of the time that it took, the part of each who waited for it; None before its end."""

    def end(self, now_s: float) -> None:
        """Divide the time that it took among those who wait for it."""
        assert self.began_at_s is not None, "what ends has begun"
        self.share_s = (now_s - self.began_at_s) / max(1, len(self.waiters))

    def cost_s(self, now_s: float) -> float:
        """What it has cost one of those who wait."""
        if self.share_s is not None or self.began_at_s is None:
            return self.share_s or 0.0
        return (now_s - self.began_at_s) / max(1, len(self.waiters))

    @property
    def deadline_s(self) -> float | None:
        """When the last of those who wait does so no more."""
        deadlines = [one for one in self.waiters.values() if one is not None]
        return max(deadlines) if len(deadlines) == len(self.waiters) else None


class SearchPool:
    """The worker threads and their connections.

    Args:
        path: The file that is searched.
        clock: For deadlines.
        timeout_s: How long a search may take, its wait for a turn included.
        equip: Is called with each connection, to add functions to it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        timeout_s: float,
        equip: Callable[[apsw.Connection], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._equip = equip
        self._clock = clock
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(SEARCHES_AT_ONCE, thread_name_prefix="hansa-search")
        self._queues: dict[bool, OrderedDict[Hashable, _Search]] = {False: OrderedDict(), True: OrderedDict()}
        """What is waiting, by whether strangers wait for it; the oldest first."""
        self._running: set[_Search] = set()
        self._is_closed = False
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._watcher: asyncio.Task[None] | None = None
        self.joined = 0
        """How many callers have joined a search that was waiting already."""

    async def fetch(self, statement: Statement, caller: ListCaller = INTERNAL) -> list[Row]:
        """The rows of a statement; there should be few.

        Raises:
            TooSlow: it took longer than a search may, the time in the queue included.
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """

        def work(worker: _Worker) -> list[Row]:
            worker.functions.prepare(statement.tests)
            return worker.connection.execute(statement.sql, statement.parameters).fetchall()

        rows: list[Row] = await self._result(work, statement, self._timeout_s, caller)
        return rows

    async def run(self, work: Callable[[apsw.Connection], T], caller: ListCaller = INTERNAL) -> T:
        """Work that reads, however long it takes, in a worker thread with a connection of its own.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """
        key = object()  # joined by nobody
        result: T = await self._result(lambda worker: work(worker.connection), key, None, caller)
        return result

    async def answer(
        self, key: Hashable, work: Callable[[apsw.Connection], T], caller: ListCaller = INTERNAL
    ) -> T:
        """What some work reads, in time; work with the same key that waits is joined.

        Raises:
            TooSlow: it took longer than a search may, the time in the queue included.
            Unavailable: `Code.OVERLOADED`, when too many searches are waiting; `Code.UNAVAILABLE` at closing.
        """
        result: T = await self._result(lambda worker: work(worker.connection), key, self._timeout_s, caller)
        return result

    async def _result(
        self, work: Callable[[_Worker], Any], key: Hashable, timeout_s: float | None, caller: ListCaller
    ) -> Any:
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        queue = self._queues[caller.is_stranger]
        search = queue.get(key)
        if search is not None:
            self.joined += 1
        elif len(queue) >= SEARCHES_WAITING_MAX:
            raise Unavailable(
                Code.OVERLOADED, "Too many searches without an index are waiting; try again shortly."
            )
        else:
            search = queue[key] = _Search(work, key, is_strange=caller.is_stranger)
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        search.waiters[waiter] = None if timeout_s is None else self._clock.monotonic() + timeout_s
        self._begin_next()
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            return await _unless_left(waiter, caller)
        finally:
            add_work(search.cost_s(self._clock.monotonic()))
            search.waiters.pop(waiter, None)
            if not search.waiters:
                self._abandon(search)

    def _abandon(self, search: _Search) -> None:
        """Nobody waits for a search any more, or it is over."""
        queue = self._queues[search.is_strange]
        if search.task is not None:
            search.task.cancel()  # without effect when it is over
        elif queue.get(search.key) is search:
            del queue[search.key]

    # -- turns ---------------------------------------------------------------------------------------------

    def _begin_next(self) -> None:
        """Begin what is waiting, as far as workers are free."""
        while (search := self._next()) is not None:
            del self._queues[search.is_strange][search.key]
            worker = self._idle.pop() if self._idle else _Worker(self._path, self._clock, self._equip)
            assert worker not in self._busy, "a connection runs one search at a time"
            worker.start(search.deadline_s)
            self._running.add(search)
            self._busy.add(worker)
            search.task = asyncio.create_task(self._run(search, worker))
            # Not in the task: one that is cancelled before its first step has none.
            search.task.add_done_callback(partial(self._end, search, worker))

    def _next(self) -> _Search | None:
        """Whose turn it is; None while there is no worker for anybody who waits."""
        if len(self._running) >= SEARCHES_AT_ONCE:
            return None
        strange = sum(search.is_strange for search in self._running)
        known, strangers = self._queues[False], self._queues[True]
        has_room = strange < SEARCHES_AT_ONCE - 1
        if known and not (strangers and has_room and len(self._running) - strange >= SEARCHES_AT_ONCE - 1):
            return next(iter(known.values()))
        return next(iter(strangers.values())) if strangers and has_room else None

    async def _run(self, search: _Search, worker: _Worker) -> None:
        """Run a search, and hand its outcome to everybody who waits for it."""
        search.began_at_s = self._clock.monotonic()
        try:
            outcome = await self._outcome(search, worker)
        except apsw.InterruptError as error:
            self._fail(search, TooSlow() if worker.is_late else as_ours(error, str(self._path)))
        except apsw.Error as error:
            self._fail(search, as_ours(error, str(self._path)))
        except SearchStopped:
            self._fail(search, Unavailable(Code.UNAVAILABLE, "The catalogue store is closing."))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait get it
            self._fail(search, error)
        else:
            for waiter in search.waiters:
                if not waiter.done():
                    waiter.set_result(outcome)

    async def _outcome(self, search: _Search, worker: _Worker) -> Any:
        try:
            return await run_in_thread(self._threads, partial(search.work, worker), worker.cancel)
        finally:
            search.end(self._clock.monotonic())

    def _end(self, search: _Search, worker: _Worker, _: asyncio.Task[None]) -> None:
        """A search is over: its worker is free."""
        assert worker in self._busy, "it had this worker until now"
        self._busy.discard(worker)
        self._idle.append(worker)
        self._running.discard(search)
        self._begin_next()

    def _fail(self, search: _Search, error: BaseException) -> None:
        for waiter in search.waiters:
            if not waiter.done():
                waiter.set_exception(error)

    async def _watch(self) -> None:
        """Look at all deadlines now and then, while anybody waits."""
        try:
            while self._running or any(self._queues.values()):
                await self._clock.sleep(WATCH_S)
                now_s = self._clock.monotonic()
                for worker in self._busy:
                    worker.watch()
                for search in (*self._running, *self._queues[False].values(), *self._queues[True].values()):
                    for waiter, deadline_s in search.waiters.items():
                        if deadline_s is not None and deadline_s <= now_s and not waiter.done():
                            waiter.set_exception(TooSlow())
        finally:
            self._watcher = None

    async def close(self) -> None:
        """End the threads; searches that run are stopped, and what waits is refused."""
        self._is_closed = True
        for queue in self._queues.values():
            for search in queue.values():
                self._fail(search, Unavailable(Code.UNAVAILABLE, "The catalogue store is closing."))
            queue.clear()
        for worker in self._busy:
            worker.cancel()
        running = [search.task for search in self._running if search.task is not None]
        if running:
            await asyncio.wait(running)
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        self._threads.shutdown(wait=True)
        for worker in self._idle:
            worker.connection.close()


async def _unless_left(waiter: asyncio.Future[Any], caller: ListCaller) -> Any:
    """What comes of a search; what `caller.left` raises, if that comes first."""
    if caller.left is None:
        return await waiter
    leaving = asyncio.create_task(_leaving(caller.left))

    def end_waiting(left: asyncio.Task[object]) -> None:
        if not left.cancelled() and (reason := left.exception()) is not None and not waiter.done():
            waiter.set_exception(reason)

    leaving.add_done_callback(end_waiting)
    try:
        return await waiter
    finally:
        leaving.cancel()


async def _leaving(left: Callable[[], Awaitable[object]]) -> object:
    return await left()
