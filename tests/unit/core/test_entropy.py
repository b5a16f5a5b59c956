"""Buffered entropy: every byte of the source at most once, in any sizes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.entropy import BufferedEntropy


def numbered() -> Iterator[bytes]:
    """Pieces of four bytes, all different."""
    return (number.to_bytes(4, "big") for number in count())


@given(st.lists(st.integers(0, 12), max_size=60))
def test_nothing_is_handed_out_twice_and_sizes_are_right(words: list[int]) -> None:
    numbers = numbered()
    entropy = BufferedEntropy(
        lambda size: b"".join(next(numbers) for _ in range(size // 4)), fetched_bytes=32
    )
    taken = [entropy(4 * size) for size in words]
    assert [len(one) for one in taken] == [4 * size for size in words]
    whole = b"".join(taken)
    draws = [whole[at : at + 4] for at in range(0, len(whole), 4)]
    assert len(set(draws)) == len(draws)
