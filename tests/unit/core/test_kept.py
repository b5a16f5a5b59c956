"""Values kept at hand: never more than there is room for, and always the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.kept import Kept

SIZE_MAX, VALUE_MAX = 20, 8
steps = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.none() | st.binary(min_size=1, max_size=10)), max_size=30
)


@given(steps)
def test_the_newest_values_are_kept_as_far_as_there_is_room(taken: list[tuple[str, bytes | None]]) -> None:
    gone: list[bytes] = []
    kept: Kept[str, bytes] = Kept(SIZE_MAX, VALUE_MAX, len, gone.append)
    expected: dict[str, bytes] = {}
    put: list[bytes] = []
    for key, value in taken:
        expected.pop(key, None)
        if value is None:
            kept.forget(key)
        else:
            kept.keep(key, value)
            if len(value) <= VALUE_MAX:
                expected[key] = value
                put.append(value)
        while sum(map(len, expected.values())) > SIZE_MAX:
            del expected[next(iter(expected))]
        assert {name: kept.get(name) for name in "abcdef"} == {name: expected.get(name) for name in "abcdef"}
    assert sorted([*gone, *expected.values()]) == sorted(put)
