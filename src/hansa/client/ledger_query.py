"""Which events somebody reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

SIGNED_PARAMETERS: Final[Mapping[str, str]] = {"type": "types", "issuer": "issuers", "entity": "entities"}
"""Parameters of a request on what an event is, and the fields of a query that they are."""
ENTITY_PARAMETERS: Final[Mapping[str, str]] = {
    "entityType": "entity_types",
    "lifecycleStatus": "lifecycle_statuses",
    "category": "categories",
    "region": "regions",
    "compliance": "compliance",
}
"""The same on what an event says of its entity."""


class LedgerQuery(msgspec.Struct, frozen=True):
    """Which events; an empty field lets everything pass, and of several values one has to match."""

    types: tuple[str, ...] = ()
    """Names of events, as `productOfferingCreateEvent`."""
    issuers: tuple[str, ...] = ()
    """DIDs of members."""
    entities: tuple[str, ...] = ()
    """Identifiers or ledger keys."""
    entity_types: tuple[str, ...] = ()
    """As `ProductOffering`."""
    lifecycle_statuses: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    compliance: tuple[str, ...] = ()
    """Labels of compliance."""
    from_time: str | None = None
    """The event's own time at or after; RFC 3339."""
    to_time: str | None = None
    """The event's own time before; RFC 3339."""

    def parameters(self) -> list[tuple[str, str]]:
        """The parameters of a request for these events, but for its position and size."""
        parameters = [
            (name, value)
            for name, field in {**SIGNED_PARAMETERS, **ENTITY_PARAMETERS}.items()
            for value in getattr(self, field)
        ]
        for name, time in (("from", self.from_time), ("to", self.to_time)):
            if time is not None:
                parameters.append((name, time))
        return parameters
