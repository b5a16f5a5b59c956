"""Characteristics: what an offering has, what can be chosen, and the compliance labels among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.portal.catalogue.fields import NO_FIELDS, Fields, fields_in, items_in, number_in, scalar, text_in

LABEL: Final = "compliance:"
"""Beginning, in any case, of names of characteristics that are compliance labels."""
SPECIFIED: Final = (
    *("productSpecCharacteristic", "specCharacteristic"),
    *("serviceSpecCharacteristic", "resourceSpecCharacteristic"),
)
"""Attributes of specifications that hold characteristics."""
VALUE_LISTS: Final = (
    *("productSpecCharacteristicValue", "characteristicValueSpecification"),
    *("serviceSpecCharacteristicValue", "resourceSpecCharacteristicValue"),
)


class Characteristic(msgspec.Struct, frozen=True):
    """A property of an offering."""

    name: str
    values: tuple[str, ...]
    """With their units; the default one first."""
    is_choice: bool
    """Whether the customer chooses one of them."""
    description: str = ""


class ComplianceLabel(msgspec.Struct, frozen=True):
    """A label that a provider claims."""

    name: str
    evidence: str
    """What the provider says about it; often an address."""


def characteristics_of(specification: Fields) -> tuple[Characteristic, ...]:
    """Those of a specification of a product, a service or a resource."""
    return characteristics(NO_FIELDS, specification)


def labels_of_all(specification: Fields) -> tuple[ComplianceLabel, ...]:
    """The compliance labels that a specification has."""
    return labels(NO_FIELDS, specification)


def characteristics(offering: Fields, specification: Fields) -> tuple[Characteristic, ...]:
    """Those of the specification, as the offering restricts them, and the offering's own."""
    ordered: dict[str, Characteristic] = {}
    for one in _all(offering, specification):
        name = text_in(one, "name")
        if name and not name.casefold().startswith(LABEL):
            ordered[name] = _characteristic(name, one, ordered.get(name))
    return tuple(ordered.values())


def labels(offering: Fields, specification: Fields) -> tuple[ComplianceLabel, ...]:
    """The compliance labels that a provider claims for an offering."""
    claimed: dict[str, ComplianceLabel] = {}
    for one in _all(offering, specification):
        name = text_in(one, "name")
        if name.casefold().startswith(LABEL):
            shown = name[len(LABEL) :].strip()
            claimed[shown] = ComplianceLabel(shown, ", ".join(_values(one)))
    return tuple(claimed.values())


def _all(offering: Fields, specification: Fields) -> Iterable[Fields]:
    for attribute in SPECIFIED:
        yield from items_in(specification, attribute)
    yield from items_in(offering, "prodSpecCharValueUse")


def _characteristic(name: str, one: Fields, before: Characteristic | None) -> Characteristic:
    values = _values(one) or (before.values if before else ())
    is_choice = one.get("configurable") is True or (before is not None and before.is_choice)
    description = text_in(one, "description") or (before.description if before else "")
    return Characteristic(name, values, is_choice and len(values) > 1, description)


def _values(one: Fields) -> tuple[str, ...]:
    values = [value for name in VALUE_LISTS for value in items_in(one, name)]
    values.sort(key=lambda value: value.get("isDefault") is not True)
    return tuple(dict.fromkeys(filter(None, map(_value, values))))


def _value(one: Fields) -> str:
    unit = text_in(one, "unitOfMeasure") or text_in(fields_in(one, "unitOfMeasure"), "units")
    low, high = number_in(one, "valueFrom"), number_in(one, "valueTo")
    value = scalar(one.get("value"))
    if not value and (low is not None or high is not None):
        value = f"{scalar(low)} … {scalar(high)}"
    return f"{value} {unit}".strip()
