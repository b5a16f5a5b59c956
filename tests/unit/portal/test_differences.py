"""What differs between two versions of an entity."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hansa.portal.providers.offers.elsewhere.differences import DIFFERENCES_MAX, VALUE_MAX_CHARS, differences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, value) == ()


@given(VALUES, VALUES)
def test_the_way_back_has_the_same_places_the_other_way_around(before: Any, after: Any) -> None:
    forth = {(one.path, one.before, one.after) for one in differences(before, after)}
    assert {(one.path, one.after, one.before) for one in differences(after, before)} == forth


@given(VALUES, VALUES)
def test_what_is_not_the_same_differs_somewhere(before: Any, after: Any) -> None:
    assert bool(differences(before, after)) is (repr(before) != repr(after)) or before == after


def test_an_element_with_an_identifier_is_compared_with_its_own_wherever_it_stands() -> None:
    before = {"price": [{"id": "a", "value": 1}, {"id": "b", "value": 2}]}
    after = {"price": [{"id": "b", "value": 3}, {"id": "a", "value": 1}]}
    (only,) = differences(before, after)
    assert (only.path, only.kind, only.before, only.after) == ("price[b].value", "changed", "2", "3")


def test_much_that_differs_is_cut() -> None:
    many = differences({}, {str(number): "x" * 1000 for number in range(1000)})
    assert len(many) == DIFFERENCES_MAX
    assert len(many[0].after) == VALUE_MAX_CHARS + 1


def test_a_value_that_is_deep_is_compared_as_a_whole() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    (only,) = differences([deep], [[deep]])
    assert only.kind == "changed"
