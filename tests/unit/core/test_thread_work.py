"""Work in threads that is refused."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator

import pytest

from hansa.core.errors import Code, Refused
from hansa.core.measured_work import MeasuredWork
from hansa.core.thread_work import SMALL_MAX_BYTES, LargeWork, run_refusable


class Value:
    """Something large."""


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("size_bytes", [1, SMALL_MAX_BYTES + 1])
async def test_what_was_refused_is_freed_at_once(size_bytes: int) -> None:
    alive: list[weakref.ref[Value]] = []

    def refuse() -> None:
        value = Value()
        alive.append(weakref.ref(value))
        raise Refused(Code.INVALID, "It is too large.")

    with pytest.raises(Refused, match="too large"):
        await LargeWork().run(size_bytes, refuse)
    with pytest.raises(Refused):
        await run_refusable(None, refuse)
    assert [reference() for reference in alive] == [None, None]


@pytest.mark.parametrize("is_refused", [False, True])
async def test_whoever_needs_work_in_a_thread_is_charged_for_it(*, is_refused: bool) -> None:
    def work() -> int:
        total = sum(range(200_000))
        if is_refused:
            raise Refused(Code.INVALID, "It is too large.")
        return total

    async def needed() -> None:
        with contextlib.suppress(Refused):
            await LargeWork().run(SMALL_MAX_BYTES + 1, work)

    measured = MeasuredWork(needed(), lambda: 0.0)
    await measured
    assert measured.seconds > 0.0, "on the loop no time has passed"
