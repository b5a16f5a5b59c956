"""Work in a thread that uses something which is somebody else's again only when the thread has ended it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


async def run_in_thread(threads: Executor, work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """What `work` returns, or raises, in one of the threads.

    Whoever is cancelled meanwhile is so only after the thread has noticed: until then it has what it works
    with.

    Args:
        threads: Where it runs.
        work: Blocking.
        cancel: Has `work` end soon; called from this thread.
    """
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # retrieved, so that asyncio does not complain of it
        raise
