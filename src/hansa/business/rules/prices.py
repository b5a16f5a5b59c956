"""Refuses invalid money: amounts that are not exact, misspelt currencies, prices in two currencies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hansa.business.models import Api
from hansa.business.rules.amounts import AMOUNT_RULE, is_exact
from hansa.business.rules.currencies import CURRENCIES
from hansa.business.validation.violations import Violation

WITHOUT_TAX: Final = "dutyFreeAmount"
WITH_TAX: Final = "taxIncludedAmount"

_CODE_FORM: Final = re.compile(r"[A-Za-z]{3}")


def is_money(api: Api, type_name: str) -> bool:
    """Whether values of a type are amounts of money: TM Forum's `Money`, with `unit` and `value`."""
    return type_name == "Money" and api.attributes_of(type_name).keys() >= {"unit", "value"}


def is_price(api: Api, type_name: str) -> bool:
    """Whether values of a type are prices: an amount without tax, and the same with it."""
    attributes = api.attributes_of(type_name)
    return all(
        name in attributes and is_money(api, attributes[name].type) for name in (WITHOUT_TAX, WITH_TAX)
    )


def money_violations(path: str, value: Mapping[str, Any]) -> Iterator[Violation]:
    """The violations of an amount of money.

    Its `unit` is a currency of ISO 4217, which has three capital letters. A marketplace may use another unit,
    as points; a unit of three letters is assumed to be a currency code.
    """
    number, unit = value.get("value"), value.get("unit")
    if number is not None and not is_exact(number):
        yield Violation(f"{path}.value", AMOUNT_RULE, number)
    if unit is not None and _CODE_FORM.fullmatch(unit) and unit not in CURRENCIES:
        yield Violation(f"{path}.unit", "must be a currency code of ISO 4217, as EUR", unit)


def price_violations(path: str, value: Mapping[str, Any]) -> Iterator[Violation]:
    """The violations of a price: its two amounts are in one currency, and tax adds to an amount."""
    without, including = value.get(WITHOUT_TAX) or {}, value.get(WITH_TAX) or {}
    units = without.get("unit"), including.get("unit")
    if None not in units and units[0] != units[1]:
        yield Violation(f"{path}.{WITH_TAX}.unit", f"must be that of {WITHOUT_TAX}, {units[0]}", units[1])
        return
    amounts = without.get("value"), including.get("value")
    rate = value.get("taxRate")
    if amounts[0] is None or amounts[1] is None or (rate is not None and rate < 0):
        return
    if abs(amounts[1]) < abs(amounts[0]):
        yield Violation(
            f"{path}.{WITH_TAX}.value", f"must not be below {WITHOUT_TAX}, {amounts[0]}", amounts[1]
        )
