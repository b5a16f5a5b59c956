"""The form of a price: once, each period, or by usage."""

from __future__ import annotations

import copy
from typing import Any, Final

from hansa.portal.catalogue.fields import Fields, fields_in, items_in, text_in
from hansa.portal.catalogue.offering.prices import PriceRow, price_plans
from hansa.portal.providers.editing.forms.values import (
    BuiltEntity,
    Values,
    build_texts,
    build_validity,
    number_of,
    put,
    shown_number,
    text_values,
    validity_values,
    value,
)

TEXTS: Final = {"name": "name", "description": "description", "version": "version"}
MODELS: Final = {"oneTime": "one time", "recurring": "recurring", "usage": "usage"}
"""What a price is, as the form and as the entity say it."""


def price_values(entity: Fields) -> dict[str, tuple[str, ...]]:
    """What stands in the form of a price."""
    shown = price_row(entity)
    money = fields_in(entity, "price")
    unit = fields_in(entity, "unitOfMeasure")
    tax = next(iter(items_in(entity, "tax")), {})
    texts = {
        "model": shown.kind if shown.kind in MODELS else "",
        "amount": shown_number(money.get("value")),
        "currency": text_in(money, "unit"),
        "period": shown.period,
        "length": shown_number(entity.get("recurringChargePeriodLength")),
        "per": shown_number(unit.get("amount")),
        "unit": text_in(unit, "units"),
        "tax": shown_number(tax.get("taxRate")),
    }
    others = {field: (text,) for field, text in texts.items()}
    return text_values(entity, TEXTS) | others | validity_values(entity)


def built_price(values: Values, base: Fields) -> BuiltEntity:
    """The price that a form says; what the form does not know stays as it is in `base`."""
    entity, before = copy.deepcopy(dict(base)), price_values(base)
    places: dict[str, str] = {}
    build_texts(entity, places, values, before, TEXTS)
    build_validity(entity, places, values, before)

    def is_changed(*fields: str) -> bool:
        return any(value(values, field) != value(before, field) for field in fields)

    model = value(values, "model")
    if is_changed("model"):
        put(entity, "priceType", MODELS.get(model, model))
    if is_changed("amount", "currency"):
        money = dict(fields_in(entity, "price"))
        put(money, "value", number_of(value(values, "amount")))
        put(money, "unit", value(values, "currency").upper())
        put(entity, "price", money)
    if is_changed("model", "period", "length"):
        _build_period(entity, values, is_recurring=model == "recurring")
    if is_changed("per", "unit"):
        unit = dict(fields_in(entity, "unitOfMeasure"))
        put(unit, "units", value(values, "unit"))
        put(unit, "amount", number_of(value(values, "per") or ("1" if value(values, "unit") else "")))
        put(entity, "unitOfMeasure", unit)
    if is_changed("tax"):
        _build_tax(entity, value(values, "tax"))
    places |= {
        "priceType": "model",
        "price": "amount",
        "price.value": "amount",
        "price.unit": "currency",
        "recurringChargePeriodType": "period",
        "recurringChargePeriodLength": "length",
        "unitOfMeasure": "unit",
        "unitOfMeasure.amount": "per",
        "tax": "tax",
    }
    return BuiltEntity(entity, places, _missing(values, entity))


def price_row(entity: Fields) -> PriceRow:
    """A price as the page of an offering shows it."""
    plans = price_plans({"productOfferingPrice": [{**entity, "bundledPopRelationship": []}]}, {}, {})
    return plans[0].rows[0]


def _build_period(entity: dict[str, Any], values: Values, *, is_recurring: bool) -> None:
    put(entity, "recurringChargePeriodType", value(values, "period") if is_recurring else "")
    length = value(values, "length") or "1"
    put(entity, "recurringChargePeriodLength", number_of(length) if is_recurring else "")


def _build_tax(entity: dict[str, Any], rate: str) -> None:
    taxes = [dict(one) for one in items_in(entity, "tax")]
    if not rate:
        put(entity, "tax", taxes[1:])
        return
    first = taxes[0] if taxes else {"taxCategory": "VAT"}
    entity["tax"] = [{**first, "taxRate": number_of(rate)}, *taxes[1:]]


def _missing(values: Values, entity: Fields) -> tuple[str, ...]:
    """What a price without makes no sense; one that consists of others, or is a share, needs no amount."""
    needed = ["name", "model"]
    if not items_in(entity, "bundledPopRelationship") and "percentage" not in entity:
        needed += ["amount", "currency"]
    model = value(values, "model")
    if model == "recurring":
        needed.append("period")
    if model == "usage":
        needed.append("unit")
    return tuple(field for field in needed if not value(values, field))
