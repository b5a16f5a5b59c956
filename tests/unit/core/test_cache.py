"""A cache: never more than there is room for, and always the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.cache import Cache, CacheFigures

SIZE_MAX, VALUE_MAX = 20, 8
steps = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.none() | st.binary(min_size=1, max_size=10)), max_size=30
)


@given(steps)
def test_the_newest_values_stay_as_far_as_there_is_room(taken: list[tuple[str, bytes | None]]) -> None:
    evicted: list[bytes] = []
    cache: Cache[str, bytes] = Cache("few", SIZE_MAX, VALUE_MAX, len, evicted.append)
    expected: dict[str, bytes] = {}
    put: list[bytes] = []
    for key, value in taken:
        expected.pop(key, None)
        if value is None:
            cache.discard(key)
        else:
            cache.put(key, value)
            if len(value) <= VALUE_MAX:
                expected[key] = value
                put.append(value)
        while sum(map(len, expected.values())) > SIZE_MAX:
            del expected[next(iter(expected))]
        assert {name: cache.get(name) for name in "abcdef"} == {name: expected.get(name) for name in "abcdef"}
        assert cache.figures.size == sum(map(len, expected.values()))
    assert sorted([*evicted, *expected.values()]) == sorted(put)


def test_without_sizes_a_cache_is_bounded_by_the_number_of_its_values() -> None:
    cache: Cache[int, str] = Cache("few", 2)
    for number in range(5):
        cache.put(number, str(number))
    assert [cache.get(number) for number in range(5)] == [None, None, None, "3", "4"]
    assert cache.figures == CacheFigures("few", hits=2, misses=3, entries=2, size=2)
    cache.clear()
    assert len(cache) == 0


def test_what_brings_it_up_to_date_is_neither_hit_nor_miss_and_what_is_out_of_date_is_a_miss() -> None:
    cache: Cache[int, str] = Cache("few", 3)
    cache.put(1, "old")
    cache.put(2, "new")
    assert (cache.peek(1), cache.peek(3)) == ("old", None)
    assert cache.get_many([2, 3]) == ["new", None]
    assert cache.get(1) == "old"
    cache.reject(1)
    assert cache.peek(1) is None
    assert cache.figures == CacheFigures("few", hits=1, misses=2, entries=1, size=1)
