"""What members can vote on about trust: changes of a proposal (`hansa.core.governance.changes`).

anchor.put          {certificate, name?}   accept an authority's certificates for seals
anchor.remove       {anchor, keys}         accept no further ones; `keys`: `keep` | `revoke` those of before
certificate.revoke  {did, kid}             a member's certified key signs nothing more
issuer.put          {issuer}               trust an issuer of credentials, or change what it may issue
issuer.remove       {did}                  trust it no more
policy.set          {rows?}                the whole table of distribution policies; without rows: none
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from hansa.core.closed_json import FreeText, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.forms import DID, LeagueChange
from hansa.core.jws import KEY_ID
from hansa.core.trust.certificates import ANCHOR_NAME_MAX_CHARS, CERTIFICATE_TEXT, FINGERPRINT
from hansa.core.trust.issuers import TRUSTED_ISSUER, TrustedIssuer
from hansa.core.trust.policies import POLICY_ROWS, PolicyRow


class AnchorPut(LeagueChange, frozen=True, tag="anchor.put"):
    """Accept an authority's certificates for seals."""

    certificate: str
    """Of the authority; base64 of DER."""
    name: str = ""


class AnchorRemove(LeagueChange, frozen=True, tag="anchor.remove"):
    """Accept an authority's certificates no more."""

    anchor: str
    """Fingerprint: SHA-256 of the certificate's DER, in hex."""
    keys: Literal["keep", "revoke"]
    """What becomes of keys that were registered with its certificates."""


class CertificateRevoke(LeagueChange, frozen=True, tag="certificate.revoke"):
    """A certified key signs nothing more: no events, no votes, no statements."""

    did: str
    kid: str


class IssuerPut(LeagueChange, frozen=True, tag="issuer.put"):
    """Trust an issuer of credentials."""

    issuer: TrustedIssuer


class IssuerRemove(LeagueChange, frozen=True, tag="issuer.remove"):
    """Trust an issuer no more."""

    did: str


class PolicySet(LeagueChange, frozen=True, tag="policy.set"):
    """The whole table of distribution policies."""

    rows: tuple[PolicyRow, ...] = ()


TRUST_CHANGE_FORMS: Final[Mapping[str, StructForm[Any]]] = MappingProxyType(
    {
        "anchor.put": StructForm(
            AnchorPut, {"certificate": CERTIFICATE_TEXT}, {"name": FreeText(ANCHOR_NAME_MAX_CHARS)}
        ),
        "anchor.remove": StructForm(AnchorRemove, {"anchor": FINGERPRINT, "keys": Text("keep|revoke")}),
        "certificate.revoke": StructForm(CertificateRevoke, {"did": DID, "kid": KEY_ID}),
        "issuer.put": StructForm(IssuerPut, {"issuer": TRUSTED_ISSUER}),
        "issuer.remove": StructForm(IssuerRemove, {"did": DID}),
        "policy.set": StructForm(PolicySet, {}, {"rows": POLICY_ROWS}),
    }
)
"""The closed form of each."""
