"""Forms of others: each field once, within bounds."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.core.forms import unique_fields

FIELDS_MAX = 8
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=FIELDS_MAX))
def test_what_is_encoded_is_read_as_it_was(fields: dict[str, str]) -> None:
    assert unique_fields(urlencode(fields).encode(), FIELDS_MAX) == fields


@pytest.mark.parametrize(
    "raw", [b"\xff=1", b"a=%ff", "&".join(f"f{n}=1" for n in range(FIELDS_MAX + 1)).encode()]
)
def test_what_is_no_form_or_too_much_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="cannot be read") as refused:
        unique_fields(raw, FIELDS_MAX)
    assert refused.value.code is Code.MALFORMED


@pytest.mark.parametrize("raw", [b"a=1&a=1", b"a=1&%61=2", b"a=&b=1&a="])
def test_a_field_that_comes_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="twice"):
        unique_fields(raw, FIELDS_MAX)


def test_a_part_without_a_value_is_refused_where_it_is_required() -> None:
    assert unique_fields(b"a", FIELDS_MAX) == {"a": ""}
    with pytest.raises(Refused, match="cannot be read"):
        unique_fields(b"a", FIELDS_MAX, is_strict=True)
