"""How many requests an import runs at once, and how long it repeats failing ones."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.cli.imports.concurrency import ConcurrencyLimit, Patience
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable

UNREACHABLE = Unavailable(Code.UNAVAILABLE, "unreachable")


async def test_no_more_requests_run_than_the_limit_allows() -> None:
    limit, running, most = ConcurrencyLimit(ManualClock(), requests_max=3), 0, 0

    async def request() -> None:
        nonlocal running, most
        async with limit.slot():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(request() for _ in range(20)))
    assert most == 3


async def test_an_overload_halves_the_limit_once_and_responses_raise_it_again() -> None:
    clock = ManualClock()
    limit = ConcurrencyLimit(clock, requests_max=32)
    for _ in range(32):
        limit.on_overload(2.0)
    assert limit.current == 16
    await clock.advance(3.0)
    limit.on_overload(1.0)
    assert limit.current == 8
    for _ in range(2000):
        limit.on_success()
    assert limit.current == 32


async def test_no_request_starts_before_the_marketplace_allows_it() -> None:
    clock = ManualClock()
    limit = ConcurrencyLimit(clock)
    limit.on_overload(5.0)
    passed = asyncio.Event()

    async def request() -> None:
        async with limit.slot():
            passed.set()

    task = asyncio.create_task(request())
    await clock.advance(4.9)
    assert not passed.is_set()
    await clock.advance(0.2)
    await task
    assert passed.is_set()


async def test_a_wrong_address_is_reported_at_once() -> None:
    with pytest.raises(Unavailable):
        await Patience(ManualClock(), 30.0).wait(1, UNREACHABLE)


async def attempts_until_given_up(patience: Patience, clock: ManualClock) -> int:
    attempt = 0
    while True:
        waiting = asyncio.create_task(patience.wait(attempt + 1, UNREACHABLE))
        await asyncio.sleep(0)
        while not waiting.done():
            await clock.advance(0.1)
        if waiting.exception() is not None:
            return attempt
        attempt += 1


async def test_a_marketplace_that_went_away_is_waited_for_but_not_for_ever() -> None:
    clock = ManualClock()
    patience = Patience(clock, 30.0)
    patience.on_success()
    assert await attempts_until_given_up(patience, clock) > 10
    assert 30 <= clock.monotonic() < 35


async def test_each_success_renews_the_patience() -> None:
    clock = ManualClock()
    patience = Patience(clock, 30.0)
    patience.on_success()
    await attempts_until_given_up(patience, clock)
    patience.on_success()
    before_s = clock.monotonic()
    await attempts_until_given_up(patience, clock)
    assert clock.monotonic() - before_s >= 30


@given(st.lists(st.sampled_from(["success", "overload"]), max_size=200))
def test_the_limit_stays_between_one_and_the_maximum(responses: list[str]) -> None:
    limit = ConcurrencyLimit(ManualClock(), requests_max=32)
    for response in responses:
        before = limit.current
        limit.on_success() if response == "success" else limit.on_overload(0.0)
        assert 1 <= limit.current <= 32
        assert limit.current >= before if response == "success" else limit.current <= before
