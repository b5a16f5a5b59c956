"""Others get to run between values that are worked on one after the other."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.yielding import TURN_MAX_BYTES, Yielding


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
