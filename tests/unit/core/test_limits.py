"""How the caches of a catalogue share their memory."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.limits import CacheSizes, Limits


@given(st.integers(27, 1 << 40))
def test_the_caches_together_have_what_was_allowed(total_bytes: int) -> None:
    sizes = msgspec.structs.astuple(CacheSizes.of(total_bytes))
    assert total_bytes - 27 < sum(sizes) <= total_bytes
    assert min(sizes) > 0


@given(st.integers(1, 26))
def test_each_cache_has_some_room_however_little_was_allowed(total_bytes: int) -> None:
    assert min(msgspec.structs.astuple(CacheSizes.of(total_bytes))) > 0
    assert Limits(cache_max_bytes=total_bytes).caches == CacheSizes.of(total_bytes)
