"""CBOR of others: one reading of one byte string, within bounds, and the same as another implementation's."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hansa.core.bounded_cbor import Tagged, read_cbor, write_cbor
from hansa.core.errors import Code, Refused

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=5) | st.integers(-300, 300), inner, max_size=5)
        | st.builds(Tagged, st.sampled_from([0, 24, 1004, 70_000]), inner)
    ),
    max_leaves=20,
)


def library_value(value: Any) -> Any:
    if isinstance(value, Tagged):
        return cbor2.CBORTag(value.number, library_value(value.value))
    if isinstance(value, list):
        return [library_value(one) for one in value]
    if isinstance(value, dict):
        return {key: library_value(one) for key, one in value.items()}
    return value


@given(VALUES)
def test_what_is_written_is_read_again_and_is_what_another_implementation_writes(value: Any) -> None:
    raw = write_cbor(value)
    assert read_cbor(raw) == value
    assert raw == cbor2.dumps(library_value(value))


@given(st.binary(max_size=64))
def test_any_bytes_are_read_in_one_way_or_refused(raw: bytes) -> None:
    assume(not any(kind in raw for kind in (b"\xf9", b"\xfa")))  # floats may be written shorter
    try:
        value = read_cbor(raw)
    except Refused:
        return
    assert write_cbor(value) == raw


HOSTILE = {
    "nothing": "",
    "something behind the end": "0000",
    "a number longer than it has to be": "1817",
    "a number of two bytes that fits one": "1900ff",
    "a number of four bytes that fits two": "1a0000ffff",
    "a number of eight bytes that fits four": "1b00000000ffffffff",
    "a length longer than it has to be": "580161",
    "a text of indefinite length": "7f6161ff",
    "a list of indefinite length": "9f01ff",
    "a map of indefinite length": "bf6161 01ff",
    "an end without a beginning": "ff",
    "a text that is no UTF-8": "62c328",
    "a key twice": "a2616101616102",
    "a key that is a list": "a18001",
    "a key that is true": "a1f501",
    "a text that ends early": "6361",
    "four thousand million values in five bytes": "9affffffff",
    "a map of as many": "baffffffff",
    "a text of as many bytes": "7bffffffffffffffff",
    "undefined": "f7",
    "a simple value": "f8ff",
    "a tag of nothing": "d818",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_has_another_form_or_is_too_much_is_refused(what: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_cbor(bytes.fromhex(HOSTILE[what]))
    assert refusal.value.code is Code.MALFORMED


def test_nesting_and_numbers_of_values_are_bounded() -> None:
    assert read_cbor(b"\x81" * 24 + b"\x00")
    for raw in (b"\x81" * 25 + b"\x00", b"\x81" * 100_000 + b"\x00", b"\xc1" * 100_000 + b"\x00"):
        with pytest.raises(Refused, match="nested too deeply"):
            read_cbor(raw)
    assert len(read_cbor(b"\x99\x0f\x9f" + b"\x00" * 3999)) == 3999
    with pytest.raises(Refused, match="too many values"):
        read_cbor(b"\x99\x0f\xa0" + b"\x00" * 4000)


def test_of_a_tag_nothing_is_made() -> None:
    assert read_cbor(bytes.fromhex("d8236228 61".replace(" ", ""))) == Tagged(35, "(a")
    assert read_cbor(bytes.fromhex("c249010000000000000000")) == Tagged(2, b"\x01" + b"\x00" * 8)
