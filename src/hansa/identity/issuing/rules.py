"""What the settings decide about issuing."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.core.certificates import Certificate
from hansa.core.policies import SdJwtIssuer
from hansa.identity.issuing.orders import FORMS, CredentialForm

Attestation = Literal["wallets", "keys"]
ATTESTATIONS: Final[tuple[Attestation, ...]] = ("wallets", "keys")


class IssuingRules(msgspec.Struct, frozen=True):
    """By which credentials are issued."""

    needs_dpop: bool = False
    """Whether every access token is bound to a key (RFC 9449), as HAIP 1.0 demands."""
    forms: tuple[CredentialForm, ...] = FORMS
    """Formats in which there is anything; HAIP 1.0 knows nothing of `jwt_vc_json`."""
    is_wallet_initiated: bool = False
    """Whether wallets may begin without an offer: whoever makes a link then has people asked whether what is
    prepared for them may go to his wallet."""
    attestations: tuple[Attestation, ...] = ()
    """What has to be attested by the provider of a wallet, as HAIP 1.0 demands."""
    attesters: tuple[Certificate, ...] = ()
    """Authorities of those providers."""
    sd_jwt_issuer: SdJwtIssuer = "did"
    """What `iss` of `dc+sd-jwt` is: the did:elsi of the organisation, or the address of this issuer."""
