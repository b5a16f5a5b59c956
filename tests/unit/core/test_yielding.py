"""Others get to run between values that are worked on one after the other."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.yielding import TURN_MAX_BYTES, Pacer, Yielding


async def test_others_run_after_a_large_value() -> None:
    ran: list[str] = []
    other = asyncio.create_task(_note(ran))
    yielding = Yielding()
    await yielding.after(TURN_MAX_BYTES - 1)
    assert ran == []
    await yielding.after(1)
    assert ran == ["other"]
    await other


@given(sizes=st.lists(st.integers(0, 3 * TURN_MAX_BYTES), max_size=20))
def test_no_more_than_a_turn_is_worked_on_between_pauses(sizes: list[int]) -> None:
    async def work() -> None:
        yielding, since = Yielding(), 0
        for size in sizes:
            before = yielding.pauses
            since += size
            await yielding.after(size)
            if yielding.pauses > before:
                since = 0
            assert since < TURN_MAX_BYTES

    asyncio.run(work())


async def _note(ran: list[str]) -> None:
    ran.append("other")


class Waiters:
    """Some who are paced at the same time; in which iteration of the event loop each was admitted."""

    def __init__(self, count: int) -> None:
        self.iteration = 0
        self.admitted: list[tuple[int, int]] = []
        self._pacer = Pacer()
        self.tasks = [asyncio.create_task(self._wait(number)) for number in range(count)]

    async def _wait(self, number: int) -> None:
        await self._pacer.admit()
        self.admitted.append((number, self.iteration))

    async def iterate(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            self.iteration += 1


async def test_who_come_together_are_admitted_in_order_one_in_an_iteration() -> None:
    waiters = Waiters(5)
    await waiters.iterate(20)
    assert [number for number, _ in waiters.admitted] == [0, 1, 2, 3, 4]
    assert len({iteration for _, iteration in waiters.admitted}) == 5


@pytest.mark.parametrize("leavers", [(1,), (1, 2), (4,), (1, 2, 3, 4)])
async def test_whoever_has_left_holds_nobody_up(leavers: tuple[int, ...]) -> None:
    waiters = Waiters(5)
    await waiters.iterate(1)
    for leaver in leavers:
        waiters.tasks[leaver].cancel()
    await waiters.iterate(20)
    assert [number for number, _ in waiters.admitted] == [n for n in range(5) if n not in leavers]


async def test_after_a_rest_whoever_comes_is_admitted_at_once() -> None:
    pacer = Pacer()
    await pacer.admit()
    for _ in range(3):
        await asyncio.sleep(0)
    waiting = pacer.admit()
    with pytest.raises(StopIteration):
        waiting.send(None)
