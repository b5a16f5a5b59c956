"""Trusted issuers: which DID may issue which credentials, with which claims, from when to when.

What is recorded is what EBSI's Trusted Issuers Registry serves of an issuer; see `hansa.api.trusted_issuers`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.closed_json import FreeText, Integer, ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.identifiers import DID_PATTERN
from hansa.core.keys import PublicJwk
from hansa.core.members import PUBLIC_JWK

TRUSTED_ISSUERS: Final = "trusted_issuers"
"""Section of the ledger's state."""
ISSUERS_MAX: Final = 1024
ISSUER_SIZE_MAX_BYTES: Final = 16_384
GRANTS_MAX: Final = 32
"""Of one issuer."""
CLAIMS_MAX: Final = 16
VALUES_MAX: Final = 64
KEYS_MAX: Final = 8
TEXT_MAX_CHARS: Final = 256

_TEXT: Final = FreeText(TEXT_MAX_CHARS)
_SECONDS: Final = Integer(0, 253_402_300_799)


class AllowedClaim(msgspec.Struct, frozen=True):
    """A claim that credentials may have."""

    name: str
    path: str = ""
    """Where in the credential's subject, as a JSONPath; empty: it is the attribute of that name."""
    values: tuple[str, ...] = ()
    """Those that it may have; none: any."""


class CredentialGrant(msgspec.Struct, frozen=True):
    """A type of credentials that an issuer may issue."""

    from_s: int
    """First second at which it may; since 1970."""
    type: str
    """As `LEARCredentialEmployee`."""
    until_s: int
    """Last second."""
    claims: tuple[AllowedClaim, ...] = ()
    """None: any claims."""


class TrustedIssuer(msgspec.Struct, frozen=True):
    """An issuer of credentials that the league trusts."""

    credentials: tuple[CredentialGrant, ...]
    did: str
    keys: tuple[PublicJwk, ...] = ()
    """Keys that sign its credentials; none: those that its DID resolves to."""
    name: str = ""
    """For people."""


_CLAIM: Final = StructForm(
    AllowedClaim, {"name": _TEXT}, {"path": _TEXT, "values": ListOf(_TEXT, VALUES_MAX)}
)
_GRANT: Final = StructForm(
    CredentialGrant,
    {"from_s": _SECONDS, "type": Text("[A-Za-z0-9._:/#-]{1,256}"), "until_s": _SECONDS},
    {"claims": ListOf(_CLAIM, CLAIMS_MAX)},
)
TRUSTED_ISSUER: Final = StructForm(
    TrustedIssuer,
    {"credentials": ListOf(_GRANT, GRANTS_MAX), "did": Text(DID_PATTERN)},
    {"keys": ListOf(PUBLIC_JWK, KEYS_MAX), "name": FreeText(128)},
)
"""How the ledger stores and hashes a trusted issuer; its key is its DID."""
