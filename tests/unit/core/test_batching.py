"""When a batch that is filling is ready."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.batching import BATCH_SIZE_MAX, BatchGrowth


def test_a_batch_waits_as_long_as_every_turn_adds_to_it() -> None:
    growth = BatchGrowth()
    assert [growth.is_growing(size) for size in (1, 3, 4, 4)] == [True, True, True, False]


def test_a_batch_that_began_with_its_first_member_is_ready_when_nobody_joins() -> None:
    growth = BatchGrowth()
    growth.restart(1)
    assert not growth.is_growing(1)


def test_a_batch_that_is_full_is_ready_although_it_grows() -> None:
    growth = BatchGrowth()
    growth.restart(BATCH_SIZE_MAX - 1)
    assert not growth.is_growing(BATCH_SIZE_MAX)


@given(st.lists(st.integers(0, 40), min_size=1), st.integers(1, 40))
def test_a_batch_waits_for_no_more_turns_than_it_has_room(added: list[int], size_max: int) -> None:
    growth, size, waits = BatchGrowth(size_max), 0, 0
    for count in added:
        size += count
        if not growth.is_growing(size):
            break
        waits += 1
    assert waits < size_max
