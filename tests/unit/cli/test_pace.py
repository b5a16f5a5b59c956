"""How fast a command asks, and how long it tries."""

from __future__ import annotations

import asyncio

import pytest

from hansa.cli.imports.pace import ImportPace, Patience
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable

AWAY = Unavailable(Code.UNAVAILABLE, "away")


async def test_no_more_requests_run_than_the_width_allows() -> None:
    pace, running, most = ImportPace(ManualClock(), width_max=3), 0, 0

    async def request() -> None:
        nonlocal running, most
        async with pace.turn():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(request() for _ in range(20)))
    assert most == 3


async def test_a_complaint_halves_the_width_once_and_answers_widen_it_again() -> None:
    clock = ManualClock()
    pace = ImportPace(clock, width_max=32)
    for _ in range(32):
        pace.slowed(2.0)
    assert pace.width == 16
    await clock.advance(3.0)
    pace.slowed(1.0)
    assert pace.width == 8
    for _ in range(2000):
        pace.eased()
    assert pace.width == 32


async def test_everything_is_held_back_for_as_long_as_the_marketplace_asks() -> None:
    clock = ManualClock()
    pace = ImportPace(clock)
    pace.slowed(5.0)
    passed = asyncio.Event()

    async def request() -> None:
        async with pace.turn():
            passed.set()

    task = asyncio.create_task(request())
    await clock.advance(4.9)
    assert not passed.is_set()
    await clock.advance(0.2)
    await asyncio.wait_for(task, 1)
    assert passed.is_set()


async def test_a_wrong_address_is_told_at_once() -> None:
    with pytest.raises(Unavailable):
        await Patience(ManualClock(), 30.0).wait(0, AWAY)


async def attempts_until_given_up(patience: Patience, clock: ManualClock) -> int:
    attempt = 0
    while True:
        waiting = asyncio.create_task(patience.wait(attempt, AWAY))
        await asyncio.sleep(0)
        while not waiting.done():
            await clock.advance(0.1)
        if waiting.exception() is not None:
            return attempt
        attempt += 1


async def test_a_marketplace_that_went_away_is_waited_for_but_not_for_ever() -> None:
    clock = ManualClock()
    patience = Patience(clock, 30.0)
    patience.relieved()
    assert await attempts_until_given_up(patience, clock) > 10
    assert 30 <= clock.monotonic() < 35


async def test_each_answer_gives_new_patience() -> None:
    clock = ManualClock()
    patience = Patience(clock, 30.0)
    patience.relieved()
    await attempts_until_given_up(patience, clock)
    patience.relieved()
    before_s = clock.monotonic()
    await attempts_until_given_up(patience, clock)
    assert clock.monotonic() - before_s >= 30
