"""An offering for machines: schema.org's `Product` with an `Offer` for each price, as JSON-LD.

It is a data block of the page, which browsers do not run, so that the policy for scripts does not concern it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hansa.portal.catalogue.offering.page import Offering
from hansa.portal.catalogue.offering.prices import PriceRow

_UNIT_CODES: Final = {"hour": "HUR", "day": "DAY", "week": "WEE", "month": "MON", "year": "ANN"}
"""Of UN/CEFACT."""
DESCRIPTION_MAX_CHARS: Final = 5000


def structured_data(offering: Offering, address: str) -> Mapping[str, Any]:
    """The JSON-LD of an offering, whose page at its origin has that address."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "@id": address,
        "url": address,
        "name": offering.name,
        "productID": offering.id,
    }
    if offering.description:
        data["description"] = offering.description[:DESCRIPTION_MAX_CHARS]
    if offering.categories:
        data["category"] = [one.name for one in offering.categories]
    if offering.provider is not None:
        data["brand"] = {"@type": "Organization", "name": offering.provider.name}
    rows = (row for plan in offering.plans for row in plan.rows)
    offers = [_offer(row, address) for row in rows if row.amount is not None and row.currency]
    if offers:
        data["offers"] = offers
    return data


def _offer(row: PriceRow, address: str) -> Mapping[str, Any]:
    price: dict[str, Any] = {
        "@type": "UnitPriceSpecification",
        "price": row.amount,
        "priceCurrency": row.currency,
        "name": row.name,
    }
    if row.period:
        price |= {"unitCode": _UNIT_CODES[row.period], "billingDuration": row.period_length}
    elif row.unit:
        price["unitText"] = row.unit
    return {"@type": "Offer", "url": address, "priceSpecification": price}
