"""JSON Patch: the examples of RFC 6902, and what must hold for all documents."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.patches import JSON_PATCH, apply_patch, created_entities
from hansa.business.patches.pointer import parse_pointer, print_pointer
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

LIMITS = Limits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("a/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~-0", max_size=2), inner, max_size=3)
    ),
    max_leaves=15,
)
DOCUMENT = st.dictionaries(st.text("abc/~-01", max_size=2), JSON, max_size=4)

Patch = list[dict[str, Any]]


def patched(target: dict[str, Any], patch: Any, limits: Limits = LIMITS) -> Any:
    before = copy.deepcopy((target, patch))
    try:
        return apply_patch(JSON_PATCH, target, patch, limits)
    finally:
        assert (target, patch) == before


def refusal(target: dict[str, Any], patch: Any, limits: Limits = LIMITS) -> Refused:
    with pytest.raises(Refused) as caught:
        patched(target, patch, limits)
    return caught.value


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 6902, appendix A, by its numbers
        pytest.param(
            {"foo": "bar"},
            [{"op": "add", "path": "/baz", "value": "qux"}],
            {"baz": "qux", "foo": "bar"},
            id="A.1",
        ),
        pytest.param(
            {"foo": ["bar", "baz"]},
            [{"op": "add", "path": "/foo/1", "value": "qux"}],
            {"foo": ["bar", "qux", "baz"]},
            id="A.2",
        ),
        pytest.param(
            {"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}, id="A.3"
        ),
        pytest.param(
            {"foo": ["bar", "qux", "baz"]},
            [{"op": "remove", "path": "/foo/1"}],
            {"foo": ["bar", "baz"]},
            id="A.4",
        ),
        pytest.param(
            {"baz": "qux", "foo": "bar"},
            [{"op": "replace", "path": "/baz", "value": "boo"}],
            {"baz": "boo", "foo": "bar"},
            id="A.5",
        ),
        pytest.param(
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
            id="A.6",
        ),
        pytest.param(
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
            id="A.7",
        ),
        pytest.param(
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [
                {"op": "test", "path": "/baz", "value": "qux"},
                {"op": "test", "path": "/foo/1", "value": 2},
            ],
            {"baz": "qux", "foo": ["a", 2, "c"]},
            id="A.8",
        ),
        pytest.param(
            {"foo": "bar"},
            [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
            {"foo": "bar", "child": {"grandchild": {}}},
            id="A.10",
        ),
        pytest.param(
            {"foo": "bar"},
            [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
            {"foo": "bar", "baz": "qux"},
            id="A.11",
        ),
        pytest.param(
            {"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}, id="A.14"
        ),
        pytest.param(
            {"foo": ["bar"]},
            [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
            {"foo": ["bar", ["abc", "def"]]},
            id="A.16",
        ),
        pytest.param(
            {"a": 1}, [{"op": "replace", "path": "", "value": {"b": None}}], {"b": None}, id="the whole"
        ),
        pytest.param(
            {"a": {"b": 1}},
            [
                {"op": "copy", "from": "/a", "path": "/c"},
                {"op": "add", "path": "/a/b", "value": 2},
                {"op": "add", "path": "/c/d", "value": 3},
            ],
            {"a": {"b": 2}, "c": {"b": 1, "d": 3}},
            id="a copy is a value of its own",
        ),
    ],
)
def test_the_examples_of_the_rfc_hold(target: dict[str, Any], patch: Patch, result: Any) -> None:
    assert patched(target, patch) == result


@pytest.mark.parametrize(
    ("target", "patch", "message"),
    [
        # A.9
        ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], '[0].value: /baz must equal it, not "bar"'),
        # A.12
        ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], '[0].path: leads to nothing at /baz, not "/baz/bat"'),
        # A.15
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], "[0].value: /~01 must equal it"),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/a", "value": True}], "[1].value"),
        ({"a": []}, [{"op": "add", "path": "/a/1", "value": 1}], "[0].path"),
        ({"a": [1]}, [{"op": "add", "path": "/a/00", "value": 1}], "[0].path"),
        ({"a": [1]}, [{"op": "remove", "path": "/a/-"}], "[0].path"),
        ({"a": [1]}, [{"op": "remove", "path": "/b"}], "[0].path"),
        ({"a": [1]}, [{"op": "replace", "path": "/b", "value": 1}], "[0].path"),
        ({"a": "text"}, [{"op": "add", "path": "/a/b", "value": 1}], "[0].path"),
        ({"a": 1}, [{"op": "move", "from": "/b", "path": "/c"}], "[0].path"),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_a_conflict_that_names_the_operation(
    target: dict[str, Any], patch: Patch, message: str
) -> None:
    refused = refusal(target, patch)
    assert refused.code is Code.CONFLICT
    assert message in refused.message


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({}, "The body: must be an array"),
        (["remove"], "[0]: must be an object"),
        ([{"path": "/a"}], "[0].op: must be one of add"),
        (
            [{"op": "spell", "path": "/a"}],
            '[0].op: must be one of add, remove, replace, move, copy, test, not "spell"',
        ),
        ([{"op": "remove"}], "[0].path: must be a string"),
        ([{"op": "add", "path": "/a"}], "[0].value: is required"),
        ([{"op": "move", "path": "/a"}], "[0].from: must be a string"),
        ([{"op": "remove", "path": "a"}], "[0].path: must be empty or begin with /"),
        ([{"op": "remove", "path": "/~2"}], "[0].path: must write ~ as ~0"),
        ([{"op": "move", "from": "/a", "path": "/a/b"}], "[0].from: must not move a value into itself"),
        ([{"op": "remove", "path": ""}], "The patched entity: must be an object"),
        ([{"op": "replace", "path": "", "value": []}], "The patched entity: must be an object"),
    ],
)
def test_a_patch_that_is_wrong_in_itself_is_invalid(patch: Any, message: str) -> None:
    refused = refusal({"a": {}}, patch)
    assert refused.code is Code.INVALID
    assert message in refused.message


def test_too_many_operations_are_refused() -> None:
    patch = [{"op": "add", "path": "/a", "value": 1}] * 3
    assert refusal({}, patch, Limits(patch_operations_max=2)).code is Code.INVALID


def test_copies_of_copies_end_at_the_size_limit() -> None:
    patch = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 1000
    assert refusal({"a": ["x" * 100]}, patch).code is Code.TOO_LARGE


def test_a_result_that_is_too_large_or_too_deep_is_refused() -> None:
    large = [{"op": "add", "path": "/b", "value": "x" * 60}]
    assert refusal({"a": "x" * 60}, large, Limits(body_size_max_bytes=100)).code is Code.TOO_LARGE
    nested = [
        {"op": "add", "path": "/b", "value": {"c": {}}},
        {"op": "move", "from": "/b", "path": "/a/b"},
    ] * 3
    assert refusal({"a": {}}, [*nested, {"op": "copy", "from": "/a", "path": "/a/b/c/d"}] * 3, Limits(body_depth_max=5)).code is Code.INVALID  # fmt: skip


@given(DOCUMENT, st.lists(st.text("a/~", max_size=2), max_size=4).map(tuple))
def test_a_pointer_survives_printing_and_parsing(document: dict[str, Any], tokens: tuple[str, ...]) -> None:
    assert parse_pointer(print_pointer(tokens)) == tokens


def difference(one: Any, other: Any, path: tuple[str, ...] = ()) -> Patch:
    """A patch that makes one document of the other, as a simple tool would write it."""
    if isinstance(one, dict) and isinstance(other, dict):
        result: Patch = [
            {"op": "remove", "path": print_pointer((*path, name))} for name in one.keys() - other.keys()
        ]
        for name, value in other.items():
            if name in one:
                result += difference(one[name], value, (*path, name))
            else:
                result.append({"op": "add", "path": print_pointer((*path, name)), "value": value})
        return result
    if isinstance(one, list) and isinstance(other, list):
        shared = min(len(one), len(other))
        result = [step for i in range(shared) for step in difference(one[i], other[i], (*path, str(i)))]
        result += [
            {"op": "remove", "path": print_pointer((*path, str(i)))}
            for i in reversed(range(shared, len(one)))
        ]
        result += [{"op": "add", "path": print_pointer((*path, "-")), "value": v} for v in other[shared:]]
        return result
    return [{"op": "replace", "path": print_pointer(path), "value": other}]


@given(DOCUMENT, DOCUMENT)
def test_a_patch_made_of_the_difference_gives_the_other_document(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert msgspec.json.encode(patched(one, difference(one, other)), order="sorted") == msgspec.json.encode(
        other, order="sorted"
    )


def places(value: Any, path: tuple[str, ...] = ()) -> list[str]:
    """Where something can be added without replacing anything."""
    pointers: list[str] = []
    if isinstance(value, dict):
        pointers.append(print_pointer((*path, "new")))
        for name, inner in value.items():
            pointers += places(inner, (*path, name))
    elif isinstance(value, list):
        pointers += [print_pointer((*path, str(i))) for i in range(len(value) + 1)]
        for i, inner in enumerate(value):
            pointers += places(inner, (*path, str(i)))
    return pointers


@given(DOCUMENT, JSON, st.data())
def test_what_is_added_and_removed_leaves_no_trace(
    document: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(places(document)))
    added = {"op": "add", "path": path, "value": value}
    assert patched(document, [added, {"op": "test", "path": path, "value": value}]) != document
    assert patched(document, [added, {"op": "remove", "path": path}]) == document


def test_a_patch_on_a_collection_gives_the_entities_to_create() -> None:
    patch = [{"op": "add", "path": "/", "value": {"id": "42"}}, {"op": "add", "path": "/", "value": {}}]
    assert created_entities(patch, LIMITS) == [{"id": "42"}, {}]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/"},
        {"op": "add", "path": "/troubleTicket", "value": {}},
        {"op": "add", "path": "/", "value": []},
    ],
)
def test_a_collection_can_be_added_to_alone(operation: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"^\[0\]") as caught:
        created_entities([operation], LIMITS)
    assert caught.value.code is Code.INVALID
