"""JSON of others, within bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.bounded_json import is_deeper_than, read_json, read_object
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

LIMITS = Limits(body_depth_max=4, array_length_max_items=3, string_length_max_chars=8)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    """The same by recursion."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@given(json_values, st.integers(0, 6))
def test_a_value_is_deeper_than_every_number_below_its_levels(value: Any, depth_max: int) -> None:
    assert is_deeper_than(value, depth_max) == (depth_of(value) > depth_max)


@given(json_values)
def test_a_value_within_the_limits_is_read_as_it_was_written(value: Any) -> None:
    raw = msgspec.json.encode(value)
    if depth_of(value) <= LIMITS.body_depth_max:
        assert read_json(raw, LIMITS) == value
    else:
        with pytest.raises(Refused) as refusal:
            read_json(raw, LIMITS)
        assert refusal.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", Code.MALFORMED),
        (b'"\xff"', Code.MALFORMED),
        (b"[" * 100_000, Code.MALFORMED),
        (b"[[[[[]]]]]", Code.MALFORMED),
        (b'{"a":1,"a":2}', Code.MALFORMED),
        (b'{"a":{"b":1, "b":1}}', Code.MALFORMED),
        (b"[1,2,3,4]", Code.INVALID),
        (b'"123456789"', Code.INVALID),
    ],
)
def test_what_is_not_json_or_beyond_a_limit_is_refused(raw: bytes, code: Code) -> None:
    with pytest.raises(Refused) as refusal:
        read_json(raw, LIMITS)
    assert refusal.value.code is code


def test_an_object_is_needed_where_one_is_read() -> None:
    assert read_object(b'{"a": 1}', LIMITS) == {"a": 1}
    with pytest.raises(Refused) as refusal:
        read_object(b"[]", LIMITS)
    assert refusal.value.code is Code.INVALID
