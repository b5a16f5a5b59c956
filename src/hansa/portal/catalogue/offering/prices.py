"""Price plans: what an offering costs, as a person understands it, and a preview for their quantities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal

import msgspec

from hansa.portal.catalogue.fields import Fields, fields_in, items_in, number_in, text_in
from hansa.portal.frame.formats import decimal_of

PriceKind = Literal["recurring", "oneTime", "usage", "other"]
Period = Literal["hour", "day", "week", "month", "year", ""]
_PERIODS: Final[Mapping[str, Period]] = {
    **dict.fromkeys(("hour", "hourly", "hours"), "hour"),
    **dict.fromkeys(("day", "daily", "days"), "day"),
    **dict.fromkeys(("week", "weekly", "weeks"), "week"),
    **dict.fromkeys(("month", "monthly", "months"), "month"),
    **dict.fromkeys(("year", "yearly", "years", "annual", "annually"), "year"),
}
QUANTITY_PARAMETER: Final = "quantity."
QUANTITY_MAX_CHARS: Final = 40
QUANTITY_MAX: Final = Decimal(10**9)
ROWS_MAX: Final = 300
"""Of all plans of an offering: it may refer to the same bundle again and again."""


class PriceRow(msgspec.Struct, frozen=True):
    """One line of a price plan."""

    id: str
    name: str
    kind: PriceKind
    kind_text: str
    """As the entity says it."""
    amount: float | None
    currency: str
    period: Period
    period_length: int
    """How many periods a charge is for; 1 as a rule."""
    unit_amount: float
    """How much of the unit the price is for; 1 as a rule."""
    unit: str
    """As `vCPU hour`; empty: the price is for the whole."""
    percentage: float | None
    """Of a reduction, or of a charge that is a share of something."""
    tax_percent: float | None
    description: str
    quantity: str = ""
    """As the person gave it, for the preview."""


class PricePlan(msgspec.Struct, frozen=True):
    """Prices that belong together."""

    name: str
    """Empty: the offering has one plan, without a name."""
    description: str
    rows: tuple[PriceRow, ...]


class PreviewTotal(msgspec.Struct, frozen=True):
    """What the quantities cost together, of one kind of charge."""

    kind: PriceKind
    period: Period
    period_length: int
    currency: str
    amount: Decimal


class UnusableQuantity(msgspec.Struct, frozen=True):
    """A quantity that is no number."""

    row: PriceRow


def price_references(offering: Fields) -> tuple[str, ...]:
    """Identifiers of the prices of an offering."""
    return tuple(
        text_in(one, "id") for one in items_in(offering, "productOfferingPrice") if text_in(one, "id")
    )


def component_references(prices: Iterable[Fields]) -> tuple[str, ...]:
    """Identifiers of the prices that others consist of."""
    return tuple(
        text_in(one, "id")
        for price in prices
        for one in items_in(price, "bundledPopRelationship")
        if text_in(one, "id")
    )


def price_plans(
    offering: Fields, prices: Mapping[str, Fields], quantities: Mapping[str, str]
) -> tuple[PricePlan, ...]:
    """The plans of an offering.

    Args:
        offering: Refers to its prices, or holds them.
        prices: Those that are here, by identifier, with the components of bundles.
        quantities: For the preview, by identifier of the price.
    """
    plans: list[PricePlan] = []
    single: list[PriceRow] = []
    left = ROWS_MAX
    for reference in items_in(offering, "productOfferingPrice"):
        if left <= 0:
            break
        price = prices.get(text_in(reference, "id"), reference)
        components = items_in(price, "bundledPopRelationship")[:left]
        if components:
            rows = tuple(_row(prices.get(text_in(one, "id"), one), quantities) for one in components)
            plans.append(PricePlan(text_in(price, "name"), text_in(price, "description"), rows))
            left -= len(rows)
        else:
            single.append(_row(price, quantities))
            left -= 1
    if single:
        plans.insert(0, PricePlan("", "", tuple(single)))
    return tuple(plans)


def preview(plans: Iterable[PricePlan]) -> tuple[PreviewTotal, ...]:
    """What the quantities of all plans cost; nothing when there are none."""
    totals: dict[tuple[PriceKind, Period, int, str], Decimal] = {}
    for row in (row for plan in plans for row in plan.rows):
        amount, quantity = decimal_of(row.amount), quantity_of(row.quantity)
        if amount is None or not quantity:
            continue
        key = (row.kind, row.period, row.period_length, row.currency)
        share = quantity / (decimal_of(row.unit_amount) or Decimal(1))
        totals[key] = totals.get(key, Decimal(0)) + amount * share
    return tuple(PreviewTotal(*key, amount.normalize()) for key, amount in totals.items())


def unusable(plans: Iterable[PricePlan]) -> tuple[UnusableQuantity, ...]:
    """Quantities that are no numbers."""
    rows = (row for plan in plans for row in plan.rows)
    return tuple(UnusableQuantity(row) for row in rows if row.quantity and quantity_of(row.quantity) is None)


def quantities_in(parameters: Mapping[str, str]) -> dict[str, str]:
    """The quantities that a query string gives, by the identifier of the price."""
    return {
        name.removeprefix(QUANTITY_PARAMETER): text[:QUANTITY_MAX_CHARS]
        for name, text in parameters.items()
        if name.startswith(QUANTITY_PARAMETER)
    }


def quantity_of(text: str) -> Decimal | None:
    """A quantity as a person writes it, with a comma or a point; None for what is none."""
    quantity = decimal_of(text.strip().replace(",", ".")) if text.strip() else None
    return quantity if quantity is not None and 0 <= quantity <= QUANTITY_MAX else None


def _row(price: Fields, quantities: Mapping[str, str]) -> PriceRow:
    money = fields_in(price, "price")
    if "value" not in money:
        money = fields_in(money, "taxIncludedAmount") or fields_in(money, "dutyFreeAmount") or money
    unit = fields_in(price, "unitOfMeasure")
    taxes = [number_in(one, "taxRate") for one in items_in(price, "tax")]
    kind_text = text_in(price, "priceType")
    price_id = text_in(price, "id")
    return PriceRow(
        id=price_id,
        name=text_in(price, "name"),
        kind=_kind(kind_text),
        kind_text=kind_text,
        amount=number_in(money, "value"),
        currency=text_in(money, "unit"),
        period=_period(price),
        period_length=max(1, int(number_in(price, "recurringChargePeriodLength") or 1)),
        unit_amount=number_in(unit, "amount") or 1,
        unit=text_in(unit, "units"),
        percentage=number_in(price, "percentage"),
        tax_percent=next((rate for rate in taxes if rate is not None), None),
        description=text_in(price, "description"),
        quantity=quantities.get(price_id, ""),
    )


def _kind(text: str) -> PriceKind:
    plain = "".join(filter(str.isalpha, text)).lower()
    if plain.startswith("recurring"):
        return "recurring"
    if plain.startswith("onetime"):
        return "oneTime"
    return "usage" if plain.startswith("usage") else "other"


def _period(price: Fields) -> Period:
    text = text_in(price, "recurringChargePeriodType") or text_in(price, "recurringChargePeriod")
    return _PERIODS.get(text.strip().lower(), "")
