"""Periods and money."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.rules import Rules
from hansa.business.rules.amounts import decimal_of, is_exact
from hansa.business.rules.currencies import CURRENCIES
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Refused

MODELS = load()
RULES = Rules(MODELS)
Body = dict[str, Any]

AMOUNTS = st.integers(-(10**13), 10**13).map(lambda cents: Decimal(cents).scaleb(-2))


def refusal(collection: str, after: Body, before: Body | None = None) -> str | None:
    """The message with which a body is refused."""
    try:
        RULES.check_content(MODELS.served(collection)[1], before, after)
    except Refused as error:
        return error.message if error.code is Code.INVALID else str(error.code)
    return None


# -- periods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-01-01T01:00:00+02:00", "2026-01-01T00:00:00Z"),  # the instants count
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.50Z"),
        ("2026-01-01", "2026-01-01T12:00:00Z"),
        ("", "2026-01-01T00:00:00Z"),
        (None, "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", ""),
        ("2026-01-01T00:00:00Z", None),
        ("whenever", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_period_may_be_open_or_short(start: str | None, end: str | None) -> None:
    period = {"startDateTime": start, "endDateTime": end}
    assert refusal("ProductOffering", {"validFor": period}) is None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00Z", "2026-01-01T02:30:00+02:00"),
        ("2026-01-02", "2026-01-01T12:00:00Z"),
    ],
)
def test_a_period_does_not_end_before_it_begins(start: str, end: str) -> None:
    period = {"startDateTime": start, "endDateTime": end}
    expected = f'validFor.endDateTime: must not be before startDateTime, {start}, not "{end}".'
    assert refusal("ProductOffering", {"validFor": period}) == expected
    deeper = {"productOfferingTerm": [{"name": "a"}, {"name": "b", "validFor": period}]}
    assert refusal("ProductOffering", deeper) == f"productOfferingTerm[1].{expected}"


def test_what_a_write_leaves_as_it_is_is_not_checked_again() -> None:
    before = {"name": "a", "validFor": {"startDateTime": "2026-01-02", "endDateTime": "2026-01-01"}}
    assert refusal("ProductOffering", {**before, "name": "b"}, before) is None


# -- money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "money",
    [
        {"unit": "EUR", "value": 9.99},
        {"unit": "DEM", "value": -1},
        {"unit": "points", "value": 100},
        {"unit": "EUR"},
        {"value": 0},
        {"unit": "", "value": 999_999_999_999_999},
        {"unit": "JPY", "value": 0.000001},
        {},
    ],
)
def test_money_is_an_amount_of_a_currency(money: Body) -> None:
    assert refusal("ProductOfferingPrice", {"price": money}) is None


@pytest.mark.parametrize(
    ("money", "reason"),
    [
        ({"unit": "eur", "value": 1}, 'price.unit: must be a currency code of ISO 4217, as EUR, not "eur"'),
        ({"unit": "EUX", "value": 1}, 'price.unit: must be a currency code of ISO 4217, as EUR, not "EUX"'),
        ({"unit": "EUR", "value": 0.1 + 0.2}, "price.value: must have at most 15 significant digits"),
        (
            {"unit": "EUR", "value": 9_007_199_254_740_993},
            "price.value: must have at most 15 significant digits",
        ),
        ({"unit": "EUR", "value": 1e300}, "and as many on each side of the point, not 1e300"),
        ({"unit": "EUR", "value": 1e-300}, "and as many on each side of the point, not 1e-300"),
        ({"unit": "EUR", "value": float("inf")}, "price.value: must have"),
    ],
)
def test_money_that_cannot_be_carried_exactly_or_is_of_no_currency_is_refused(
    money: Body, reason: str
) -> None:
    message = refusal("ProductOfferingPrice", {"price": money})
    assert message is not None
    assert reason in message


def price(without: Body | None, including: Body | None, rate: float | None = None) -> Body:
    """An order whose total is this price."""
    total = {"dutyFreeAmount": without, "taxIncludedAmount": including, "taxRate": rate}
    return {
        "orderTotalPrice": [{"price": {name: value for name, value in total.items() if value is not None}}]
    }


def test_a_price_is_of_one_currency_and_tax_adds_to_it() -> None:
    assert (
        refusal("ProductOrder", price({"unit": "EUR", "value": 10}, {"unit": "EUR", "value": 11.9}, 19))
        is None
    )
    assert (
        refusal("ProductOrder", price({"unit": "EUR", "value": -10}, {"unit": "EUR", "value": -11.9}, 19))
        is None
    )
    assert refusal("ProductOrder", price({"unit": "EUR", "value": 10}, None)) is None
    assert refusal("ProductOrder", price({"value": 10}, {"value": 9}, -10)) is None
    path = "orderTotalPrice[0].price.taxIncludedAmount"
    assert refusal("ProductOrder", price({"unit": "EUR", "value": 10}, {"unit": "SEK", "value": 119})) == (
        f'{path}.unit: must be that of dutyFreeAmount, EUR, not "SEK".'
    )
    assert refusal("ProductOrder", price({"unit": "EUR", "value": 10}, {"unit": "EUR", "value": 1})) == (
        f"{path}.value: must not be below dutyFreeAmount, 10, not 1."
    )


def test_currency_codes_are_three_capital_letters() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert {"EUR", "USD", "GBP", "SEK", "NOK", "DKK", "PLN", "CHF", "JPY"} <= CURRENCIES


# -- exact amounts ------------------------------------------------------------------------------------------------


@given(AMOUNTS)
def test_an_amount_comes_back_from_json_as_it_was_written(value: Decimal) -> None:
    for text in (format(value, "f"), str(value)):
        number = json.loads(text)
        assert decimal_of(number) == value
        assert decimal_of(json.loads(canonical_json(number))) == value


@given(st.floats() | st.integers() | st.just(10**400) | AMOUNTS.map(float))
def test_a_number_that_is_an_amount_has_those_digits_and_no_others(number: float) -> None:
    decimal = decimal_of(number)
    assert decimal is None or float(decimal) == number
    assert is_exact(number) == (decimal is not None)
