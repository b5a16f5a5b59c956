"""The hub's share of the event loop: all of it while nobody writes, a small one while writes wait."""

from __future__ import annotations

import asyncio

import pytest

from hansa.business.hub.throttle import PAUSE_MAX_S, SAMPLES, SHARE, UNSEEN_FACTOR, Throttle
from hansa.core.clock import ManualClock


class Work:
    """Steps that take a tenth of a second each, and how many are done."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.waiting = 0
        self.done = 0
        self.throttle = Throttle(self.clock, lambda: self.waiting)

    async def step(self) -> int:
        """One step, which moves the clock."""
        await asyncio.sleep(0)
        await self.clock.advance(0.1)
        self.done += 1
        return self.done

    async def steps(self, count: int) -> None:
        """So many, one after the other."""
        for _ in range(count):
            await self.throttle.run(self.step)


async def test_without_writes_steps_follow_each_other_at_once() -> None:
    work = Work()
    await work.steps(50)
    assert work.done == 50
    assert work.clock.monotonic() == pytest.approx(5.0)


async def test_under_pressure_steps_take_their_share_and_no_more() -> None:
    work = Work()
    work.waiting = 3
    task = asyncio.create_task(work.steps(1000))
    seconds = 0.0
    while work.clock.monotonic() < 200:
        await work.clock.advance(PAUSE_MAX_S)
        await asyncio.sleep(0)
        seconds = work.clock.monotonic()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    share = work.done * 0.1 / seconds
    assert share == pytest.approx(SHARE / UNSEEN_FACTOR, rel=0.3)


async def test_when_the_pressure_ends_nothing_is_owed() -> None:
    work = Work()
    work.waiting = 1
    task = asyncio.create_task(work.steps(30))
    for _ in range(20):
        await work.clock.advance(PAUSE_MAX_S)
    assert not task.done()
    work.waiting = 0
    for _ in range(4 * SAMPLES):
        await work.clock.advance(PAUSE_MAX_S)
    await task
    assert work.done == 30


async def test_a_step_that_fails_says_so_and_counts() -> None:
    work = Work()

    async def fail() -> None:
        await work.step()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await work.throttle.run(fail)
    assert await work.throttle.run(work.step) == 2


async def test_a_step_can_be_cancelled_while_it_waits() -> None:
    work, entered = Work(), asyncio.Event()
    left: list[str] = []

    async def wait() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.append("cleaned up")

    task = asyncio.create_task(work.throttle.run(wait))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left == ["cleaned up"]
