"""Product offerings of a usual size, the same ones in every run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

PATH: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
TYPE: Final = "ProductOffering"
STATUSES: Final = ("Launched", "Launched", "Launched", "Retired", "In study")
"""Three in five are launched, one in five is not public."""

SELLERS: Final = 40
CATEGORY: Final = f"urn:ngsi-ld:category:{7:032x}"
SELLER: Final = f"urn:ngsi-ld:organization:{7:032x}"
LAST_UPDATE: Final = "2026-01-01T00:00:00.000Z"

WORDS: Final = [
    "object",
    "block",
    "archive",
    "edge",
    "core",
    "region",
    "gateway",
    "sensor",
    "kubernetes",
    "cluster",
    "relational",
    "graph",
    "stream",
    "queue",
    "inference",
    "training",
    "vision",
    "speech",
    "routing",
    "firewall",
    "backup",
    "recovery",
    "audit",
    "identity",
    "ledger",
    "catalogue",
    "portal",
    "network",
    "latency",
    "bandwidth",
    "tenant",
    "managed",
    "dedicated",
    "shared",
    "reserved",
    "elastic",
    "regional",
    "sovereign",
    "certified",
]


class Seeded(msgspec.Struct, frozen=True):
    """What the store of a marketplace was filled with."""

    token: str
    stored: int
    matches: dict[str, int]
    """Offerings that match each filter, by its attribute."""
    body_bytes: int
    """All bodies together."""
    disk_bytes: int


def offering(number: int) -> dict[str, Any]:
    """An offering as a client sends it, drawn from its number; about a kilobyte of JSON."""
    draw = random.Random(number)

    def words(count: int) -> str:
        return " ".join(draw.choices(WORDS, k=count))

    def reference(kind: str, different: int = 500) -> dict[str, Any]:
        return {"id": f"urn:ngsi-ld:{kind}:{draw.randrange(different):032x}", "name": words(2)}

    return {
        "name": f"{words(3).title()} {number}",
        "description": words(30),
        "isBundle": False,
        "isSellable": True,
        "lifecycleStatus": draw.choice(STATUSES),
        "version": f"{draw.randrange(1, 9)}.{draw.randrange(10)}",
        "validFor": {"startDateTime": "2026-01-01T00:00:00.000Z", "endDateTime": "2030-01-01T00:00:00.000Z"},
        "category": [reference("category") for _ in range(2)],
        "productSpecification": reference("product-specification"),
        "productOfferingPrice": [reference("product-offering-price") for _ in range(2)],
        "relatedParty": [
            {**reference("organization", SELLERS), "role": "Seller", "@referredType": "Organization"}
        ],
        "place": [{"id": f"region-{draw.randrange(12)}", "name": words(1)}],
    }


class Filter(NamedTuple):
    """A filter on an attribute that documents mark as commonly filtered."""

    query: str
    matches: Callable[[dict[str, Any]], bool]


def filters() -> dict[str, Filter]:
    """The filters that are measured, by attribute."""
    name = str(offering(0)["name"])

    def is_launched_by_seller(one: dict[str, Any]) -> bool:
        return bool(one["lifecycleStatus"] == "Launched" and one["relatedParty"][0]["id"] == SELLER)

    return {
        "lifecycleStatus": Filter(
            "lifecycleStatus=Launched", lambda one: one["lifecycleStatus"] == "Launched"
        ),
        "@type": Filter(f"%40type={TYPE}", lambda one: one["@type"] == TYPE),
        "lastUpdate": Filter(f"lastUpdate={LAST_UPDATE}", lambda one: one["lastUpdate"] == LAST_UPDATE),
        "relatedParty.id": Filter(
            f"relatedParty.id={SELLER}", lambda one: one["relatedParty"][0]["id"] == SELLER
        ),
        "lifecycleStatus and relatedParty.id": Filter(
            f"lifecycleStatus=Launched&relatedParty.id={SELLER}", is_launched_by_seller
        ),
        "lifecycleStatus and relatedParty.id, sorted": Filter(
            f"lifecycleStatus=Launched&relatedParty.id={SELLER}&sort=name", is_launched_by_seller
        ),
        "category.id": Filter(
            f"category.id={CATEGORY}", lambda one: CATEGORY in [each["id"] for each in one["category"]]
        ),
        "name": Filter(f"name={quote(name)}", lambda one: one["name"] == name),
        "id": Filter(f"id={identifier(0)}", lambda one: one["id"] == identifier(0)),
    }


def stored_offerings(count: int) -> Iterator[dict[str, Any]]:
    """Offerings as they are stored: with what a marketplace adds."""
    for number in range(count):
        yield {
            **offering(number),
            "@type": TYPE,
            "id": identifier(number),
            "lastUpdate": LAST_UPDATE,
        }


def identifier(number: int) -> str:
    """Identifier of a stored offering."""
    return f"urn:ngsi-ld:product-offering:{random.Random(~number).getrandbits(128):032x}"


def is_public(entity: dict[str, Any]) -> bool:
    """Whether it can be read without a token."""
    return entity["lifecycleStatus"] in {"Launched", "Retired", "Obsolete"}
