"""`visibleTo`: what cannot be read is for nobody, and only `everyone` is for everyone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.canonical import canonical_json
from hansa.core.visibility import FOR_EVERYONE, FOR_NOBODY, read_visibility, visibility_of

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["everyone", "here", DID, "country:DE", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("value", "audience", "is_public_here"),
    [
        (["everyone"], "everyone", True),
        (["here"], "here", True),
        ([DID], "chosen", True),
        (["country:DE"], "chosen", False),
        ([DID, "country:DE"], "chosen", False),
    ],
)
def test_each_form_is_read(value: list[str], audience: str, is_public_here: bool) -> None:
    visibility = read_visibility(value)
    assert visibility is not None
    assert (visibility.audience, visibility.is_public_here) == (audience, is_public_here)
    assert visibility_of(canonical_json({"id": "urn:x", "visibleTo": value})) == visibility


@pytest.mark.parametrize(
    "value",
    [
        *(
            [],
            "everyone",
            {"everyone": True},
            ["everyone", "here"],
            ["everyone", DID],
            ["here", "country:DE"],
        ),
        *(
            ["country:de"],
            ["country:DEU"],
            ["did:"],
            ["Everyone"],
            [DID, DID],
            [None],
            [["everyone"]],
            1,
            True,
        ),
        ["country:DE"] * 101,
    ],
)
def test_every_other_value_is_for_nobody(value: Any) -> None:
    assert read_visibility(value) is None
    assert visibility_of(canonical_json({"id": "urn:x", "visibleTo": value})) == FOR_NOBODY


@given(JSON_VALUES)
def test_whatever_stands_there_only_everyone_is_for_everyone(value: Any) -> None:
    visibility = visibility_of(canonical_json({"id": "urn:x", "visibleTo": value}))
    assert (visibility == FOR_EVERYONE) == (value is None or value == ["everyone"])


def test_what_mentions_the_attribute_below_the_top_is_for_everyone() -> None:
    assert visibility_of(canonical_json({"a": {"visibleTo": ["here"]}})) == FOR_EVERYONE
    assert visibility_of(canonical_json({"a": '"visibleTo":'})) == FOR_EVERYONE
