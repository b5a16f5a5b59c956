"""The processes of a demo: one that dies is started again, one that others serve is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hansa.cli.demo import members as demo_members
from hansa.cli.demo.members import DemoMember, DemoProcesses, ending
from hansa.core.clock import SystemClock

CLOCK = SystemClock()


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoMember:
    """A member whose `hansa serve` writes a line and waits."""
    script = tmp_path / "serve"
    script.write_text(f"#!{sys.executable}\nimport time\nprint('started', flush=True)\ntime.sleep(600)\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(demo_members, "RESTART_BACKOFF_MIN_S", 0.01)
    monkeypatch.setattr(demo_members, "SERVED_POLL_S", 0.01)
    return DemoMember("lubeck", tmp_path, "http://127.0.0.1:1")


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await CLOCK.sleep(0.01)


def starts(member: DemoMember) -> int:
    return member.log.read_text().count("started") if member.log.exists() else 0


@asynccontextmanager
async def kept(member: DemoMember, said: list[str]) -> AsyncIterator[DemoProcesses]:
    processes = DemoProcesses([member], CLOCK)
    await processes.start()
    keeping = asyncio.create_task(processes.keep_running(said.append))
    try:
        await until(lambda: starts(member) == 1)
        yield processes
    finally:
        await processes.stop()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


def pid_of(processes: DemoProcesses) -> int:
    return processes._running["lubeck"].pid


async def test_a_killed_member_is_started_again_and_that_is_said(member: DemoMember) -> None:
    said: list[str] = []
    async with kept(member, said) as processes:
        os.kill(pid_of(processes), signal.SIGKILL)
        await until(lambda: starts(member) == 2)
        os.kill(pid_of(processes), signal.SIGTERM)
        await until(lambda: starts(member) == 3)
    assert [line.partition(";")[0] for line in said] == [
        "lubeck ended (killed by SIGKILL)",
        "lubeck ended (killed by SIGTERM)",
    ]
    assert all(str(member.log) in line for line in said)


async def test_a_member_that_is_served_by_somebody_else_is_left_alone_until_that_ends(
    member: DemoMember,
) -> None:
    said: list[str] = []
    async with kept(member, said) as processes:
        with (member.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.kill(pid_of(processes), signal.SIGKILL)
            await until(lambda: said)
            await CLOCK.sleep(0.1)
            assert starts(member) == 1
        await until(lambda: starts(member) == 2)


async def test_a_stop_starts_nothing_again(member: DemoMember) -> None:
    said: list[str] = []
    async with kept(member, said) as processes:
        await processes.stop()
    assert (said, starts(member)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(-9, "killed by SIGKILL"), (3, "exit status 3, settings-invalid"), (77, "exit status 77")],
)
def test_an_end_is_told_in_words(status: int, expected: str) -> None:
    assert ending(status) == expected
