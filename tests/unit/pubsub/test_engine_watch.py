"""An engine that runs but makes no progress is restarted. A small program takes its place."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock, SystemClock
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.engine import ChildSpec, EngineProgress, EngineWatch, Supervised
from tests.support.conditions import until

STALL_S = 30.0
HEARTBEAT_S = 60.0
HEIGHTS = st.lists(st.integers(0, 1000), min_size=1, max_size=30)


def at(
    height: int, *peer_heights: int, step: str = "8/0/1", waiting: int = 0, validators: int = 0
) -> EngineProgress:
    """Progress of an engine and its peers."""
    return EngineProgress(height, step, waiting, peer_heights, validators)


class Application:
    """The process of the engine's application, as far as the watch looks at it."""

    def __init__(self) -> None:
        self.used_s: float | None = 0.0

    @property
    def cpu_s(self) -> float | None:
        """Processor time that it has used."""
        return self.used_s

    def work(self, seconds: float) -> None:
        """Use the processor."""
        assert self.used_s is not None
        self.used_s += seconds


class ReportedProgress:
    """The progress that the engine reports; None: it does not answer."""

    def __init__(self) -> None:
        self.now: EngineProgress | None = at(7, 7, 7, 7)
        self.queries = 0

    async def progress(self) -> EngineProgress:
        """The answer of the engine."""
        self.queries += 1
        if self.now is None:
            raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")
        return self.now


class Watched:
    """An engine, the progress that it reports, and the clock of its watch."""

    def __init__(self, engine: Supervised) -> None:
        self.engine = engine
        self.clock = ManualClock()
        self.reported = ReportedProgress()
        self.application = Application()
        self.watch = EngineWatch(
            engine,
            self.application,
            self.reported.progress,
            STALL_S,
            lambda: HEARTBEAT_S,
            self.clock,
            structlog.get_logger(),
        )

    async def for_s(self, seconds: float) -> None:
        """Advance the clock of the watch."""
        await until(lambda: self.clock.sleepers)
        await self.clock.advance(seconds)

    async def check_starts(self, starts: int) -> None:
        """Wait until the engine has been started so often, and no more."""
        await until(lambda: self.engine.pid is not None and self.engine.starts >= starts)
        assert self.engine.starts == starts


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """An engine that runs and is watched."""
    spec = ChildSpec(
        name="cometbft",
        argv=(sys.executable, "-c", "import time; time.sleep(600)"),
        folder=tmp_path,
        environment=dict(os.environ),
        restart_backoff_min_s=0.01,
        restart_backoff_max_s=0.01,
    )
    engine = Supervised(spec, SystemClock(), structlog.get_logger(), lambda _: None)
    await engine.start()
    made = Watched(engine)
    watching = asyncio.create_task(made.watch.run())
    yield made
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await engine.stop()


async def test_an_engine_that_lacks_blocks_and_gets_none_is_started_again(watched: Watched) -> None:
    watched.reported.now = at(7, 9, 9, 9)
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)


async def test_an_engine_that_gets_blocks_is_left_alone_however_far_behind(watched: Watched) -> None:
    for height in range(20):
        watched.reported.now = at(height, 900, 900, 900)
        await watched.for_s(STALL_S - 6)
    assert watched.reported.queries > 20
    await watched.check_starts(1)


async def test_an_engine_is_left_alone_while_the_whole_league_stands(watched: Watched) -> None:
    await watched.for_s(100 * STALL_S)
    assert watched.reported.queries > 100
    await watched.check_starts(1)


async def test_an_engine_without_peers_is_left_alone(watched: Watched) -> None:
    watched.reported.now = at(7)
    await watched.for_s(100 * STALL_S)
    await watched.check_starts(1)


async def test_an_engine_that_takes_steps_is_left_alone(watched: Watched) -> None:
    for round_number in range(20):
        watched.reported.now = at(7, 9, 9, 9, step=f"8/{round_number}/4", waiting=3)
        await watched.for_s(STALL_S - 6)
    await watched.check_starts(1)


async def test_an_engine_whose_transactions_wait_is_started_again_later(watched: Watched) -> None:
    watched.reported.now = at(7, 7, 7, 7, waiting=1)
    await watched.for_s(1.9 * STALL_S)
    await watched.check_starts(1)
    await watched.for_s(0.5 * STALL_S)
    await watched.check_starts(2)


async def test_an_engine_that_falls_silent_is_started_again(watched: Watched) -> None:
    await watched.for_s(STALL_S)
    watched.reported.now = None
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)


async def test_an_engine_that_falls_silent_a_second_after_its_start_is_started_again(
    watched: Watched,
) -> None:
    await watched.for_s(1.0)
    watched.reported.now = None
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)


async def test_an_engine_may_take_its_time_before_its_first_answer(watched: Watched) -> None:
    watched.reported.now = None
    await watched.for_s(100 * STALL_S)
    assert watched.reported.queries > 100
    await watched.check_starts(1)


async def test_attempts_that_do_not_help_come_at_growing_distances(watched: Watched) -> None:
    watched.reported.now = at(7, 9, 9, 9)
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)
    await watched.for_s(1.5 * STALL_S)
    await watched.check_starts(2)
    await watched.for_s(1.5 * STALL_S)
    await watched.check_starts(3)


async def test_when_it_has_caught_up_patience_is_as_at_the_beginning(watched: Watched) -> None:
    watched.reported.now = at(7, 9, 9, 9)
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)
    await watched.for_s(10)
    watched.reported.now = at(9, 9, 9, 9)
    await watched.for_s(10)
    watched.reported.now = at(9, 11, 11, 11)
    await watched.for_s(10)
    await watched.for_s(1.2 * STALL_S)
    await watched.check_starts(3)


async def test_a_busy_application_gets_more_time_and_not_all_the_time(watched: Watched) -> None:
    """Blocks are executed on a busy machine; or strangers keep the application busy."""
    watched.reported.now = at(7, 9, 9, 9)
    for _ in range(8):
        watched.application.work(STALL_S / 4)
        await watched.for_s(STALL_S / 2)
    await watched.check_starts(1)
    for _ in range(4):
        watched.application.work(STALL_S / 4)
        await watched.for_s(STALL_S / 2)
    await watched.check_starts(2)


async def test_an_application_without_known_processor_time_counts_as_idle(watched: Watched) -> None:
    watched.application.used_s = None
    watched.reported.now = at(7, 9, 9, 9)
    await watched.for_s(2 * STALL_S)
    await watched.check_starts(2)


async def test_a_silent_engine_is_left_alone_while_its_application_executes_blocks(watched: Watched) -> None:
    await watched.for_s(STALL_S)
    watched.reported.now = None
    for _ in range(6):
        watched.application.work(STALL_S / 10)
        await watched.for_s(STALL_S / 2)
    await watched.check_starts(1)
    watched.reported.now = at(8, 8, 8, 8)
    await watched.for_s(100 * STALL_S)
    await watched.check_starts(1)


async def test_an_engine_that_misses_heartbeats_beside_a_quorum_is_started_again(watched: Watched) -> None:
    watched.reported.now = at(7, 7, 7, 7, validators=4)
    await watched.for_s(3 * HEARTBEAT_S + 0.5 * STALL_S)
    await watched.check_starts(1)
    await watched.for_s(STALL_S)
    await watched.check_starts(2)


async def test_heartbeats_without_a_quorum_are_not_expected(watched: Watched) -> None:
    watched.reported.now = at(7, 7, validators=4)
    await watched.for_s(100 * HEARTBEAT_S)
    await watched.check_starts(1)


async def test_a_transaction_after_a_long_silence_gets_its_whole_time(watched: Watched) -> None:
    watched.reported.now = at(7, 7, 7, 7, validators=4)
    await watched.for_s(3 * HEARTBEAT_S)
    watched.reported.now = at(7, 7, 7, 7, validators=4, waiting=1)
    await watched.for_s(1.9 * STALL_S)
    await watched.check_starts(1)


async def test_half_of_the_peers_cannot_have_an_engine_killed_by_lying(watched: Watched) -> None:
    for beat in range(100):
        watched.reported.now = at(beat, beat, beat, 10**9, 10**9, step=f"{beat + 1}/0/1", validators=5)
        await watched.for_s(HEARTBEAT_S)
    await watched.check_starts(1)


async def test_peers_that_lie_together_have_it_killed_ever_more_rarely(watched: Watched) -> None:
    """Also when it gets a block at every heartbeat meanwhile."""
    for beat in range(200):
        watched.reported.now = at(beat, 10**9, 10**9, 10**9, step=f"{beat + 1}/0/1", validators=4)
        await watched.for_s(HEARTBEAT_S)
    await until(lambda: watched.engine.pid is not None)
    assert watched.engine.starts <= 3


@given(HEIGHTS, st.integers(0, 1000))
def test_half_of_the_peers_cannot_make_an_engine_look_behind(honest: list[int], own: int) -> None:
    liars = (10**9,) * len(honest)
    assert at(max(own, *honest), *honest, *liars).is_behind is False


@given(HEIGHTS, st.integers(0, 1000))
def test_an_engine_is_behind_when_more_than_half_of_its_peers_are_ahead(heights: list[int], own: int) -> None:
    assert at(own, *heights).is_behind is (own < sorted(heights)[(len(heights) - 1) // 2])
