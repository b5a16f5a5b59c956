"""What strangers read of a bus: however many they are, a page is read once for those who follow the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader, ReaderPool
from hansa.pubsub.ledger_reads import STATUS_AGE_MAX_S, StrangersReads
from hansa.pubsub.ledger_records import EventFilter, EventPage, LedgerStatus
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from tests.contract.origins import Origin
from tests.support.conditions import eventually, until

LIMITS = Limits()
FOLLOWERS = 256

T = TypeVar("T")


class CountingPool:
    """Reads the ledger in memory, one turn of the loop later."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self.readings = 0
        self.refusals = 0
        """So many readings are still to be refused."""
        self.is_stuck = False
        self.waiting = 0

    async def run(self, work: Callable[[LedgerReader], T]) -> T:
        """As `ReaderPool.run`."""
        await asyncio.sleep(0)
        if self.is_stuck:
            self.waiting += 1
            await asyncio.Event().wait()
        if self.refusals:
            self.refusals -= 1
            raise Unavailable(Code.UNAVAILABLE, "Too many readings of the ledger are waiting.")
        self.readings += 1
        return work(self._reader)

    def close(self) -> None:
        """Nothing to close."""


class CountingBus(MemoryBus):
    """Counts how often its engine is queried."""

    queries = 0

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger."""
        self.queries += 1
        return await super().ledger()


class Strangers:
    """Some who follow a ledger."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.origin = Origin("lubeck")
        self.ledger = MemoryLedger([self.origin.member], self.clock, LIMITS)
        self.bus = CountingBus(self.ledger)
        self.pool = CountingPool(self.ledger.reader)
        self.reads = StrangersReads(
            self.bus, cast("ReaderPool", self.pool), self.clock, LIMITS, self.ledger.signal
        )
        self.received: list[list[EventPage]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self, filter: EventFilter) -> None:
        """One more follows."""
        pages: list[EventPage] = []
        self.received.append(pages)

        async def follow() -> None:
            async for page in self.reads.follow(0, filter):
                pages.append(page)  # noqa: PERF401 - it never ends

        self._tasks.append(asyncio.create_task(follow()))

    async def publish(self) -> None:
        """A block with an event."""
        await self.bus.publish(self.origin.events(1), self.origin.signer)

    async def everybody_has(self, position: int) -> None:
        """Wait until everybody has been told so far."""

        async def have_all() -> bool:
            await self.clock.advance(0.01)
            return all(pages and pages[-1].scanned_to == position for pages in self.received)

        await eventually(have_all)

    async def close(self) -> None:
        """End."""
        await self.reads.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ledger.close()


async def test_a_page_that_many_follow_is_read_once() -> None:
    strangers = Strangers()
    await strangers.publish()
    for _ in range(FOLLOWERS):
        strangers.follow(EventFilter())
    await strangers.everybody_has(1)
    for position in range(2, 12):
        before = strangers.pool.readings
        await strangers.publish()
        await strangers.everybody_has(position)
        assert strangers.pool.readings - before <= 2
    for pages in strangers.received:
        assert [event.position for page in pages for event in page.events] == list(range(1, 12))
    await strangers.close()


async def test_whoever_follows_something_else_gets_something_else() -> None:
    strangers = Strangers()
    strangers.follow(EventFilter())
    strangers.follow(EventFilter(types=("productOfferingDeleteEvent",)))
    await strangers.publish()
    await strangers.everybody_has(1)
    assert [len(pages[-1].events) for pages in strangers.received] == [1, 0]
    await strangers.close()


async def test_whoever_is_refused_comes_again_and_misses_nothing() -> None:
    strangers = Strangers()
    for _ in range(3):
        strangers.follow(EventFilter())
    strangers.pool.refusals = 5
    for position in range(1, 8):
        await strangers.publish()
        await strangers.everybody_has(position)
    for pages in strangers.received:
        assert [event.position for page in pages for event in page.events] == list(range(1, 8))
    await strangers.close()


async def test_whoever_goes_away_takes_nobodys_page_along() -> None:
    strangers = Strangers()
    for _ in range(2):
        strangers.follow(EventFilter())
    await until(lambda: strangers.pool.readings)
    await strangers.publish()
    await asyncio.sleep(0)
    strangers._tasks[0].cancel()
    strangers.received.pop(0)
    await strangers.everybody_has(1)
    (pages,) = strangers.received
    assert [event.position for page in pages for event in page.events] == [1]
    await strangers.close()


async def test_the_engine_is_not_queried_for_each_stranger() -> None:
    strangers = Strangers()
    statuses = await asyncio.gather(*(strangers.reads.ledger() for _ in range(100)))
    assert all(status == statuses[0] for status in statuses)
    assert strangers.bus.queries == 1
    await strangers.publish()
    await strangers.clock.advance(STATUS_AGE_MAX_S)
    assert (await strangers.reads.ledger()).position == 1
    assert strangers.bus.queries == 2
    strangers.bus.is_connected = False
    await strangers.clock.advance(STATUS_AGE_MAX_S)
    failures = await asyncio.gather(*(strangers.reads.ledger() for _ in range(10)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {Unavailable}
    assert strangers.bus.queries == 3
    await strangers.close()


async def test_a_searcher_never_gets_a_page_that_was_read_before() -> None:
    strangers = Strangers()
    await strangers.publish()
    pages: list[Any] = await asyncio.gather(*(strangers.reads.search(0) for _ in range(10)))
    assert strangers.pool.readings == 10
    assert all(len(page.events) == 1 for page in pages)
    await strangers.close()


async def test_many_streams_that_are_opened_read_the_ledger_once() -> None:
    strangers = Strangers()
    await asyncio.gather(*(strangers.reads.check(EventFilter()) for _ in range(FOLLOWERS)))
    assert strangers.pool.readings == 1
    with pytest.raises(Refused):
        await strangers.reads.check(EventFilter(from_time="yesterday"))
    with pytest.raises(Refused):
        await strangers.reads.check(EventFilter(keys=("0" * 64,) * 1001))
    await strangers.clock.advance(STATUS_AGE_MAX_S)
    strangers.pool.refusals = 1
    with pytest.raises(Unavailable):
        await strangers.reads.check(EventFilter())
    await strangers.close()


async def test_closing_waits_for_no_reading() -> None:
    strangers = Strangers()
    strangers.pool.is_stuck = True
    pages = strangers.reads.follow(0)
    waiting = asyncio.create_task(anext(pages, None))
    await until(lambda: strangers.pool.waiting)
    await strangers.close()
    assert await waiting is None


async def test_strangers_get_the_limits_that_the_member_itself_has_read() -> None:
    strangers = Strangers()
    league = LedgerParams(issuer_events_per_s=300)
    strangers.ledger.close()
    strangers.ledger = MemoryLedger([strangers.origin.member], strangers.clock, LIMITS, params=league)
    strangers.bus._ledger = strangers.ledger
    assert strangers.reads.params != league
    await strangers.bus.members()
    assert strangers.reads.params == league
    await strangers.close()
