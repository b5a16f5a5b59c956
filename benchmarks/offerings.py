"""Product offerings of a usual size, the same ones in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec

PATH: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
TYPE: Final = "ProductOffering"
STATUSES: Final = ("Launched", "Launched", "Launched", "Retired", "In study")
"""Three in five are launched, one in five is not public."""

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
    """A marketplace's store, filled for a run: as it was filled."""

    token: str
    stored: int
    launched: int
    body_bytes: int
    """All bodies together."""
    disk_bytes: int


def offering(number: int) -> dict[str, Any]:
    """Offering number so-and-so, as a client sends it; about a kilobyte of JSON."""
    draw = random.Random(number)

    def words(count: int) -> str:
        return " ".join(draw.choices(WORDS, k=count))

    def reference(kind: str) -> dict[str, Any]:
        return {"id": f"urn:ngsi-ld:{kind}:{draw.randrange(500):032x}", "name": words(2)}

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
        "place": [{"id": f"region-{draw.randrange(12)}", "name": words(1)}],
    }


def stored_offerings(count: int) -> Iterator[dict[str, Any]]:
    """The same as they are stored: with what a marketplace adds."""
    for number in range(count):
        yield {
            **offering(number),
            "@type": TYPE,
            "id": identifier(number),
            "lastUpdate": "2026-01-01T00:00:00.000Z",
        }


def identifier(number: int) -> str:
    """Identifier of a stored offering."""
    return f"urn:ngsi-ld:product-offering:{random.Random(~number).getrandbits(128):032x}"


def is_public(entity: dict[str, Any]) -> bool:
    """Whether it can be read without a token."""
    return entity["lifecycleStatus"] in {"Launched", "Retired", "Obsolete"}
