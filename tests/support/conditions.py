"""Waiting for what a test expects, without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from hansa.core.clock import SystemClock

LOOP_TURNS_MAX = 20_000
WAIT_MAX_S = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks run until the condition holds; fails when it does not within very many turns."""
    for _ in _loop_turns():
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what the test waits for did not happen")


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """The same for a condition that has to be asked for, as over HTTP."""
    for _ in _loop_turns():
        if await condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what the test waits for did not happen")


def _loop_turns() -> Iterator[None]:
    """Very many turns, and for some time: what threads do takes its time, however fast the loop turns."""
    clock = SystemClock()
    deadline_s = clock.monotonic() + WAIT_MAX_S
    turn = 0
    while turn < LOOP_TURNS_MAX or clock.monotonic() < deadline_s:
        turn += 1
        yield
