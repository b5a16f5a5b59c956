"""What of specifications, categories, prices and providers is folded into the documents of others.

Only what is public is folded, whoever may find the document: so nothing private is found by way of another
entity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from hansa.business.search.results import Price
from hansa.core.characteristics import characteristics, labels_of, listed, regions_of, texts, values_of

FOLDED_TYPES: Final = frozenset({"Category", "Organization", "ProductOfferingPrice", "ProductSpecification"})
"""Collections whose entities are in the documents of others."""
ANCESTORS_MAX: Final = 8
"""Categories above one of an offering."""
REFERENCES_MAX: Final = 50
"""Of one kind, of one entity."""
VALUES_MAX: Final = 100
"""Texts of characteristics of one entity."""
TEXT_MAX_CHARS: Final = 20_000
"""Of a description, so much is searched."""
NAME_MAX_CHARS: Final = 300
VALUE_MAX_CHARS: Final = 200
"""Of a value of a facet, or of a characteristic; longer ones are none."""
SELLING_ROLES: Final = ("seller", "provider", "owner", "supplier")
"""Of related parties, in any case: who offers it. The first of them that there is."""
_ADDRESSES: Final = ("http:", "https:", "urn:", "did:")

Fields = Mapping[str, Any]
Find = Mapping[str, "Folded"]
"""What is folded of entities, by identifier; those that are not public are not there."""


class Folded(msgspec.Struct, frozen=True):
    """What of an entity is in the documents of others."""

    name: str
    words: tuple[str, ...] = ()
    """Texts by which others are found."""
    parent: str | None = None
    labels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    provider: tuple[str, str] | None = None
    """Identifier and name, as the entity has it."""
    price: Price | None = None

    @property
    def digest(self) -> str:
        """Another one for another content."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


def folded(collection: str, fields: Fields) -> Folded:
    """What of a public entity is folded into others."""
    price = price_of(fields) if collection == "ProductOfferingPrice" else None
    return Folded(
        name_of(fields),
        characteristic_words(fields),
        text_of(fields, "parentId") or None,
        facet_values(labels_of(fields)),
        facet_values(regions_of(fields)),
        provider_of(fields),
        price,
    )


def name_of(fields: Fields) -> str:
    """The name of an entity, also of an organisation."""
    for attribute in ("name", "tradingName"):
        value = fields.get(attribute)
        if isinstance(value, str) and value:
            return value[:NAME_MAX_CHARS]
    return ""


def text_of(fields: Fields, attribute: str) -> str:
    """A text of an entity, cut; empty when there is none."""
    value = fields.get(attribute)
    return value[:TEXT_MAX_CHARS] if isinstance(value, str) else ""


def facet_values(values: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some texts that can be values of a facet."""
    return tuple(one.strip() for one in values[:REFERENCES_MAX] if 0 < len(one.strip()) <= VALUE_MAX_CHARS)


def characteristic_words(fields: Fields) -> tuple[str, ...]:
    """Texts of an entity beside its name and description: brand, number, values of characteristics."""
    return tuple(islice(_words(fields), VALUES_MAX))


def _words(fields: Fields) -> Iterator[str]:
    for attribute in ("brand", "productNumber"):
        value = fields.get(attribute)
        if isinstance(value, str) and len(value) <= VALUE_MAX_CHARS:
            yield value
    for name, one in characteristics(fields):
        if len(name) <= VALUE_MAX_CHARS:
            yield name
        for value in texts(values_of(one)):
            if len(value) <= VALUE_MAX_CHARS and not value.startswith(_ADDRESSES):
                yield value


def references(fields: Fields, attribute: str) -> tuple[tuple[str, str], ...]:
    """Identifiers and names of what an entity refers to at an attribute."""
    value = fields.get(attribute)
    if not value:
        return ()
    return tuple(
        (one["id"], str(one.get("name") or ""))
        for one in listed(value)[:REFERENCES_MAX]
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    )


def provider_of(fields: Fields) -> tuple[str, str] | None:
    """Who offers an entity, by the roles of its related parties: identifier and name."""
    best: tuple[int, str, str] | None = None
    for one in listed(fields.get("relatedParty"))[:REFERENCES_MAX]:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str):
            continue
        role = str(one.get("role") or "").casefold()
        rank = SELLING_ROLES.index(role) if role in SELLING_ROLES else len(SELLING_ROLES)
        if rank < len(SELLING_ROLES) and (best is None or rank < best[0]):
            best = rank, one["id"], str(one.get("name") or "")[:NAME_MAX_CHARS]
    return None if best is None else best[1:]


def parties_of(fields: Fields) -> tuple[str, ...]:
    """Identifiers of all related parties, and their names, which may be identifiers of organisations."""
    both = (text for reference in references(fields, "relatedParty") for text in reference)
    return tuple(dict.fromkeys(text for text in both if 0 < len(text) <= VALUE_MAX_CHARS))


def price_of(fields: Fields) -> Price | None:
    """The price that an entity of that type, or an offering in place of a reference, says; None: none."""
    model = fields.get("priceType")
    price = fields.get("price")
    amount, currency = None, None
    if isinstance(price, dict):
        money = next(
            (
                one
                for name in ("taxIncludedAmount", "dutyFreeAmount")
                if isinstance(one := price.get(name), dict)
            ),
            price,
        )
        value, unit = money.get("value"), money.get("unit")
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
            amount = float(value)
        currency = unit if isinstance(unit, str) and len(unit) <= VALUE_MAX_CHARS else None
    if not isinstance(model, str) and amount is None:
        return None
    period = fields.get("recurringChargePeriodType") or fields.get("recurringChargePeriod")
    shown = model.strip()[:VALUE_MAX_CHARS] if isinstance(model, str) and model.strip() else "other"
    return Price(
        "free" if amount == 0 else shown,
        amount,
        currency,
        period[:VALUE_MAX_CHARS] if isinstance(period, str) and period else None,
    )


def prices_of(fields: Fields, find: Find) -> tuple[Price, ...]:
    """The prices of an offering, its own ones and those that it refers to."""
    prices: list[Price] = []
    for one in listed(fields.get("productOfferingPrice"))[:REFERENCES_MAX]:
        if isinstance(one, dict):
            own = price_of(one)
            referred = find.get(str(one.get("id")))
            price = own if own is not None and own.amount is not None else None
            price = price or (referred.price if referred is not None else None) or own
            if price is not None:
                prices.append(price)
    return tuple(prices)


def lowest(prices: tuple[Price, ...]) -> Price | None:
    """The lowest of some prices; one without an amount only where there is no other."""
    return min(prices, key=lambda one: (one.amount is None, one.amount or 0.0, one.model), default=None)
