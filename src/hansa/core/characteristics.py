"""What TM Forum entities say of themselves in characteristics and places: compliance labels and regions.

Conditions of distribution, events and the search all read the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

CHARACTERISTICS: Final = (
    "characteristic",
    "partyCharacteristic",
    "prodSpecCharValueUse",
    "productSpecCharacteristic",
    "resourceSpecCharacteristic",
    "serviceSpecCharacteristic",
    "specCharacteristic",
)
"""Attributes that hold characteristics: a name, and values."""
_VALUE_LISTS: Final = (
    "characteristicValueSpecification",
    "productSpecCharacteristicValue",
    "resourceSpecCharacteristicValue",
    "serviceSpecCharacteristicValue",
)
LABEL: Final = "compliance:"
"""Beginning, in any case, of names of characteristics that are compliance labels: `Compliance:ISO27001`."""


def labels_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The compliance labels of an entity: names of characteristics after `Compliance:`."""
    names = (name for name, _ in characteristics(fields))
    return texts(name[len(LABEL) :].strip() for name in names if name.casefold().startswith(LABEL))


def regions_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The regions of an entity: names of its places, and values of its characteristic `region`."""
    return texts((*members(fields.get("place"), "name"), *characteristic(fields, "region")))


def characteristics(fields: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All characteristics, with their names."""
    for attribute in CHARACTERISTICS:
        if attribute not in fields:
            continue
        for one in listed(fields[attribute]):
            if isinstance(one, dict) and isinstance(one.get("name"), str):
                yield one["name"], one


def characteristic(fields: Mapping[str, Any], name: str) -> Iterator[object]:
    """The values of a characteristic, of whatever kind."""
    for its_name, one in characteristics(fields):
        if its_name.strip().casefold() == name:
            yield from values_of(one)


def values_of(one: dict[str, Any]) -> Iterator[object]:
    """The values of one characteristic, of whatever kind."""
    yield from listed(one.get("value"))
    for attribute in _VALUE_LISTS:
        yield from members(one.get(attribute), "value")


def members(references: object, attribute: str) -> Iterator[object]:
    """An attribute of each of some objects."""
    return (one.get(attribute) for one in listed(references) if isinstance(one, dict))


def listed(value: object) -> list[Any]:
    """A list as it is; any other value as the only one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def texts(values: Iterable[object]) -> tuple[str, ...]:
    """The texts among some values, each once, in their order."""
    return tuple(dict.fromkeys(one for one in values if isinstance(one, str) and one))
