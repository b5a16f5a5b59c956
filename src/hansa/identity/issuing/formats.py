"""Writing credentials: `dc+sd-jwt` (SD-JWT VC, RFC 9901) and `jwt_vc_json` as DOME has it.

Both carry the certificate of the organisation's seal (`x5c`), the key of the holder (`cnf`, and the did:key
as the mandatee), and where the status is. In `dc+sd-jwt` the personal attributes of the mandatee are
disclosed one by one, as the holder chooses; mandator and powers are in the open.

`jwt_vc_json` is a JAdES baseline B signature (ETSI TS 119 182-1): `iat` is the claimed time of signing, and
`x5t#S256` names the certificate.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from hansa.core.base64url import to_base64url
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import rfc3339_at
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.signing_keys import did_key, signed_jwt
from hansa.identity.issuing.authority import Seal
from hansa.identity.issuing.configurations import CredentialConfiguration
from hansa.identity.issuing.orders import MandateOrder, mandate_subject

SALT_SIZE_BYTES: Final = 16

_VC: Final = "https://www.w3.org/ns/credentials/v2"


class CredentialContent(msgspec.Struct, frozen=True):
    """What a credential says beside its order."""

    id: str
    """A URN."""
    holder: CertifiedKey
    """On P-256."""
    issuer: str
    """How `dc+sd-jwt` names the issuer."""
    list_uri: str
    """Of its status list."""
    suspension_uri: str
    """Of its list of suspensions, of `jwt_vc_json`."""
    place: int
    """In these lists."""
    begin_s: int
    """Seconds since 1970."""
    end_s: int


def holder_jwk(key: CertifiedKey) -> dict[str, str]:
    """The JWK of a holder's key."""
    return {"kty": "EC", "crv": "P-256", "x": to_base64url(key.raw[:32]), "y": to_base64url(key.raw[32:])}


def holder_did(key: CertifiedKey) -> str:
    """The did:key of a holder's key."""
    return did_key(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + key.raw))


async def written_credential(
    configuration: CredentialConfiguration,
    order: MandateOrder,
    content: CredentialContent,
    seal: Seal,
    entropy: Entropy,
) -> str:
    """A credential, as wallets receive it."""
    if configuration.form == "dc+sd-jwt":
        return await _sd_jwt(configuration, order, content, seal, entropy)
    return await _jwt_vc(configuration, order, content, seal)


async def _sd_jwt(
    configuration: CredentialConfiguration,
    order: MandateOrder,
    content: CredentialContent,
    seal: Seal,
    entropy: Entropy,
) -> str:
    mandate = mandate_subject(order, holder_did(content.holder))
    mandatee = mandate["mandatee"]
    disclosures = [
        _disclosure(name, mandatee.pop(name), entropy)
        for name in configuration.disclosable
        if name in mandatee
    ]
    mandatee["_sd"] = sorted(_digest(one) for one in disclosures)
    claims = {
        "iss": content.issuer,
        "iat": content.begin_s,
        "exp": content.end_s,
        "jti": content.id,
        "vct": configuration.type,
        "cnf": {"jwk": holder_jwk(content.holder)},
        "status": {"status_list": {"idx": content.place, "uri": content.list_uri}},
        "mandate": mandate,
        "_sd_alg": "sha-256",
    }
    issued = await signed_jwt(seal.key, {"typ": "dc+sd-jwt", "x5c": seal.chain}, claims)
    return "~".join([issued, *disclosures, ""])


def _disclosure(name: str, value: Any, entropy: Entropy) -> str:
    parts = [to_base64url(entropy(SALT_SIZE_BYTES)), name, value]
    return to_base64url(json.dumps(parts, ensure_ascii=False).encode())


def _digest(disclosure: str) -> str:
    return to_base64url(hashlib.sha256(disclosure.encode("ascii")).digest())


async def _jwt_vc(
    configuration: CredentialConfiguration, order: MandateOrder, content: CredentialContent, seal: Seal
) -> str:
    did, issuer = holder_did(content.holder), elsi_did(seal.organization)
    credential = {
        "@context": [_VC, configuration.context],
        "id": content.id,
        "type": ["VerifiableCredential", configuration.type],
        "issuer": {
            "id": issuer,
            "organizationIdentifier": seal.organization,
            "organization": order.organization_name,
            "country": order.country,
            "commonName": order.organization_name,
        },
        "credentialSubject": {"id": did, "mandate": mandate_subject(order, did)},
        "credentialStatus": [
            _bitstring_entry("revocation", content.list_uri, content.place),
            _bitstring_entry("suspension", content.suspension_uri, content.place),
        ],
        "validFrom": rfc3339_at(content.begin_s),
        "validUntil": rfc3339_at(content.end_s),
    }
    claims = {
        "iss": issuer,
        "sub": did,
        "iat": content.begin_s,
        "nbf": content.begin_s,
        "exp": content.end_s,
        "jti": content.id,
        "cnf": {"jwk": holder_jwk(content.holder)},
        "vc": credential,
    }
    thumbprint = to_base64url(hashlib.sha256(seal.certificate).digest())
    header = {"typ": "JWT", "iat": content.begin_s, "x5t#S256": thumbprint, "x5c": seal.chain}
    return await signed_jwt(seal.key, header, claims)


def _bitstring_entry(purpose: str, uri: str, place: int) -> dict[str, str]:
    return {
        "id": f"{uri}#{place}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": str(place),
        "statusListCredential": uri,
    }
