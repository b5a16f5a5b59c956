"""So many at a time, so many waiting, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from hansa.core.admission import Admission
from hansa.core.errors import Unavailable


async def test_so_many_work_so_many_wait_and_the_others_are_refused() -> None:
    admission, begun, ready = Admission(2, 1, "Too many wait."), [], asyncio.Event()

    async def work() -> int:
        begun.append(1)
        await ready.wait()
        return len(begun)

    tasks = [asyncio.create_task(admission(work)) for _ in range(5)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(begun) == 2
    ready.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, Unavailable) for one in results] == [False] * 3 + [True] * 2
    assert done
    assert len(begun) == 3


async def test_a_place_is_free_again_after_a_failure_and_when_somebody_leaves() -> None:
    admission = Admission(1, 0, "Too many wait.")

    async def fail() -> None:
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError, match=r"^$"):
            await admission(fail)
    forever = asyncio.create_task(admission(asyncio.Event().wait))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="Too many"):
        await admission(fail)
    forever.cancel()
    await asyncio.gather(forever, return_exceptions=True)
    with pytest.raises(ValueError, match=r"^$"):
        await admission(fail)
