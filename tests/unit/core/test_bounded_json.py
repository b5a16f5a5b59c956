"""JSON of others, within bounds."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.bounded_json import (
    certainly_has_more_nodes,
    has_more_nodes,
    is_deeper_than,
    read_json,
    read_object,
)
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


TEXTS = st.text(st.sampled_from('",\\\\:{}[]a'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | TEXTS,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(TEXTS, below, max_size=5),
    max_leaves=30,
)


@given(VALUES, st.integers(1, 12), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_what_is_refused_undecoded_has_too_many_nodes(
    value: Any, count_max: int, separators: tuple[str, str]
) -> None:
    raw = json.dumps(value, separators=separators).encode()
    if certainly_has_more_nodes(raw, count_max):
        assert has_more_nodes(raw + b" " * 100, value, count_max)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name":"x","term":[' + b",".join([b'{"name":"a"}'] * 52_000) + b"]}",
        b"{" + b",".join(b'"n%d":1' % number for number in range(80_000)) + b"}",
        b"[" + b",".join([b"{}"] * 340_000) + b"]",
        b"[" + b",".join([b'"\\\\",",\\""'] * 30_000) + b"]",
    ],
    ids=["objects", "names", "empty objects", "escapes"],
)
def test_many_small_values_are_refused_before_they_are_decoded(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_: bytes) -> None:
        raise AssertionError("it is decoded")

    monkeypatch.setattr(msgspec.json, "decode", decode)
    with pytest.raises(Refused) as raised:
        read_json(raw, Limits())
    assert raised.value.code is Code.TOO_LARGE


def test_commas_and_quotes_in_texts_are_no_nodes() -> None:
    raw = msgspec.json.encode({"name": '","' * 60_000})
    assert read_json(raw, Limits()) == {"name": '","' * 60_000}
