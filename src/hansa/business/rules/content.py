"""Checks values that a model cannot describe, periods and prices, from the body alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hansa.business.models import Api, Models, Resource
from hansa.business.rules.periods import is_period, period_violation
from hansa.business.rules.prices import is_money, is_price, money_violations, price_violations
from hansa.business.rules.walk import Walk
from hansa.business.validation.violations import Violation, refuse

Kind = Literal["period", "money", "price"]


class ContentRules:
    """Checks periods and prices in the bodies of all APIs."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._walks: dict[str, Walk[Kind]] = {}

    def check(self, resource: Resource, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        """Check the values that a write changes.

        Raises:
            Refused: `Code.INVALID`, with path, rule and value.
        """
        api, _ = self._models.served(resource.collection)
        walk = self._walks.get(api.id)
        if walk is None:
            walk = self._walks[api.id] = Walk(api, lambda type_name: _kind(api, type_name))
        violations = [
            violation
            for path, value, kind in walk.values(resource.type, after, before)
            for violation in _violations(kind, path, value)
        ]
        refuse(violations)


def _kind(api: Api, type_name: str) -> Kind | None:
    if is_money(api, type_name):
        return "money"
    if is_price(api, type_name):
        return "price"
    return "period" if is_period(api, type_name) else None


def _violations(kind: Kind, path: str, value: Mapping[str, Any]) -> Iterator[Violation]:
    if kind == "money":
        yield from money_violations(path, value)
    elif kind == "price":
        yield from price_violations(path, value)
    elif (violation := period_violation(path, value)) is not None:
        yield violation
