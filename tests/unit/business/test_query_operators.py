"""Operators of filters, how assertions are joined, what may be compared (TMF630 Part 1, section 4.4)."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.query import list_request
from hansa.business.query.parameters import Assertion, AssertionGroup, groups
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, Filter
from hansa.store.operators import EQ, GT, GTE, LT, LTE, OPERATORS, REGEX, Operator

LIMITS = Limits()
MODELS = load()
AMOUNT = ("productOfferingTerm", "duration", "amount")


def conditions(text: str, collection: str = "ProductOffering") -> list[Condition]:
    api, resource = MODELS.served(collection)
    parsed = list_request(text.encode(), api, resource, "http://market.example/x", LIMITS, public_only=False)
    return list(parsed.query.filters)


def updated(*values: str, operator: Operator = EQ) -> Filter:
    return Filter(("lastUpdate",), values, operator, is_instant=True)


@pytest.mark.parametrize(
    ("operator", "ways"),
    [
        (GT, ["lastUpdate.gt=2013", "lastUpdate%3E2013", "lastUpdate%3e2013", "lastUpdate>2013"]),
        (
            GTE,
            [
                *("lastUpdate.gte=2013", "lastUpdate%3E%3D2013", "lastUpdate%3e%3d2013"),
                *("lastUpdate>=2013", "lastUpdate%3E=2013", "lastUpdate>%3D2013"),
            ],
        ),
        (LT, ["lastUpdate.lt=2013", "lastUpdate%3C2013", "lastUpdate<2013"]),
        (
            LTE,
            ["lastUpdate.lte=2013", "lastUpdate%3C%3D2013", "lastUpdate<=2013", "lastUpdate%3C=2013"],
        ),
        (
            EQ,
            [
                *("lastUpdate=2013", "lastUpdate.eq=2013", "lastUpdate.exact=2013"),
                *("lastUpdate==2013", "lastUpdate%3D%3D2013"),
            ],
        ),
    ],
)
def test_every_operator_has_a_suffix_and_a_literal_in_either_encoding(
    operator: Operator, ways: list[str]
) -> None:
    """Section 4.4: the table of operators."""
    for way in ways:
        assert conditions(way) == [updated("2013", operator=operator)], way


@pytest.mark.parametrize(
    "way",
    ["name.regex=^Edge", "name*=^Edge", "name%2A=^Edge", "name*%3D^Edge", "name=~^Edge", "name%3D~^Edge"],
)
def test_a_regular_expression_is_requested_in_as_many_ways(way: str) -> None:
    assert conditions(way) == [Filter(("name",), ("^Edge",), REGEX)]


def test_an_encoded_sign_after_an_equals_is_a_value() -> None:
    assert conditions("name=%3E5") == [Filter(("name",), (">5",))]
    assert conditions("name=%3Db") == [Filter(("name",), ("=b",))]
    assert conditions("name=%7Eb") == [Filter(("name",), ("~b",))]
    assert conditions("name=a%3Bb") == [Filter(("name",), ("a;b",))]


def test_an_attribute_that_is_called_like_an_operator_is_one() -> None:
    path = ("productSpecCharacteristic", "regex")
    name = "productSpecCharacteristic.regex"
    assert conditions(f"{name}=a", "ProductSpecification") == [Filter(path, ("a",))]
    assert conditions(f"{name}.regex=a", "ProductSpecification") == [Filter(path, ("a",), REGEX)]
    assert conditions(f"{name}.eq=a", "ProductSpecification") == [Filter(path, ("a",))]


def test_below_an_open_attribute_a_last_part_that_is_an_operator_is_one() -> None:
    name = "prodSpecCharValueUse.productSpecCharacteristicValue.value"
    path = tuple(name.split("."))
    assert conditions(f"{name}.gt=5") == [Filter(path, ("5",), GT)]
    assert conditions(f"{name}.size.gt=5") == [Filter((*path, "size"), ("5",), GT)]
    assert conditions(f"{name}.eq.eq=5") == [Filter((*path, "eq"), ("5",))]


def test_a_range_is_two_assertions() -> None:
    """Section 4.4: dateTime%3E2013-04-20&dateTime%3C2017-04-20."""
    assert conditions("lastUpdate%3E2013-04-20&lastUpdate%3C2017-04-20") == [
        updated("2013-04-20", operator=GT),
        updated("2017-04-20", operator=LT),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "version=a&version=b",
        "version=a;version=b",
        "version=a;b",
        "version==a;version.eq=b",
        "version=a;version=b&limit=3",
        "limit=3;version=a;version=b",
    ],
)
def test_the_ways_of_alternatives_are_one_filter(text: str) -> None:
    """Section 4.4: a repeated name, and semicolons between assertions or values."""
    assert conditions(text) == [Filter(("version",), ("a", "b"))]


def test_commas_make_alternatives_beside_the_whole() -> None:
    assert conditions("version=a,b") == [Filter(("version",), ("a,b", "a", "b"))]
    assert conditions("version.eq=a,b") == [Filter(("version",), ("a,b", "a", "b"))]
    assert conditions("name.regex=a{1,2}") == [Filter(("name",), ("a{1,2}",), REGEX)]


def test_alternatives_of_several_attributes_are_any_of_them() -> None:
    """Section 4.4: dateTime%3C2013-04-20;dateTime%3C2017-04-20, and with different attributes."""
    assert conditions("lastUpdate%3C2013-04-20;lastUpdate%3C2017-04-20") == [
        updated("2013-04-20", "2017-04-20", operator=LT)
    ]
    assert conditions("name=a;version=1") == [
        AnyOf((Filter(("name",), ("a",)), Filter(("version",), ("1",))))
    ]


def test_a_semicolon_binds_less_than_an_ampersand_and_a_comma_most() -> None:
    assert conditions("name=a&version=1;version=2&isBundle=true") == [
        AnyOf(
            (
                AllOf((Filter(("name",), ("a",)), Filter(("version",), ("1",)))),
                AllOf((Filter(("version",), ("2",)), Filter(("isBundle",), ("true",)))),
            )
        )
    ]
    assert conditions("name=x&version=1;2&isBundle=true") == [
        Filter(("name",), ("x",)),
        Filter(("version",), ("1", "2")),
        Filter(("isBundle",), ("true",)),
    ]


def test_blanks_around_names_mean_nothing() -> None:
    """Section 4.5: `status =acknowledged`, section 4.4: `& creationDate=…`."""
    assert conditions("version%20=x&+name=y") == [Filter(("version",), ("x",)), Filter(("name",), ("y",))]


def test_the_sign_of_a_zone_may_have_arrived_as_a_blank() -> None:
    assert conditions("lastUpdate.gt=2026-01-31T12:00:00+02:00") == [
        updated("2026-01-31T12:00:00+02:00", operator=GT)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("isBundle.gt=true", "isBundle.gt: there is no order among values of this attribute (a boolean)"),
        ("category.gt=x", "category.gt: there is no order"),
        ("category*=x", "category: a regular expression takes text, and this is an object"),
        ("isBundle.regex=t", "a regular expression takes text"),
        ("lastUpdate.gt=yesterday", "'yesterday' is no date-time"),
        ("lastUpdate>=2026-13-01", "'2026-13-01' is no date-time"),
        (".".join(AMOUNT) + ".lt=few", "'few' is no number"),
        (".".join(AMOUNT) + "<0x10", "'0x10' is no number"),
        (".".join(AMOUNT) + "<1e999", "'1e999' is no number"),
        ("name.regex=(", "name.regex: '(' is no regular expression in the syntax of RE2: missing )"),
        ("name.regex=(?=a)b", "is no regular expression"),
        ("name.regex=(a)\\1", "is no regular expression"),
        ("name.regex=" + "a" * 513, "at most 512 characters"),
        ("name.gt.gt=x", "neither a parameter of a list nor an attribute path"),
        ("name.gt>x", "neither a parameter"),
        ("href.gt=x", "href compares for equality only"),
        ("name.ne=x", "Operators are"),
    ],
)
def test_a_comparison_that_can_have_no_answer_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        conditions(text)
    assert message in caught.value.message
    assert caught.value.http_status == 400


def test_an_equality_that_holds_for_nothing_is_an_answer() -> None:
    assert conditions("isBundle=null") == [Filter(("isBundle",), ("null",))]
    assert conditions(".".join(AMOUNT) + "=few") == [Filter(AMOUNT, ("few",))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("category=x", "as category.id=…"),
        ('category=[{"name":"a"}]', "this attribute holds objects"),
        ("validFor={}", "as validFor.startDateTime=…"),
        ("validFor.eq={}", "as validFor.startDateTime=…"),
    ],
)
def test_an_equality_with_an_object_is_refused_and_another_proposed(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        conditions(text)
    assert message in caught.value.message
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("name='a'", ("'a'", "a")),
        ("name='a','b'", ("'a','b'", "'a'", "'b'", "a", "b")),
        ("name='a,b'", ("'a,b'", "a,b")),
        ("name='a,b',c", ("'a,b',c", "'a,b'", "c", "a,b")),
        ("name='", ("'",)),
        ("name=o'x", ("o'x",)),
        ("lastUpdate='2026-05-01T10:00:00Z'", ("2026-05-01T10:00:00Z",)),
        (".".join(AMOUNT) + "='5'", ("'5'", "5")),
    ],
)
def test_single_quotes_are_taken_off_as_in_jsonpath(text: str, values: tuple[str, ...]) -> None:
    (condition,) = conditions(text)
    assert isinstance(condition, Filter)
    assert condition.values == values


@pytest.mark.parametrize("text", [".gt='5'", ">'5'"])
def test_single_quotes_are_taken_off_beside_an_order_too(text: str) -> None:
    (condition,) = conditions(".".join(AMOUNT) + text)
    assert isinstance(condition, Filter)
    assert condition.values == ("5",)


def test_every_object_may_be_filtered_by_its_type() -> None:
    """Part 2: polymorphic collections."""
    assert conditions("@type=Special&@baseType=ProductOffering") == [
        Filter(("@type",), ("Special",)),
        Filter(("@baseType",), ("ProductOffering",)),
    ]
    assert conditions("category.@referredType=Category") == [
        Filter(("category", "@referredType"), ("Category",))
    ]


NAMES = st.sampled_from(["name", "a.b", "@type", "relatedParty.id"])
VALUES = st.text(max_size=8).filter(lambda value: not value.startswith(("=", "~")))
"""What begins so behind a sign would be read as a longer sign."""
SIGNS: dict[Operator | None, str] = {None: "=", **{one: one.literals[0] for one in OPERATORS}}
ASSERTIONS = st.builds(Assertion, NAMES, st.sampled_from([None, *OPERATORS]), VALUES)


@given(st.lists(st.lists(ASSERTIONS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3), st.data())
def test_what_is_written_is_read_again(written: list[AssertionGroup], data: st.DataObject) -> None:
    def text(one: Assertion) -> str:
        sign = SIGNS[one.operator]
        as_sign = data.draw(st.sampled_from([sign, quote(sign)] if one.operator else [sign]))
        return quote(one.name, safe="@.") + as_sign + quote(one.value, safe="")

    raw = ";".join("&".join(map(text, group)) for group in written).encode()
    assert groups(raw, LIMITS) == tuple(written)
