from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.node.tasks import BackgroundTasks


class Runs:
    """A task that fails as often as it is told to, and then runs on."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.starts = 0

    async def run(self) -> None:
        self.starts += 1
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
            return
        await asyncio.Event().wait()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def tasks(clock: ManualClock) -> AsyncIterator[BackgroundTasks]:
    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    made = BackgroundTasks(clock, logger, backoff_max_s=1.0)
    yield made
    await made.stop()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_task_that_runs_is_shown_as_running(tasks: BackgroundTasks) -> None:
    tasks.add("steady", Runs().run)
    assert not tasks.states[0].is_running
    tasks.start()
    await settle()
    assert tasks.states[0].is_running


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (ValueError("inner detail"), "ValueError"),
        (Unavailable(Code.UNAVAILABLE, "Not now."), "unavailable: Not now."),
        (None, "ended by itself"),
    ],
)
async def test_a_task_that_ends_is_started_again_after_a_pause(
    tasks: BackgroundTasks, clock: ManualClock, failure: Exception | None, problem: str
) -> None:
    runs = Runs(failure)
    tasks.add("frail", runs.run)
    tasks.start()
    await settle()
    assert (tasks.states[0].is_running, tasks.states[0].problem, runs.starts) == (False, problem, 1)
    await clock.advance(0.2)
    await settle()
    state = tasks.states[0]
    assert (state.is_running, state.restarts, runs.starts) == (True, 1, 2)
    assert state.problem == problem


async def test_the_pause_doubles_up_to_its_limit(tasks: BackgroundTasks, clock: ManualClock) -> None:
    runs = Runs(*[ValueError()] * 6)
    tasks.add("broken", runs.run)
    tasks.start()
    await settle()
    for pause_s in (0.2, 0.4, 0.8, 1.0, 1.0):
        before = runs.starts
        await clock.advance(0.8 * pause_s)
        await settle()
        assert runs.starts == before
        await clock.advance(0.25 * pause_s)
        await settle()
        assert runs.starts == before + 1


async def test_stopping_cancels_what_runs(tasks: BackgroundTasks) -> None:
    was_cancelled = asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    tasks.add("steady", run)
    tasks.start()
    await settle()
    await tasks.stop()
    assert was_cancelled.is_set()
