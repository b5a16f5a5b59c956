"""Refuses periods that end before they begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.business.models import Api
from hansa.business.validation.violations import Violation
from hansa.core.instants import instant

START: Final = "startDateTime"
END: Final = "endDateTime"


def is_period(api: Api, type_name: str) -> bool:
    """Whether values of a type are periods: `TimePeriod`, and other types with the same two attributes."""
    attributes = api.attributes_of(type_name)
    return START in attributes and END in attributes


def period_violation(path: str, value: Mapping[str, Any]) -> Violation | None:
    """The violation of a period that ends before it begins; an end that is absent or empty is open."""
    start, end = value.get(START), value.get(END)
    if not start or not end:
        return None
    if start <= end and len(start) == len(end) and start[-1] == end[-1] == "Z":
        return None  # texts in one form and one zone sort as the instants do
    began, ended = instant(start), instant(end)
    if began is None or ended is None or began <= ended:
        return None
    return Violation(f"{path}.{END}", f"must not be before {START}, {start}", end)
