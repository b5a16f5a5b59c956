"""Which keys and endpoints members had at which positions of the ledger."""

from __future__ import annotations

import msgspec

from hansa.core.keys import PublicJwk


class KeyPeriod(msgspec.Struct, frozen=True):
    """A signing key of a member, and the positions of the events that it may have signed."""

    did: str
    jwk: PublicJwk
    since: int
    """First position."""
    until: int | None
    """Last position; None while the key is valid. Less than `since`: it signed nothing."""

    def includes(self, position: int) -> bool:
        """Whether the key was valid when the event of a position was committed."""
        return self.since <= position and (self.until is None or position <= self.until)


class EndpointPeriod(msgspec.Struct, frozen=True):
    """Where a member serves from a position on, until its next period."""

    did: str
    endpoint: str
    since: int


class LedgerHistory(msgspec.Struct, frozen=True):
    """Keys and endpoints of members, as far as they are known."""

    keys: tuple[KeyPeriod, ...] = ()
    endpoints: tuple[EndpointPeriod, ...] = ()
    """Those of a member in order."""

    def period(self, did: str, kid: str) -> KeyPeriod | None:
        """The period of a member's key with that name."""
        return next((one for one in self.keys if (one.did, one.jwk.kid) == (did, kid)), None)

    def key(self, did: str, kid: str, position: int) -> PublicJwk | None:
        """The key of that name with which a member could sign the event at a position."""
        period = self.period(did, kid)
        return period.jwk if period is not None and period.includes(position) else None

    def endpoint(self, did: str, position: int) -> str | None:
        """Where a member served when an event got its position; None: it was no member then."""
        before = [one.endpoint for one in self.endpoints if one.did == did and one.since <= position]
        return before[-1] if before else None
