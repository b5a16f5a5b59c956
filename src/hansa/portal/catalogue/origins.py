"""Where an entity comes from, and how everybody can check it: in one sentence, and as a history."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hansa.store import Entity


class AnnouncedVersion(msgspec.Struct, frozen=True):
    """An event on the ledger about an entity."""

    version: int
    event: str
    """Its name, as `productOfferingCreateEvent`."""
    position: int
    height: int
    """Of the block that committed it."""
    time: str
    """Of that block; RFC 3339."""
    status: str | None = None
    """The state that the event gave the entity."""


class Provenance(msgspec.Struct, frozen=True):
    """Where an entity comes from, and what the ledger has of it."""

    member: str
    """Name of its origin."""
    did: str
    endpoint: str | None
    """Of its origin; None for one that is no member any more."""
    is_own: bool
    """Whether this marketplace is the origin."""
    announced: AnnouncedVersion | None
    """The version that is shown; None: it is not on the ledger, or the ledger does not answer."""
    is_ledger_silent: bool = False
    newest_version: int | None = None
    """Of a replica: a newer version, that is announced and not here yet."""
    failing_since: str | None = None
    """Since when the origin does not answer; RFC 3339."""
    receipt: str | None = None
    """Path of the receipt; None when there is none to get."""


class OriginCertificate(msgspec.Struct, frozen=True):
    """The certificate of a member's key, as the ledger has it: verified by all members when it came."""

    subject: str
    """Name of whom it certifies."""
    organization: str
    """Identifier in it, as `VATES-12345678`; empty when it names none."""
    issuer: str
    """Name of who certified."""
    not_after: str
    """RFC 3339."""
    state: str
    """`valid`, `expiring`, `expired` or `revoked`."""


class KnownOrigins(Protocol):
    """What knows where entities come from. No method fails: what cannot be read is left out."""

    def name(self, did: str | None) -> str:
        """The name of a member; of this marketplace for None."""

    async def provenance(self, entity: Entity) -> Provenance:
        """Where an entity comes from."""

    async def history(self, entity: Entity) -> tuple[AnnouncedVersion, ...]:
        """The newest events about an entity, the newest first."""

    async def certificates(self, did: str) -> tuple[OriginCertificate, ...] | None:
        """The certificates of a member's keys; None while the ledger does not answer."""
