"""Which events somebody reads."""

from __future__ import annotations

import msgspec


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
        named = (
            ("type", self.types),
            ("issuer", self.issuers),
            ("entity", self.entities),
            ("entityType", self.entity_types),
            ("lifecycleStatus", self.lifecycle_statuses),
            ("category", self.categories),
            ("region", self.regions),
            ("compliance", self.compliance),
            ("from", () if self.from_time is None else (self.from_time,)),
            ("to", () if self.to_time is None else (self.to_time,)),
        )
        return [(name, value) for name, values in named for value in values]
