"""JSONPaths (TMF630 Part 6): what they reach, what they become for the store, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import jsonpath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.query.jsonpath_conditions import jsonpath_conditions
from hansa.business.query.jsonpath_text import read_jsonpath
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, Filter
from hansa.store import Test as StoreTest
from hansa.store.evaluation import matches
from hansa.store.operators import GT, LT, REGEX

LIMITS = Limits()
MODELS = load()

TICKET = {
    "id": "42",
    "@type": "TroubleTicket",
    "severity": "Urgent",
    "priority": 5,
    "isOpen": True,
    "closed": None,
    "note": [
        {"author": "Arthur Evans", "text": "Called", "words": [3, 4]},
        {"author": "Mary", "text": "Informed", "words": []},
    ],
    "relatedParty": [{"id": "1", "role": "Owner"}, {"id": "2", "role": "Reviser"}],
    "channel": {"name": "web", "rank": 2.5},
}


def reached(path: str, entity: Any = TICKET) -> list[Any]:
    result = []
    for location in read_jsonpath("filter", path, LIMITS).locations(entity):
        value = entity
        for key in location:
            value = value[key]
        result.append(value)
    return result


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.severity", ["Urgent"]),
        ("severity", ["Urgent"]),
        ("$['severity']", ["Urgent"]),
        ('$["severity"]', ["Urgent"]),
        ("$.@type", ["TroubleTicket"]),
        ("channel.*", ["web", 2.5]),
        ("note[*].author", ["Arthur Evans", "Mary"]),
        ("note[0].author", ["Arthur Evans"]),
        ("note[-1].author", ["Mary"]),
        ("note[0,1].author", ["Arthur Evans", "Mary"]),
        ("note[0:1].author", ["Arthur Evans"]),
        ("note[::-1].author", ["Mary", "Arthur Evans"]),
        ("$..author", ["Arthur Evans", "Mary"]),
        ("$..note[0].text", ["Called"]),
        ("note[?(@.author=='Mary')].text", ["Informed"]),
        ("note[?@.author == 'Mary'].text", ["Informed"]),
        ("note[?(@.author!='Mary')].text", ["Called"]),
        ("note[?(@.author>'B')].text", ["Informed"]),
        ("note[?(@.author=~/.*evans/i)].text", ["Called"]),
        ("note[?(@.author=~/Evans/)].text", []),
        ("note[?(!@.missing)].text", ["Called", "Informed"]),
        ("note[?(@.author=='Mary' && @.text=='Informed' || @.missing)].text", ["Informed"]),
        ("note[?(@.words.length()>1)].text", ["Called"]),
        ("note[?(length(@.words)==0)].text", ["Informed"]),
        ("note[?(@.words.max()>=4)].text", ["Called"]),
        ("note[?(min(@.words)==3)].text", ["Called"]),
        ("note[?(avg(@.words)==3.5)].text", ["Called"]),
        ("note[?(stddev(@.words[*])==0.5)].text", ["Called"]),
        ("note[?(length(@.author)==4)].text", ["Informed"]),
        ("note[?(@.author==$.note[1].author)].text", ["Informed"]),
        ("relatedParty[?(@.id==1)]", []),
        ("$[?(@.priority>=5)].severity", ["Urgent"]),
        ("$[?(@.isOpen==1)]", []),
        ("$[?(@.isOpen==true)].id", ["42"]),
        ("$[?(@.closed==null)].id", ["42"]),
        ("$[?(@.absent==null)].id", []),
        ("$[*].id", ["42"]),
        ("severity.anything", []),
        ("severity[0]", []),
    ],
)
def test_paths_reach_values(path: str, values: list[Any]) -> None:
    assert reached(path) == values
    assert read_jsonpath("filter", path, LIMITS).holds(TICKET) is bool(values)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "it is empty"),
        ("note[", "unexpected end of query"),
        ("note[?(@.a=='x']", "no JSONPath"),
        ("severity=='Urgent'", "no JSONPath"),
        ("note[?(@.a==@..b)]", "a comparison takes a path to one value"),
        ("note[?(@.a=~/(/)]", "no regular expression in the syntax of RE2"),
        ("note[?('x')]", "no JSONPath"),
        ("note[?(@.words.length())]", "a value is no condition"),
        ("note[?(length()>1)]", "length() takes one path"),
        ("note[?(@.a==1e999)]", "no JSONPath"),
        ("note[?(@.a=='\\ud800')]", "no JSONPath"),
        ("a" + ".a" * 64, "longer than entities are deep"),
        ("a" * 2049, "longer than 2048 characters"),
        ("[?(" * 40 + "@.a" + ")]" * 40, "nested too deep"),
        ("[?(" + "&&".join(["@.a"] * 70) + ")]", "more than 64 conditions"),
    ],
)
def test_what_is_no_jsonpath_is_refused(path: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read_jsonpath("filter", path, LIMITS)
    assert message in caught.value.message
    assert caught.value.message.startswith("filter: ")
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("note[(@.length-1)]", "a script expression"),
        ("note[ (@.length-1)]", "a script expression"),
        ("$.a | $.b", "a union"),
        ("$[0]", "a position in the list"),
        ("$[1:3].name", "a position in the list"),
        ("note[?(@.a in ['x'])]", "the operator in"),
        ("note[?(@.a contains 'x')]", "the operator contains"),
        ("note.length()", "a function at the end of the whole path"),
        ("note[?(@.a.sum()>1)]", "the function sum()"),
        ("note[?(@.a.length().b>1)]", "a function in the middle"),
        ("note[~]", "the selector"),
        ("^.a", "not supported"),
    ],
)
def test_what_is_not_supported_says_so(path: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read_jsonpath("filter", path, LIMITS)
    assert message in caught.value.message
    assert caught.value.http_status == 501


def test_a_path_visits_a_bounded_number_of_values() -> None:
    nested: Any = {}
    for _ in range(40):
        nested = {"a": [nested, 1, 2], "b": {}}
    path = read_jsonpath("filter", "$..*..*..*..x", LIMITS)
    with pytest.raises(Refused, match="visits more than 100000 values"):
        path.holds(nested)


def _equals(path: tuple[str, ...], text: str) -> Filter:
    return Filter(path, (text,))


@pytest.mark.parametrize(
    ("path", "conditions"),
    [
        ("$[?(@.name=='x')]", [_equals(("name",), "x")]),
        ("[?('x'==@.name)]", [_equals(("name",), "x")]),
        ("$[?(@.isBundle==true)]", [_equals(("isBundle",), "true")]),
        ("$[?(@.name>'x')]", [Filter(("name",), ("x",), GT)]),
        ("$[?('x'>@.name)]", [Filter(("name",), ("x",), LT)]),
        ("$[?(@.name=~/a|b/i)]", [Filter(("name",), (r"\A(?:(?i)a|b)\z",), REGEX)]),
        ("$[?(@.name=='x' && @.version=='1')]", [_equals(("name",), "x"), _equals(("version",), "1")]),
        (
            "$[?(@.name=='x' || @.version=='1')]",
            [AnyOf((_equals(("name",), "x"), _equals(("version",), "1")))],
        ),
        ("$.relatedParty[?(@.id=='x')]", [_equals(("relatedParty", "id"), "x")]),
        ("relatedParty[?(@.id=='x' || @.role=='y')]", None),
        ("$[?(@.relatedParty[?(@.id=='x')])]", [_equals(("relatedParty", "id"), "x")]),
        ("$[?(@.productSpecification.id=='x')]", [_equals(("productSpecification", "id"), "x")]),
        ("$", []),
        ("$[*]", []),
    ],
)
def test_simple_paths_are_filters(path: str, conditions: list[Condition] | None) -> None:
    api, _ = MODELS.served("ProductOffering")
    result = list(jsonpath_conditions("filter", path, api, "ProductOffering", LIMITS))
    if conditions is None:
        assert not any(isinstance(one, StoreTest) for one in result)
    else:
        assert result == conditions


@pytest.mark.parametrize(
    ("path", "necessary"),
    [
        (
            "relatedParty[?(@.id=='x' && @.role=='y')]",
            [_equals(("relatedParty", "id"), "x"), _equals(("relatedParty", "role"), "y")],
        ),
        ("relatedParty[?(@.id=='x')].name", [_equals(("relatedParty", "id"), "x")]),
        ("$[?(@.name==5)]", [_equals(("name",), "5")]),
        ("$[?(@.relatedParty.id=='x')]", [_equals(("relatedParty", "id"), "x")]),
        ("$[?(@.name!='x')]", []),
        ("$..name", []),
        ("$.name", []),
    ],
)
def test_other_paths_are_tests_narrowed_by_what_is_necessary(path: str, necessary: list[Condition]) -> None:
    api, _ = MODELS.served("ProductOffering")
    *result, test = jsonpath_conditions("filter", path, api, "ProductOffering", LIMITS)
    assert result == necessary
    assert isinstance(test, StoreTest)
    assert test.name == "filter"


IDS = st.sampled_from(["a", "b", "5", "true"])
ENTITIES = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        "name": IDS,
        "isBundle": st.booleans(),
        "category": st.lists(st.fixed_dictionaries({}, optional={"id": IDS, "name": IDS}), max_size=3),
        "productSpecification": st.fixed_dictionaries({"id": IDS}, optional={"name": IDS}),
        "productOfferingTerm": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "name": IDS,
                    "duration": st.fixed_dictionaries({"amount": st.sampled_from([1, 5, 5.0, 7.5])}),
                },
            ),
            max_size=2,
        ),
    },
)
OPERANDS = st.sampled_from(
    [
        *("@.id", "@.name", "@.isBundle", "@.category.id", "@.productSpecification.id", "@.duration.amount"),
        *("@['name']", "@.category[0].name", "@.productOfferingTerm[0].duration.amount"),
    ]
)
LITERALS = st.sampled_from(["'a'", "'b'", "'5'", "5", "7.5", "true", "false", "null"])
RELATIONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
COMPARED = st.tuples(OPERANDS, RELATIONS, LITERALS).map(" ".join) | st.tuples(
    LITERALS, RELATIONS, OPERANDS
).map(" ".join)
PREDICATES = st.recursive(
    COMPARED | OPERANDS,
    lambda below: (
        st.tuples(below, st.sampled_from([" && ", " || "]), below).map(lambda parts: f"({''.join(parts)})")
        | below.map(lambda one: f"!({one})")
        | st.tuples(st.sampled_from(["@.category", "@.productOfferingTerm", "@.*"]), below).map(
            lambda parts: f"{parts[0]}[?({parts[1]})]"
        )
    ),
    max_leaves=4,
)
STEPS = st.sampled_from(
    [".name", ".category", "..name", "[*]", ".productOfferingTerm", "[0]", "['id']", "..*"]
)
PATHS = st.builds(
    lambda start, predicate, end: start + (f"[?({predicate})]" if predicate else "") + end,
    st.sampled_from(["$", "$.category", "$.productOfferingTerm", "$..category", "$.productSpecification"]),
    st.none() | PREDICATES,
    st.lists(STEPS, max_size=2).map("".join),
)


@settings(max_examples=300, deadline=None)
@given(PATHS, ENTITIES)
def test_a_path_and_its_conditions_hold_for_the_same_entities(path: str, entity: dict[str, Any]) -> None:
    api, _ = MODELS.served("ProductOffering")
    try:
        conditions = jsonpath_conditions("filter", path, api, "ProductOffering", LIMITS)
    except Refused as error:
        if error.http_status != 501:
            raise
        return
    assert matches(entity, conditions) is read_jsonpath("filter", path, LIMITS).holds(entity)


class Library(jsonpath.JSONPathEnvironment):
    """Where Python takes true for 1, RFC 9535 does not."""

    def _lt(self, left: object, right: object) -> bool:
        return not isinstance(left, bool) and not isinstance(right, bool) and super()._lt(left, right)


@settings(max_examples=300, deadline=None)
@given(PATHS, ENTITIES)
def test_paths_reach_what_the_library_reaches(path: str, entity: dict[str, Any]) -> None:
    """The evaluation here is our own; RFC 9535 as python-jsonpath understands it is the measure."""
    try:
        ours = read_jsonpath("filter", path, LIMITS)
    except Refused as error:
        if error.http_status != 501:
            raise
        return
    root = [entity] if ours.is_on_list else entity
    theirs = Library(strict=True).finditer(path, root)
    locations = [match.parts[1:] if ours.is_on_list else match.parts for match in theirs]
    key = json.dumps
    assert sorted(map(key, ours.locations(entity))) == sorted(map(key, locations))


def test_conditions_of_one_element_are_not_split_among_several() -> None:
    api, _ = MODELS.served("ProductOffering")
    path = "category[?(@.id=='a' && @.name=='b')]"
    conditions = jsonpath_conditions("filter", path, api, "ProductOffering", LIMITS)
    split = {"id": "o", "category": [{"id": "a", "name": "x"}, {"id": "y", "name": "b"}]}
    together = {"id": "o", "category": [{"id": "a", "name": "b"}]}
    assert matches(split, [AllOf(conditions[:-1])])
    assert not matches(split, conditions)
    assert matches(together, conditions)


BIG = {
    "items": list(range(5000)),
    "left": list(range(20_000)),
    "right": list(range(20_000)),
    "text": "ab 12" * 10_000,
}


@pytest.mark.parametrize(
    "path",
    [
        "$.items[?($.left != $.right)]",
        "$.items[?(max($.left) < 0)]",
        "$.items[?(stddev($.left) < 0)]",
        "$.items[?($.text =~ /(a|b|[0-9 ]){10,18}x/)]",
        "$.items[?(length($..x) == 1)]",
    ],
)
def test_work_on_large_values_counts_as_visits(path: str) -> None:
    checks: list[None] = []
    with pytest.raises(Refused, match="visits more than"):
        read_jsonpath("filter", path, LIMITS).holds({**BIG}, lambda: checks.append(None))
    assert 1 <= len(checks) <= LIMITS.path_nodes_max // 1000


def test_an_evaluation_can_be_ended_at_any_thousand_visits() -> None:
    class EndedError(Exception):
        pass

    def end() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        read_jsonpath("filter", "$..*[?(@.x == 1)]", LIMITS).holds({"a": list(range(5000))}, end)
