"""Waiting for what a test expects, without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

TURNS_MAX = 20_000


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks run until the condition holds; fails when it does not within very many turns."""
    for _ in range(TURNS_MAX):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what the test waits for did not happen")


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """The same for a condition that has to be asked for, as over HTTP."""
    for _ in range(TURNS_MAX):
        if await condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what the test waits for did not happen")
