"""Base64url: one text for some bytes, and one alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.base64url import from_base64url, to_base64url


@given(st.binary(max_size=100))
def test_bytes_come_back(raw: bytes) -> None:
    assert from_base64url(to_base64url(raw)) == raw


@given(st.text(max_size=12))
def test_a_text_is_taken_when_it_is_the_one_form_of_its_bytes_and_never_otherwise(text: str) -> None:
    try:
        raw = from_base64url(text)
    except ValueError:
        return
    assert to_base64url(raw) == text


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "AA\n", "+/+/", "A A", "AAAAA", "AAé"])
def test_what_is_no_form_of_any_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        from_base64url(text)
