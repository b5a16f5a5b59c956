"""Turns: one at a time, in the order of asking, whoever waits within one or is cancelled."""

from __future__ import annotations

import asyncio
import random

import pytest

from hansa.store.sqlite.commit.write_lock import WriteLock


class Watched:
    """Turns, and what happened."""

    def __init__(self, wake_max: int = 4) -> None:
        self.freed = 0
        self.lock = WriteLock(self._freed, lambda: wake_max)
        self.had: list[int] = []
        self.has_it = 0

    def _freed(self) -> None:
        self.freed += 1

    async def use(self, name: int, waits: int = 0) -> None:
        await self.lock.acquire()
        self.has_it += 1
        assert self.has_it == 1
        self.had.append(name)
        for _ in range(waits):
            await asyncio.sleep(0)
        self.has_it -= 1
        self.lock.release()


@pytest.mark.parametrize("seed", range(20))
async def test_everyone_gets_a_turn_in_the_order_of_asking(seed: int) -> None:
    draw = random.Random(seed)
    watched = Watched(draw.choice([1, 2, 4, 100]))
    async with asyncio.TaskGroup() as tasks:
        for name in range(50):
            tasks.create_task(watched.use(name, draw.choice([0, 0, 0, 1, 3])))
            for _ in range(draw.choice([0, 0, 0, 1, 5])):
                await asyncio.sleep(0)
    assert watched.had == list(range(50))
    assert len(watched.lock) == 0
    assert watched.freed > 0


@pytest.mark.parametrize("seed", range(20))
async def test_who_is_cancelled_while_waiting_or_called_holds_up_nobody(seed: int) -> None:
    draw = random.Random(seed)
    watched = Watched(draw.choice([1, 2, 4]))
    tasks = [asyncio.create_task(watched.use(name, draw.choice([0, 1, 2]))) for name in range(40)]
    given_up = set(draw.sample(range(1, 40), 15))
    for name in given_up:
        for _ in range(draw.choice([0, 0, 1])):
            await asyncio.sleep(0)
        if name not in watched.had:
            tasks[name].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = {name for name, result in enumerate(results) if isinstance(result, asyncio.CancelledError)}
    assert cancelled
    assert watched.had == [name for name in range(40) if name not in cancelled]
    assert len(watched.lock) == 0


async def test_those_who_wait_take_it_within_one_turn_of_the_loop() -> None:
    watched = Watched()
    await watched.lock.acquire()
    tasks = [asyncio.create_task(watched.use(name)) for name in range(4)]
    await asyncio.sleep(0)
    assert len(watched.lock) == 5
    watched.lock.release()
    assert watched.lock.has_woken
    await asyncio.sleep(0)
    assert watched.had == [0, 1, 2, 3]
    await asyncio.gather(*tasks)
