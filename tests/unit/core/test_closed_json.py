"""Closed forms: one reading and one writing, and nothing but a refusal for everything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.closed_json import FreeText, Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused

NOTE = FreeText(8)
FORM = Record(
    {"kind": Text("[a-z]{1,6}"), "size": Integer(1, 999)},
    {
        "about": NOTE,
        "parts": ListOf(Record({}, {"a": NOTE, "b": Integer(0, 9)}), 3),
        "tags": ListOf(NOTE, 2),
        "zone": Text("UTC"),
    },
)

notes = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=8)
parts = st.dictionaries(st.sampled_from("a"), notes, min_size=1) | st.fixed_dictionaries(
    {"b": st.integers(0, 9)}, optional={"a": notes}
)
values = st.fixed_dictionaries(
    {"kind": st.from_regex("[a-z]{1,6}", fullmatch=True), "size": st.integers(1, 999)},
    optional={
        "about": notes,
        "parts": st.lists(parts, min_size=1, max_size=3).map(tuple),
        "tags": st.lists(notes, min_size=1, max_size=2).map(tuple),
        "zone": st.just("UTC"),
    },
)

REFUSED = (
    b"",
    b"{}",
    b'{"kind":"a"}',
    b'{"size":1,"kind":"a"}',
    b'{"kind":"a","size":1}\n',
    b' {"kind":"a","size":1}',
    b'{"kind": "a","size":1}',
    b'{"kind":"a","size":1,}',
    b'{"kind":"a","size":01}',
    b'{"kind":"a","size":1.0}',
    b'{"kind":"a","size":1e0}',
    b'{"kind":"a","size":-1}',
    b'{"kind":"a","size":0}',
    b'{"kind":"a","size":1000}',
    b'{"kind":"a","kind":"a","size":1}',
    b'{"about":null,"kind":"a","size":1}',
    b'{"about":"\\u0061","kind":"a","size":1}',
    b'{"about":"\\/","kind":"a","size":1}',
    b'{"about":"\n","kind":"a","size":1}',
    b'{"about":"\xff","kind":"a","size":1}',
    b'{"about":"\xed\xa0\x80","kind":"a","size":1}',
    b'{"about":"123456789","kind":"a","size":1}',
    b'{"kind":"a","other":1,"size":1}',
    b'{"kind":"a","size":1,"tags":[]}',
    b'{"kind":"a","size":1,"tags":["1","2","3"]}',
    b'{"kind":"a","size":1,"tags":["1",]}',
    b'{"kind":"a","parts":[{}],"size":1}',
    b'{"kind":"a","size":1,"zone":"utc"}',
    b'\xef\xbb\xbf{"kind":"a","size":1}',
    '{"kind":"a","size":1}'.encode("utf-16"),
    '{"kind":"a","size":\u0661}'.encode(),
    b'{"kind":' + b"[" * 100_000,
    b'{"kind":"a","size":1' + b"0" * 100_000 + b"}",
)


@given(values)
def test_what_is_written_is_read_again_and_is_json_in_the_order_of_names(value: dict[str, Any]) -> None:
    raw = FORM.write(value)
    assert FORM.read(raw) == value
    assert json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == raw.decode()


@given(st.binary(max_size=60) | values.map(FORM.write), st.data())
def test_whatever_is_accepted_is_written_the_same(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    changed = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + data.draw(st.integers(0, 3)) :]
    for candidate in (raw, changed):
        with contextlib.suppress(Refused):
            assert FORM.write(FORM.read(candidate)) == candidate


@pytest.mark.parametrize("raw", REFUSED)
def test_everything_but_the_one_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        FORM.read(raw)
    assert refusal.value.code is Code.MALFORMED


def test_a_value_that_is_not_of_the_form_is_never_written() -> None:
    for value in (
        {"kind": "A", "size": 1},
        {"kind": "a"},
        {"kind": "a", "size": 1, "x": 1},
        {"kind": "a", "size": 0},
    ):
        with pytest.raises(AssertionError):
            FORM.write(value)
