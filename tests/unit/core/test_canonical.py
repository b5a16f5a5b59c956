"""Canonical JSON against the vectors of RFC 8785 and against another implementation; hashlinks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from hansa.core.canonical import canonical_json, hashlink, is_hashlink
from hansa.core.errors import Code, Refused

VECTORS = ("arrays", "french", "structures", "unicode", "values", "weird")

exact_integers = st.integers(-(2**53) + 1, 2**53 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | exact_integers | floats | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfc_come_out_byte_for_byte(shared: Path, name: str) -> None:
    folder = shared / "vectors" / "jcs-rfc8785" / "testdata"
    value = json.loads((folder / "input" / f"{name}.json").read_text())
    expected = (folder / "output" / f"{name}.json").read_bytes()
    assert canonical_json(value) == expected
    assert expected == bytes.fromhex((folder / "outhex" / f"{name}.txt").read_text())


@given(json_values)
@example({"€": 1, "\r": 2, "דּ": 3, "1": 4, "😂": 5, "\x80": 6, "ö": 7})
@example([1e-3, 9.99e-4, 999999999999999.9, 1e15 + 0.5, 1e21, -0.0, 5e-324, 0.1 + 0.2])
@example(["\x7f", "\x1f", "\b\t\n\f\r", '"\\/', "\u2028"])
def test_it_equals_what_another_implementation_writes(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(floats)
def test_a_number_is_written_alike(value: float) -> None:
    assert canonical_json({"n": value}) == rfc8785.dumps({"n": value})


@given(json_values)
@example([2.0**53, 2.0**60, -1e20, 1e21])
def test_reading_it_back_and_writing_it_again_changes_nothing(value: Any) -> None:
    canonical = canonical_json(value)
    assert canonical_json(json.loads(canonical)) == canonical


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(2**53) - 1,
        2**60,
        10**400,
        math.nan,
        math.inf,
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        b"",
        (1,),
    ],
)
def test_what_canonical_json_cannot_carry_is_refused(value: Any) -> None:
    if isinstance(value, tuple):
        assert canonical_json(value) == b"[1]"  # not a JSON type, but it has one meaning
        return
    with pytest.raises(Refused) as refused:
        canonical_json(value)
    assert refused.value.code is Code.INVALID


def test_a_hashlink_names_bytes() -> None:
    # SHA-256 of the empty string as base58btc multihash, computed elsewhere.
    assert hashlink(b"") == "hl:zQmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"


@given(st.binary())
def test_every_hashlink_is_well_formed(data: bytes) -> None:
    assert is_hashlink(hashlink(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hl:",
        "hl:z",
        "hl:z0OIl",
        "hl:zQm",
        "hl:z" + "1" * 60,
        "hl:m" + "Q" * 46,
        hashlink(b"") + "x",
        "hl:zé",
    ],
)
def test_what_is_no_hashlink_is_recognized(text: str) -> None:
    assert not is_hashlink(text)
