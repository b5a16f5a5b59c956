"""JSON Patch Query: paths that say which elements of arrays they mean (TMF630 Part 1, 5.5, and Part 5)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.patches import JSON_PATCH, JSON_PATCH_QUERY, apply_patch
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

LIMITS = Limits()


def patched(target: dict[str, Any], patch: Any, limits: Limits = LIMITS) -> Any:
    before = copy.deepcopy((target, patch))
    try:
        return apply_patch(JSON_PATCH_QUERY, target, patch, limits)
    finally:
        assert (target, patch) == before


def refusal(target: dict[str, Any], operation: dict[str, Any], limits: Limits = LIMITS) -> Refused:
    with pytest.raises(Refused) as caught:
        patched(target, [operation], limits)
    return caught.value


TICKET = {
    "id": "1",
    "note": [
        {"author": "Arthur", "text": "called", "date": "2013-07-24T09:55:30Z"},
        {"author": "John Doe", "date": "2013-07-25T08:55:12Z"},
    ],
}
ORDER = {
    "id": "2",
    "orderItem": [
        {
            "id": "1",
            "quantity": 1,
            "productOffering": {"id": "1513"},
            "product": {"relatedParty": [{"name": "Mary", "role": "customer"}]},
        },
        {
            "id": "2",
            "quantity": 1,
            "productOffering": {"id": "1513"},
            "product": {
                "relatedParty": [
                    {"name": "John", "role": "customer"},
                    {"name": "Mary", "role": "seller", "tag": ["a", "b"]},
                ]
            },
        },
    ],
}


def ticket(*notes: dict[str, Any]) -> dict[str, Any]:
    return {**TICKET, "note": list(notes)}


FIRST, SECOND = TICKET["note"]
assert isinstance(FIRST, dict)
assert isinstance(SECOND, dict)


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (
            {"op": "add", "path": "/note/text?note.author=John Doe", "value": "told"},
            ticket(FIRST, {**SECOND, "text": "told"}),
        ),
        (
            {"op": "add", "path": "/note/text?author=John%20Doe", "value": "told"},
            ticket(FIRST, {**SECOND, "text": "told"}),
        ),
        (
            {"op": "add", "path": "/note?author=John Doe/text", "value": "told"},
            ticket(FIRST, {**SECOND, "text": "told"}),
        ),
        (
            {"op": "add", "path": "/note?author=John Doe", "value": {"text": "told"}},
            ticket(FIRST, {**SECOND, "text": "told"}),
        ),
        ({"op": "remove", "path": "/note?note.author=John Doe"}, ticket(FIRST)),
        ({"op": "remove", "path": "/note?author=Arthur,John Doe"}, ticket()),
        ({"op": "remove", "path": "/note?author=Arthur,text=called"}, ticket(SECOND)),
        ({"op": "remove", "path": "/note?author=Arthur&text=called"}, ticket(SECOND)),
        ({"op": "remove", "path": "/note/text?note.author=Arthur"}, ticket({"author": "Arthur", "date": FIRST["date"]}, SECOND)),
        ({"op": "replace", "path": "/note/author", "value": "X"}, ticket({**FIRST, "author": "X"}, {**SECOND, "author": "X"})),
        ({"op": "replace", "path": "/note?author=Arthur", "value": {"author": "Y"}}, ticket({"author": "Y"}, SECOND)),
        ({"op": "add", "path": "/note", "value": {"author": "Z"}}, ticket(FIRST, SECOND, {"author": "Z"})),
        ({"op": "add", "path": "/note", "value": [{"author": "Z"}]}, ticket(FIRST, SECOND, {"author": "Z"})),
        ({"op": "add", "path": "/note/0", "value": {"author": "Z"}}, ticket({"author": "Z"}, FIRST, SECOND)),
        ({"op": "add", "path": "/status", "value": "done"}, {**TICKET, "status": "done"}),
        ({"op": "copy", "from": "/note/author?text=called", "path": "/by"}, {**TICKET, "by": "Arthur"}),
        ({"op": "move", "from": "/note?author=Arthur", "path": "/note/-"}, ticket(SECOND, FIRST)),
        ({"op": "test", "path": "/note/author?text=called", "value": "Arthur"}, TICKET),
    ],
)  # fmt: skip
def test_conditions_choose_elements_of_an_array(operation: dict[str, Any], result: dict[str, Any]) -> None:
    assert patched(TICKET, [operation]) == result


def with_item(place: int, **changes: Any) -> dict[str, Any]:
    changed = copy.deepcopy(ORDER)
    assert isinstance(changed["orderItem"], list)
    changed["orderItem"][place].update(changes)
    return changed


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (
            {
                "op": "replace",
                "path": "/orderItem/quantity?orderItem.productOffering.id=1513"
                "&orderItem.product.relatedParty.role=seller&orderItem.product.relatedParty.name=Mary",
                "value": 25,
            },
            with_item(1, quantity=25),
        ),
        (
            {
                "op": "remove",
                "path": "/orderItem/product/relatedParty?orderItem.id=2&orderItem.product.relatedParty.name=John",
            },
            with_item(1, product={"relatedParty": [{"name": "Mary", "role": "seller", "tag": ["a", "b"]}]}),
        ),
        (
            {"op": "remove", "path": "/orderItem?id=2/product/relatedParty?role=seller"},
            with_item(1, product={"relatedParty": [{"name": "John", "role": "customer"}]}),
        ),
        (
            {"op": "remove", "path": "/orderItem/product/relatedParty?orderItem.quantity=1.0&name=Mary"},
            with_item(0, product={"relatedParty": []})  # and of the second item the seller alone
            | {
                "orderItem": [
                    with_item(0, product={"relatedParty": []})["orderItem"][0],
                    with_item(1, product={"relatedParty": [{"name": "John", "role": "customer"}]})[
                        "orderItem"
                    ][1],
                ]
            },
        ),
        (
            {
                "op": "remove",
                "path": "/orderItem/product/relatedParty/tag?orderItem.product.relatedParty.tag=b",
            },
            with_item(
                1,
                product={
                    "relatedParty": [
                        {"name": "John", "role": "customer"},
                        {"name": "Mary", "role": "seller", "tag": ["a"]},
                    ]
                },
            ),
        ),
    ],
)
def test_what_a_condition_shares_with_the_path_is_the_same_element(
    operation: dict[str, Any], result: dict[str, Any]
) -> None:
    assert patched(ORDER, [operation]) == result


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "$.note[?(@.author=='John Doe')].text", "value": "told"}, ticket(FIRST, {**SECOND, "text": "told"})),
        ({"op": "remove", "path": "note[?(@.author=='John Doe')]"}, ticket(FIRST)),
        ({"op": "replace", "path": "$.note[*].author", "value": "X"}, ticket({**FIRST, "author": "X"}, {**SECOND, "author": "X"})),
        ({"op": "add", "path": "note", "value": {"author": "Z"}}, ticket(FIRST, SECOND, {"author": "Z"})),
        ({"op": "remove", "path": "$.note[0]['text']"}, ticket({"author": "Arthur", "date": FIRST["date"]}, SECOND)),
        ({"op": "add", "path": "$.status", "value": "done"}, {**TICKET, "status": "done"}),
    ],
)  # fmt: skip
def test_a_json_path_chooses_elements_too(operation: dict[str, Any], result: dict[str, Any]) -> None:
    assert patched(TICKET, [operation]) == result


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "remove", "path": "/note?author=Nobody"}, Code.CONFLICT),
        ({"op": "remove", "path": "/nothing?author=Arthur"}, Code.CONFLICT),
        ({"op": "remove", "path": "/note/nothing"}, Code.CONFLICT),
        ({"op": "add", "path": "/note/deep/text?author=Arthur", "value": 1}, Code.CONFLICT),
        ({"op": "test", "path": "/note/author", "value": "Arthur"}, Code.CONFLICT),
        ({"op": "copy", "from": "/note/author", "path": "/by"}, Code.CONFLICT),
        ({"op": "remove", "path": "/note?author"}, Code.INVALID),
        ({"op": "remove", "path": "/note?=Arthur"}, Code.INVALID),
        ({"op": "replace", "path": "/note?author=Arthur,value=Owner"}, Code.INVALID),
        ({"op": "remove", "path": "$.note[?(@.author=='Nobody')]"}, Code.CONFLICT),
        ({"op": "remove", "path": "$.note[?("}, Code.INVALID),
    ],
)
def test_a_path_that_leads_to_nothing_is_a_conflict_and_one_that_cannot_be_read_is_invalid(
    operation: dict[str, Any], code: Code
) -> None:
    refused = refusal(TICKET, operation)
    assert refused.code is code
    assert refused.message.startswith("[0].")


def test_the_work_for_one_patch_is_bounded() -> None:
    target = {"a": [{"b": 1}] * 1000}
    patch = [{"op": "test", "path": "/a/b?a.b=1", "value": 1}] * 100
    with pytest.raises(Refused) as caught:
        patched(target, patch, Limits(patch_steps_max=50_000))
    assert caught.value.code is Code.TOO_LARGE


NAME = st.sampled_from(["a", "b", "c"])
NOTE = st.dictionaries(NAME, st.sampled_from(["x", "y"]), max_size=3)


@given(st.lists(NOTE, max_size=5), NAME, st.sampled_from(["x", "y"]))
def test_removing_by_a_condition_leaves_those_that_do_not_meet_it(
    notes: list[dict[str, str]], name: str, value: str
) -> None:
    left = [note for note in notes if note.get(name) != value]
    operation = {"op": "remove", "path": f"/note?{name}={value}"}
    if len(left) == len(notes):
        assert refusal({"note": notes}, operation).code is Code.CONFLICT
    else:
        assert patched({"note": notes}, [operation]) == {"note": left}


@given(st.lists(NOTE, min_size=1, max_size=5), st.data())
def test_a_path_without_conditions_means_what_it_means_in_json_patch(
    notes: list[dict[str, str]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(notes) - 1))
    patch = [{"op": "replace", "path": f"/note/{place}", "value": {"new": 1}}]
    target = {"note": notes}
    assert patched(target, patch) == apply_patch(JSON_PATCH, target, patch, LIMITS)
