"""Comparing an entity of a file with the one at a marketplace."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import Models, load
from hansa.business.patches.merge_patch import merge_patch
from hansa.cli.imports.comparison import changes_between, merge_patch_between
from hansa.core.canonical import canonical_json

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([1.0, 0.5]) | st.sampled_from(["x", "y"])
)


def objects(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(NAMES, values, max_size=3)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


@cache
def models() -> Models:
    return load()


@given(current=objects(SCALARS), target=objects(SCALARS))
def test_the_patch_makes_one_object_equal_to_the_other(
    current: dict[str, Any], target: dict[str, Any]
) -> None:
    result = merge_patch(current, merge_patch_between(current, target))
    assert canonical_json(without_nulls(result)) == canonical_json(without_nulls(target))
    assert merge_patch_between(result, target) == {}


@given(objects(SCALARS))
def test_an_object_needs_no_patch_to_be_itself(one: dict[str, Any]) -> None:
    assert merge_patch_between(one, one) == {}


def test_true_and_one_are_different_but_one_and_one_point_zero_are_not() -> None:
    assert merge_patch_between({"a": True}, {"a": 1}) == {"a": 1}
    assert merge_patch_between({"a": 1}, {"a": 1.0}) == {}


def test_what_the_marketplace_sets_is_not_compared() -> None:
    current = {
        "id": "urn:x",
        "href": "http://here/urn:x",
        "@type": "Category",
        "name": "Cloud",
        "lifecycleStatus": "In study",
        "lastUpdate": "2026-01-01T00:00:00.000Z",
    }
    target = {"@type": "Category", "id": "urn:x", "name": "Cloud", "lastUpdate": "2020-01-01T00:00:00Z"}
    assert changes_between(models(), "Category", current, target) == {}


def test_a_status_that_the_file_does_mention_is_compared() -> None:
    current = {"@type": "Category", "name": "Cloud", "lifecycleStatus": "In study"}
    target = {"@type": "Category", "name": "Cloud", "lifecycleStatus": "Launched"}
    assert changes_between(models(), "Category", current, target) == {"lifecycleStatus": "Launched"}


def test_an_attribute_that_the_file_no_longer_has_is_removed() -> None:
    current = {"@type": "Category", "name": "Cloud", "description": "old"}
    assert changes_between(models(), "Category", current, {"@type": "Category", "name": "Cloud"}) == {
        "description": None
    }
