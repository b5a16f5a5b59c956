"""The trusted issuers of the ledger, for the verification of credentials."""

from __future__ import annotations

from typing import Protocol

from hansa.core.trust.issuers import TRUSTED_ISSUER, TRUSTED_ISSUERS, TrustedIssuer


class LedgerRecords(Protocol):
    """Reads records of the ledger's state; a part of the bus."""

    async def record(self, section: str, key: str) -> bytes | None:
        """One record; None when there is none.

        Raises:
            Unavailable: When the ledger cannot be read.
        """


class LedgerIssuers:
    """The `TrustedIssuers` of a league: what its members voted, at the height that this member has.

    Nothing is cached: an issuer that is removed is trusted for nothing from the block on in which it is.
    """

    def __init__(self, ledger: LedgerRecords) -> None:
        self._ledger = ledger

    async def of_did(self, did: str) -> TrustedIssuer | None:
        """See `TrustedIssuers`."""
        body = await self._ledger.record(TRUSTED_ISSUERS, did)
        return None if body is None else TRUSTED_ISSUER.read(body)
