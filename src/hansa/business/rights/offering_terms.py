"""Restrictions that the terms of an offering make on who may order it: DOME's ODRL profile, simplified form.

| `@type` | Attributes | compared with |
|---|---|---|
| `OperatorRestriction` | `permittedOperator`, `prohibitedOperator` | DID of the marketplace that sells |
| | `permittedLegalRegion`, `prohibitedLegalRegion` | country of its operator |
| `CustomerRestriction` | `permittedCustomer`, `prohibitedCustomer` | organisation of the customer |
| | `permittedCustomerRegion`, `prohibitedCustomerRegion` | country of that organisation |
| | `authenticatedOnly` | whether the customer is known |
| `ProductRestriction` | `availableRegion`, `unavailableRegion` | country of that organisation |

A restriction that cannot be read, that is not valid now, or that needs what is not known is not met: it may
have been meant for just this customer. Countries are written in two or three letters, or by their English
name, as `{"country": "DEU"}` or `{"id": "urn:ngsi-ld:country:spain"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from babel import Locale
from babel.core import get_global

from hansa.core.certificates.elsi import ELSI_PREFIX
from hansa.core.instants import instant

REGION_MAX_CHARS: Final = 120
NAME_SHOWN_MAX_CHARS: Final = 80
_DESCRIBING: Final = frozenset({"name", "description", "duration", "validFor", "id", "href"})
"""Attributes of a term that restrict nothing; so do those that begin with @."""


class Ordering(msgspec.Struct, frozen=True):
    """Who orders from whom."""

    operator: str
    """DID of the marketplace."""
    customers: frozenset[str]
    """Organisation identifiers of the buyers; empty: nobody knows."""
    now: str
    """RFC 3339."""


class _Unreadable(Exception):
    """A restriction is not in the form."""


def unmet_term(offering: Mapping[str, Any], ordering: Ordering) -> str | None:
    """The restriction of an offering that an order does not meet, as the end of a sentence; None: it may."""
    terms = offering.get("productOfferingTerm")
    for term in terms if isinstance(terms, list) else [terms]:
        if not isinstance(term, dict) or term.get("@type") not in _CHECKS:
            continue
        kind = term["@type"]
        name = str(term.get("name") or kind)[:NAME_SHOWN_MAX_CHARS]
        try:
            if not _is_valid(term, ordering.now):
                return f"its term {name!r} ({kind}) is not valid now"
            for attribute, value in term.items():
                if attribute in _DESCRIBING or attribute.startswith("@"):
                    continue
                check = _CHECKS[kind].get(attribute)
                if check is None:
                    raise _Unreadable
                if not check(value, ordering):
                    return f"its term {name!r} ({kind}) says otherwise in {attribute}"
        except _Unreadable:
            return f"its term {name!r} ({kind}) cannot be read"
    return None


def country_of_organization(identifier: str) -> str | None:
    """The country in an identifier of EN 319 412-1, as DE in `VATDE-123456789`."""
    code = identifier[3:5]
    return code if code.isascii() and code.isalpha() and code.isupper() and identifier[5:6] == "-" else None


def _is_valid(term: Mapping[str, Any], now: str) -> bool:
    period = term.get("validFor")
    if period is None:
        return True
    if not isinstance(period, dict):
        raise _Unreadable
    moment = instant(now) or ""
    for name in ("startDateTime", "endDateTime"):
        if period.get(name) is None:
            continue
        bound = instant(period[name]) if isinstance(period[name], str) else None
        if bound is None:
            raise _Unreadable
        if (moment < bound) if name == "startDateTime" else (moment > bound):
            return False
    return True


def _references(value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list):
        raise _Unreadable
    for one in value:
        if not isinstance(one, dict):
            raise _Unreadable
        yield one


def _parties(value: Any) -> frozenset[str]:
    """The identifiers in a list of references to organisations."""
    names: set[str] = set()
    for one in _references(value):
        known = {text for text in (one.get("id"), one.get("name")) if isinstance(text, str) and text}
        if not known:
            raise _Unreadable
        names |= known
    return frozenset(names | {one.removeprefix(ELSI_PREFIX) for one in names})


def _countries(value: Any) -> frozenset[str]:
    codes: set[str] = set()
    for one in _references(value):
        text = one.get("country") or one.get("id")
        code = _country(text) if isinstance(text, str) and len(text) <= REGION_MAX_CHARS else None
        if code is None:
            raise _Unreadable
        codes.add(code)
    return frozenset(codes)


@lru_cache(maxsize=1024)
def _country(text: str) -> str | None:
    """The code of a country in two letters."""
    name = text.rpartition(":")[2].strip()
    territories = Locale("en").territories
    if len(name) == 2:
        return name.upper() if name.upper() in territories else None
    if len(name) == 3:
        known = get_global("territory_aliases").get(name.upper())
        return known[0] if known and len(known) == 1 and len(known[0]) == 2 else None
    folded = name.replace("-", " ").replace("_", " ").casefold()
    return next(
        (code for code, one in territories.items() if len(code) == 2 and one.casefold() == folded), None
    )


def _operator_regions(ordering: Ordering) -> frozenset[str]:
    if not ordering.operator.startswith(ELSI_PREFIX):
        return frozenset()
    code = country_of_organization(ordering.operator.removeprefix(ELSI_PREFIX))
    return frozenset() if code is None else frozenset({code})


def _customer_regions(ordering: Ordering) -> frozenset[str]:
    codes = {country_of_organization(one) for one in ordering.customers}
    return frozenset() if None in codes else frozenset(code for code in codes if code is not None)


def _is_among(actual: frozenset[str], listed: frozenset[str]) -> bool:
    """Whether all are listed; not when there is none that is known. No entry permits everything."""
    return not listed or (bool(actual) and actual <= listed)


def _is_outside(actual: frozenset[str], listed: frozenset[str]) -> bool:
    return not listed or (bool(actual) and actual.isdisjoint(listed))


def _is_authenticated(value: Any, ordering: Ordering) -> bool:
    if not isinstance(value, bool):
        raise _Unreadable
    return not value or bool(ordering.customers)


_CHECKS: Final[Mapping[str, Mapping[str, Callable[[Any, Ordering], bool]]]] = {
    "OperatorRestriction": {
        "permittedOperator": lambda value, on: _is_among(frozenset({on.operator}), _parties(value)),
        "prohibitedOperator": lambda value, on: _is_outside(frozenset({on.operator}), _parties(value)),
        "permittedLegalRegion": lambda value, on: _is_among(_operator_regions(on), _countries(value)),
        "prohibitedLegalRegion": lambda value, on: _is_outside(_operator_regions(on), _countries(value)),
    },
    "CustomerRestriction": {
        "permittedCustomer": lambda value, on: _is_among(on.customers, _parties(value)),
        "prohibitedCustomer": lambda value, on: _is_outside(on.customers, _parties(value)),
        "permittedCustomerRegion": lambda value, on: _is_among(_customer_regions(on), _countries(value)),
        "prohibitedCustomerRegion": lambda value, on: _is_outside(_customer_regions(on), _countries(value)),
        "authenticatedOnly": _is_authenticated,
        "hiddenProperty": lambda value, _: isinstance(value, list),
    },
    "ProductRestriction": {
        "availableRegion": lambda value, on: _is_among(_customer_regions(on), _countries(value)),
        "unavailableRegion": lambda value, on: _is_outside(_customer_regions(on), _countries(value)),
    },
}
"""By type of a restriction, its attributes, and whether an order meets them."""
