"""Work in threads that is refused."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from hansa.core.errors import Code, Refused
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
