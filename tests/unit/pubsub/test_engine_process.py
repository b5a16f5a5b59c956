"""Keeping a child process running. The children are real.

Time is a manual clock where pauses are at stake.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from hansa.core.clock import Clock, ManualClock, SystemClock
from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.engine import ChildSpec, ChildState, Exit, Supervised
from hansa.pubsub.engine.process import LINE_SIZE_MAX_BYTES

FOREVER = "echo ready; exec sleep 600"
STUBBORN = "trap '' TERM; sleep 600 & echo $!; wait; wait"

Start = Callable[..., Awaitable[Supervised]]


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition; the time limit of every test bounds it."""
    while not condition():
        await SystemClock().sleep(0.005)


async def pause_through(clock: ManualClock, supervised: Supervised, condition: Callable[[], Any]) -> None:
    """Let time pass while the child is backing off, and only then, until a condition holds."""
    while not condition():
        if supervised.state is ChildState.BACKING_OFF and clock.sleepers:
            await clock.advance(0.05)
        await SystemClock().sleep(0.001)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
async def child(tmp_path: Path, lines: list[str]) -> AsyncIterator[Callable[..., Supervised]]:
    """Makes supervised shell scripts and stops them after the test."""
    made: list[Supervised] = []
    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])

    def make(
        script: str,
        clock: Clock | None = None,
        *,
        before_start: Callable[[], Awaitable[None]] | None = None,
        on_exit: Callable[[Exit], None] | None = None,
        **spec: Any,
    ) -> Supervised:
        settings: dict[str, Any] = {
            "name": "child",
            "argv": ("/bin/sh", "-c", script),
            "folder": tmp_path,
            "environment": {"PATH": os.environ["PATH"]},
        }
        supervised = Supervised(
            ChildSpec(**(settings | spec)),
            clock or SystemClock(),
            logger,
            lines.append,
            before_start=before_start,
            on_exit=on_exit,
        )
        made.append(supervised)
        return supervised

    yield make
    for each in made:
        each._clock = SystemClock()
        await each.stop()


async def test_a_killed_child_is_started_again(child: Callable[..., Supervised], lines: list[str]) -> None:
    exits: list[Exit] = []
    supervised = child(FOREVER, on_exit=exits.append, restart_backoff_min_s=0.01)
    await supervised.start()
    first = supervised.pid
    assert first is not None
    await until(lambda: lines)
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervised.starts == 2 and len(lines) == 2)
    assert supervised.pid not in {None, first}
    assert [(each.status, each.is_requested) for each in exits] == [(-signal.SIGKILL, False)]
    assert lines == ["ready", "ready"]


async def test_a_child_with_a_final_status_is_not_started_again(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    supervised = child("echo why; exit 18", restart_backoff_min_s=0.01, final_statuses=frozenset({18}))
    await supervised.start()
    with pytest.raises(Fatal, match="status 18"):
        await supervised.wait_until_ended()
    assert supervised.starts == 1
    assert supervised.state is ChildState.FAILED
    assert lines == ["why"]


async def test_a_stopped_child_stays_stopped(child: Callable[..., Supervised]) -> None:
    supervised = child(FOREVER)
    await supervised.start()
    pid = supervised.pid
    assert pid is not None
    await supervised.stop()
    assert supervised.state is ChildState.STOPPED
    assert supervised.pid is None
    assert not is_alive(pid)
    assert supervised.last_exit is not None
    assert supervised.last_exit.is_requested
    await supervised.stop()


async def test_a_child_can_be_started_again(child: Callable[..., Supervised]) -> None:
    supervised = child(FOREVER)
    await supervised.start()
    first = supervised.pid
    await supervised.stop()
    await supervised.start()
    assert supervised.state is ChildState.RUNNING
    assert supervised.pid != first


async def test_a_stubborn_child_is_killed_with_all_it_started(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    clock = ManualClock()
    supervised = child(STUBBORN, clock, stop_timeout_s=5.0)
    await supervised.start()
    await until(lambda: lines)
    pid = supervised.pid
    assert pid is not None
    stopping = asyncio.create_task(supervised.stop())
    await until(lambda: clock.sleepers)
    await clock.advance(4.9)
    assert is_alive(pid)
    await clock.advance(0.2)
    await stopping
    assert supervised.last_exit is not None
    assert supervised.last_exit.status == -signal.SIGKILL
    await until(lambda: not is_alive(int(lines[0])))


async def test_pauses_double_up_to_their_limit(child: Callable[..., Supervised]) -> None:
    clock = ManualClock()
    times_s: list[float] = []

    async def note() -> None:
        times_s.append(clock.monotonic())

    supervised = child(
        "exit 3", clock, before_start=note, restart_backoff_min_s=1.0, restart_backoff_max_s=4.0
    )
    await supervised.start()
    await pause_through(clock, supervised, lambda: len(times_s) == 6)
    pauses_s = [after - before for before, after in pairwise(times_s)]
    assert [round(pause_s) for pause_s in pauses_s] == [1, 2, 4, 4, 4]


async def test_a_child_that_ran_well_is_restarted_at_once(child: Callable[..., Supervised]) -> None:
    clock = ManualClock()
    supervised = child(
        FOREVER, clock, restart_backoff_min_s=0.5, restart_backoff_max_s=64.0, stable_after_s=10.0
    )
    await supervised.start()
    for _ in range(4):
        await clock.advance(11.0)
        pid = supervised.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: supervised.state is ChildState.BACKING_OFF and clock.sleepers)
        await clock.advance(0.5)
        await until(lambda: supervised.state is ChildState.RUNNING)
    assert supervised.starts == 5


async def test_a_child_that_never_runs_is_given_up_with_its_last_words(
    child: Callable[..., Supervised],
) -> None:
    supervised = child("echo no space left; exit 7", restart_backoff_min_s=0.001, failures_max=3)
    await supervised.start()
    with pytest.raises(Fatal, match=r"status 7, 3 times(.|\n)*no space left") as raised:
        await supervised.wait_until_ended()
    assert raised.value.code is Code.ENGINE_FAILED
    assert (supervised.state, supervised.starts) == (ChildState.FAILED, 3)


async def test_what_cannot_be_executed_is_named(child: Callable[..., Supervised]) -> None:
    supervised = child("", argv=("/nonexistent/cometbft",))
    with pytest.raises(Fatal, match="/nonexistent/cometbft") as raised:
        await supervised.start()
    assert raised.value.code is Code.ENGINE_FAILED
    assert supervised.state is ChildState.STOPPED


async def test_a_failing_preparation_is_repeated(child: Callable[..., Supervised]) -> None:
    outcomes = iter([None, Refused(Code.UNAVAILABLE, "not yet"), Refused(Code.UNAVAILABLE, "not yet"), None])

    async def prepare() -> None:
        if (outcome := next(outcomes)) is not None:
            raise outcome

    supervised = child(FOREVER, before_start=prepare, restart_backoff_min_s=0.001)
    await supervised.start()
    assert supervised.pid is not None
    os.kill(supervised.pid, signal.SIGKILL)
    await until(lambda: supervised.starts == 2)


async def test_a_first_start_tells_why_it_failed(child: Callable[..., Supervised]) -> None:
    async def prepare() -> None:
        raise Refused(Code.UNAVAILABLE, "the application is not there")

    with pytest.raises(Refused, match="application"):
        await child(FOREVER, before_start=prepare).start()


async def test_a_stop_does_not_wait_for_a_pause_or_a_preparation(child: Callable[..., Supervised]) -> None:
    clock = ManualClock()
    pausing = child("exit 1", clock, restart_backoff_min_s=1000.0, restart_backoff_max_s=1000.0)
    await pausing.start()
    await until(lambda: pausing.state is ChildState.BACKING_OFF)
    await pausing.stop()
    assert pausing.state is ChildState.STOPPED

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    preparing = child(FOREVER, before_start=never)
    starting = asyncio.create_task(preparing.start())
    await asyncio.sleep(0)
    await preparing.stop()
    await starting
    assert (preparing.state, preparing.starts) == (ChildState.STOPPED, 0)


async def test_output_arrives_by_lines_whatever_its_form(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    long = LINE_SIZE_MAX_BYTES * 3
    script = (
        f"import os; os.write(1, b'a\\r\\n\\xff\\n' + b'x' * {long} + b'\\nafter\\n'); os.write(2, b'error\\n');"
        "os.write(1, b'no end')"
    )
    supervised = child("", argv=(sys.executable, "-c", script), failures_max=1)
    await supervised.start()
    with pytest.raises(Fatal):
        await supervised.wait_until_ended()
    assert lines == ["a", "\N{REPLACEMENT CHARACTER}", "x" * LINE_SIZE_MAX_BYTES, "after", "error", "no end"]
    assert supervised.last_lines[-1] == "no end"


async def test_a_child_does_not_inherit_the_environment(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    supervised = child("", argv=("/usr/bin/env",), environment={"ONLY": "this"}, failures_max=1)
    await supervised.start()
    with pytest.raises(Fatal):
        await supervised.wait_until_ended()
    assert lines == ["ONLY=this"]


async def test_a_descendant_that_keeps_the_pipe_does_not_hold_up_a_stop(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    escape = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    supervised = child(f'"{sys.executable}" -c "{escape}" & exec sleep 600')
    await supervised.start()
    await until(lambda: lines)
    try:
        await supervised.stop()
        assert supervised.state is ChildState.STOPPED
    finally:
        os.kill(int(lines[0]), signal.SIGKILL)


async def test_a_child_that_was_killed_does_not_run_though_its_output_is_still_open(
    child: Callable[..., Supervised], lines: list[str]
) -> None:
    escape = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    supervised = child(f'"{sys.executable}" -c "{escape}" & exec sleep 600', clock=ManualClock())
    await supervised.start()
    await until(lambda: lines)
    try:
        supervised.kill()
        await until(lambda: supervised.state is not ChildState.RUNNING)
        assert (supervised.state, supervised.pid) == (ChildState.ENDING, None)
    finally:
        os.kill(int(lines[0]), signal.SIGKILL)


PARENT = """
import asyncio, os, sys
from pathlib import Path
import structlog.testing
from hansa.core.clock import SystemClock
from hansa.pubsub.engine import ChildSpec, Supervised

async def main():
    spec = ChildSpec(name="c", argv=("/bin/sh", "-c", "trap '' TERM; sleep 600"), folder=Path("."),
                     environment={"PATH": os.environ["PATH"]})
    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    child = Supervised(spec, SystemClock(), logger, print)
    await child.start()
    print(child.pid, flush=True)
    await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
async def test_a_child_dies_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.communicate()
    await until(lambda: not is_alive(pid))
