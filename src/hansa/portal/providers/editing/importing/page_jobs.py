"""Work that a form begins and that takes longer than a request should: a file of thousands of rows.

    waiting ── a worker is free ──▶ running ── ends ──▶ gone
                                       └── fails, or the server stops ──▶ failed, until it is begun again

A person has one job at a time. It runs beside the requests, in this process, and goes on when its person
leaves the page; what comes of it is where the work puts it. Whatever is short is done before its request is
answered, which waits `SETTLED_WITHIN_S` for it, so that nobody sees progress of what takes no time. Jobs are
not in the store: a server that stops in the middle of one has it begun again by its person, and the work
has to be such that nothing is done twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable

SETTLED_WITHIN_S: Final = 1.0
WORKERS: Final = 2
WAITING_MAX: Final = 50
"""Jobs of all people."""
FAILED_MAX: Final = 200
"""Jobs that are remembered because they failed."""
RETRY_AFTER_S: Final = 30.0

Advance = Callable[[int], None]
"""Is called with how much more was done."""


class PageProgress(msgspec.Struct, frozen=True):
    """How far a job is."""

    done: int
    total: int
    is_waiting: bool = False
    """For a worker."""
    problem: str = ""
    """Why it failed; empty: it goes on."""


class _Job:
    """A job that waits or runs."""

    def __init__(self, key: str, total: int, work: Callable[[Advance], Awaitable[None]]) -> None:
        self.key = key
        self.total = total
        self.work = work
        self.done = 0
        self.is_running = False
        self.ended = asyncio.Event()

    def advance(self, more: int) -> None:
        """Note that more was done."""
        self.done = min(self.total, self.done + more)


class PageJobs:
    """The jobs of all people.

    Args:
        clock: For how long a request waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._live: dict[str, _Job] = {}
        """By whose they are; as many as `WAITING_MAX`."""
        self._waiting: asyncio.Queue[_Job] = asyncio.Queue()
        self._failed: OrderedDict[str, PageProgress] = OrderedDict()

    async def begin(self, key: str, total: int, work: Callable[[Advance], Awaitable[None]]) -> None:
        """Begin a job, and wait a moment for its end.

        Args:
            key: Whose it is.
            total: How much there is to do.
            work: Does it.

        Raises:
            Unavailable: `Code.OVERLOADED`: this person has one, or too many people have.
        """
        if key in self._live:
            raise Unavailable(Code.OVERLOADED, "Your last one is still going on.", RETRY_AFTER_S)
        if len(self._live) >= WAITING_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many people do this now.", RETRY_AFTER_S)
        self._failed.pop(key, None)
        job = self._live[key] = _Job(key, total, work)
        self._waiting.put_nowait(job)
        await self._settled(job)

    def of(self, key: str) -> PageProgress | None:
        """The job of a person; None: there is none, or it has ended well."""
        job = self._live.get(key)
        if job is None:
            return self._failed.get(key)
        return PageProgress(job.done, job.total, is_waiting=not job.is_running)

    def is_busy(self, key: str) -> bool:
        """Whether a person has a job that has not ended."""
        return key in self._live

    async def run(self) -> None:
        """Carry out jobs, until this is cancelled."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(WORKERS):
                    workers.create_task(self._work())
        finally:
            for job in tuple(self._live.values()):
                if job.is_running:
                    self._end(job, "It was interrupted.")

    async def _work(self) -> None:
        while True:
            job = await self._waiting.get()
            job.is_running = True
            problem = "It was interrupted."
            try:
                await job.work(job.advance)
                problem = ""
            except HansaError as error:
                problem = error.message
            finally:
                self._end(job, problem)

    def _end(self, job: _Job, problem: str) -> None:
        if self._live.get(job.key) is not job:
            return
        del self._live[job.key]
        if problem:
            self._failed[job.key] = PageProgress(job.done, job.total, problem=problem)
            while len(self._failed) > FAILED_MAX:
                self._failed.popitem(last=False)
        job.ended.set()

    async def _settled(self, job: _Job) -> None:
        """Wait for the end of a job, but not long."""
        loop, pause = asyncio.get_running_loop(), self._clock.sleep(SETTLED_WITHIN_S)
        waits = [loop.create_task(job.ended.wait()), loop.create_task(pause)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
