"""Pauses between attempts: doubling, bounded, jittered."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.backoff import DOUBLINGS_MAX, Backoff, backoff_s
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.retry import Retry

failures = st.integers(1, 10_000)
seconds = st.floats(0.001, 1000)
four_bytes = st.binary(min_size=4, max_size=4)


def test_a_plain_pause_doubles_up_to_its_longest() -> None:
    assert [backoff_s(count, 0.5, 3.0) for count in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_no_pause_is_longer_than_its_longest_not_even_the_first() -> None:
    assert backoff_s(1, 0.5, 0.1) == 0.1
    assert Backoff(0.5, 0.1).next_s(at_least_s=7.0) == 0.1


def test_a_pause_stays_finite_after_any_number_of_failures() -> None:
    assert backoff_s(10**9, 0.001, 1e300) == 0.001 * 2**DOUBLINGS_MAX


@given(failures, seconds, seconds, four_bytes)
def test_jitter_takes_away_half_of_a_pause_at_most(
    count: int, min_s: float, more_s: float, draw: bytes
) -> None:
    plain_s = backoff_s(count, min_s, min_s + more_s)
    assert plain_s / 2 <= backoff_s(count, min_s, min_s + more_s, lambda _: draw) <= plain_s


@given(failures, seconds, seconds)
def test_no_pause_is_shorter_than_the_one_before(count: int, min_s: float, more_s: float) -> None:
    before_s, after_s = (backoff_s(n, min_s, min_s + more_s) for n in (count, count + 1))
    assert min_s <= before_s <= after_s <= min_s + more_s


def test_a_backoff_counts_failures_and_begins_anew_after_a_success() -> None:
    backoff = Backoff(1.0, 4.0)
    assert [backoff.next_s() for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    assert backoff.failures == 4
    backoff.reset()
    assert (backoff.failures, backoff.next_s()) == (0, 1.0)


def test_a_backoff_waits_as_long_as_the_other_side_asks_for_but_no_longer_than_its_longest() -> None:
    backoff = Backoff(1.0, 10.0)
    assert [backoff.next_s(at_least_s) for at_least_s in (5.0, 0.1, 60.0)] == [5.0, 2.0, 10.0]


def test_a_backoff_draws_its_jitter_from_its_source() -> None:
    draws = iter((b"\0\0\0\0", b"\xff\xff\xff\xff"))
    backoff = Backoff(1.0, 4.0, lambda _: next(draws))
    assert [backoff.next_s(), backoff.next_s()] == [0.5, 2.0]


async def test_a_step_is_repeated_until_it_is_let_through() -> None:
    clock, outcomes = ManualClock(), [Unavailable(Code.UNAVAILABLE, "Not now.", 0.0)] * 2

    async def step() -> str:
        if outcomes:
            raise outcomes.pop()
        return "done"

    retry = Retry("sample", clock, lambda _: b"\xff\xff\xff\xff", 1.0, 8.0)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(retry(step))
        await asyncio.sleep(0)
        await clock.advance(1.0)
        assert not running.done()
        await clock.advance(2.0)
        assert await running == "done"
    assert [(entry["event"], entry["part"], entry["pause_s"]) for entry in logs] == [
        ("step_retried", "sample", 1.0),
        ("step_retried", "sample", 2.0),
    ]


async def test_what_is_refused_is_not_repeated() -> None:
    async def step() -> None:
        raise Refused(Code.INVALID, "Never.")

    with pytest.raises(Refused):
        await Retry("sample", ManualClock(), bytes, 1.0, 8.0)(step)
