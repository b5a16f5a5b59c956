"""Certificates of members' keys: verified once, when a key is registered, and looked at when it signs.

`register_key` verifies the chain of a new key up to an anchor that stands on the ledger, at block time, and
records the certificate. Afterwards a signature names a registered key, and one look-up of that record says
whether the certificate has expired or was revoked: no path is built while events are judged.

    expired   the key signs no events; votes and statements it does sign, so that its owner can renew it, and
              so that no league comes to a stop because certificates expired
    revoked   the key signs nothing

The certificate is that of the key itself. Where it is of a seal with an RSA key, that has signed, once, that
the key is its owner's (`hansa.core.governance.possession`); all else is the same.

A did:elsi names a legal person, and a certificate shows that it is that one: its organization identifier is
the one in the DID. Without certificate such a member gets no further key, unless the league's parameter
`elsi_certificate_required` is 0. Members of the genesis need none: those who found a league compare its
fingerprint by other means. Other DID methods have no certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.certificates import is_elsi, organization_identifier_of, verify_chain
from hansa.core.certificates.algorithms import CertifiedKey, SignatureAlgorithm, is_signature
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import Possession, sealed_bytes
from hansa.core.keys import PublicJwk, raw_public_key
from hansa.core.trust.certificates import (
    ANCHORS,
    CERTIFICATES,
    KEY_CERTIFICATE,
    TRUST_ANCHOR,
    KeyCertificate,
    anchor_certificate,
    certificate_bytes,
    certificate_key,
    read_key_certificate,
)
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.rules.governance.history import end_key
from hansa.pubsub.ledger.state import Overlay, StateView

_SEAL_ALGORITHMS: Final[Mapping[str, SignatureAlgorithm]] = {
    "PS256": SignatureAlgorithm("PSS", "SHA256"),
    "RS256": SignatureAlgorithm("PKCS1", "SHA256"),
}

CERTIFICATE: Final = Rule(
    60,
    Code.CERTIFICATE_INVALID,
    "the certificate of a key does not show, up to a trust anchor of the league, that it is the member's",
)
CERTIFICATE_MISSING: Final = Rule(
    61, Code.CERTIFICATE_INVALID, "a key of a did:elsi has no certificate, and the league requires one"
)
EXPIRED: Final = Rule(62, Code.CERTIFICATE_INVALID, "the certificate of the key that signed has expired")
REVOKED: Final = Rule(63, Code.CERTIFICATE_INVALID, "the key that signed was revoked")
CERTIFICATE_RULES: Final = (CERTIFICATE, CERTIFICATE_MISSING, EXPIRED, REVOKED)


def register_key(state: Overlay, did: str, proof: Possession) -> None:
    """Check the certificate with which a member's signing key comes, and record it.

    Args:
        state: Judges at its time, by its anchors; gets the record.
        did: The member's.
        proof: Of possession of the key; verified.

    Raises:
        RuleBroken: `CERTIFICATE`, `CERTIFICATE_MISSING` or `REVOKED`.
    """
    check_not_revoked(state, did, proof.key.kid)
    key = certificate_key(did, proof.key.kid)
    if proof.x5c:
        state.put_record(CERTIFICATES, key, KEY_CERTIFICATE.write(_verified(state, did, proof)))
    elif is_elsi(did) and state.params.elsi_certificate_required:
        raise CERTIFICATE_MISSING.broken(
            f"{did} names a legal person; a new key of it needs a certificate, which shows that it is that one."
        )
    elif state.record(CERTIFICATES, key) is not None:
        raise CERTIFICATE.broken(f"The key {proof.key.kid} has a certificate; another one can replace it.")


def _verified(state: StateView, did: str, proof: Possession) -> KeyCertificate:
    """The certificate of a key, verified at block time."""
    identifier = organization_identifier_of(did)
    if identifier is None:
        raise CERTIFICATE.broken(
            f"{did} is no did:elsi with an organization identifier; only such have certificates."
        )
    try:
        anchors = [
            anchor_certificate(TRUST_ANCHOR.read(body).certificate)
            for body in state.records(ANCHORS).values()
        ]
        chain = verify_chain([certificate_bytes(text) for text in proof.x5c], anchors, state.time_ms // 1000)
    except Refused as error:
        raise CERTIFICATE.broken(error.message) from error
    named = chain.leaf.subject.organization_identifier
    if named != identifier:
        raise CERTIFICATE.broken(
            f"The certificate is for {named or 'no organization'}, and not for {identifier}."
        )
    if proof.seal:
        _check_seal(did, proof, chain.leaf.key)
    elif not _is_same_key(chain.leaf.key, proof.key):
        raise CERTIFICATE.broken(f"The certificate is for another key than {proof.key.kid}.")
    return KeyCertificate(
        anchor=chain.anchor.fingerprint,
        did=did,
        kid=proof.key.kid,
        not_after_s=chain.not_after_s,
        not_before_s=max(0, chain.leaf.not_before_s),
        registered_ms=state.time_ms,
        x5c=proof.x5c,
        seal=proof.seal,
        seal_algorithm=proof.seal_algorithm,
    )


def _check_seal(did: str, proof: Possession, certified: CertifiedKey) -> None:
    """Check that the RSA key of a certificate signed that a key of the ledger is its owner's.

    Raises:
        RuleBroken: `CERTIFICATE`.
    """
    if certified.kind != "RSA":
        raise CERTIFICATE.broken("A certificate of a key on a curve is for the member's key itself.")
    signed = sealed_bytes(did, proof.key, proof.league, proof.seal_algorithm)
    algorithm, signature = _SEAL_ALGORITHMS[proof.seal_algorithm], _seal_signature(proof.seal)
    if signature is None or not is_signature(certified, algorithm, signed, signature):
        raise CERTIFICATE.broken(
            f"The seal did not sign that the key {proof.key.kid} is of {did} in this league."
        )


def _seal_signature(text: str) -> bytes | None:
    """The bytes of a seal's signature; None for what is not their one base64url form."""
    try:
        return from_base64url(text)
    except ValueError:
        return None


def _is_same_key(certified: CertifiedKey, jwk: PublicJwk) -> bool:
    return certified.kind == jwk.crv and certified.raw == raw_public_key(jwk)


def forget_key(state: Overlay, did: str, kid: str) -> None:
    """Remove the certificate of a key that the registry has no more. That it was revoked stays known."""
    certificate = certificate_of(state, did, kid)
    if certificate is not None and not certificate.revoked_ms:
        state.put_record(CERTIFICATES, certificate_key(did, kid), None)


def revoke_key(state: Overlay, certificate: KeyCertificate) -> None:
    """Revoke a certified key, from the next transaction on."""
    assert not certificate.revoked_ms, "a key is revoked once"
    end_key(state, certificate.did, certificate.kid)
    revoked = msgspec.structs.replace(certificate, revoked_ms=state.time_ms)
    key = certificate_key(certificate.did, certificate.kid)
    state.put_record(CERTIFICATES, key, KEY_CERTIFICATE.write(revoked))


def certificate_of(state: StateView, did: str, kid: str) -> KeyCertificate | None:
    """The certificate of a member's key; None when it came without."""
    body = state.record(CERTIFICATES, certificate_key(did, kid))
    return None if body is None else read_key_certificate(body)


def check_not_revoked(state: StateView, did: str, kid: str) -> None:
    """Check that a key may sign votes and statements.

    Raises:
        RuleBroken: `REVOKED`.
    """
    certificate = certificate_of(state, did, kid)
    if certificate is not None and certificate.revoked_ms:
        raise REVOKED.broken(f"The key {kid} of {did} was revoked.")


def check_publishing_key(state: StateView, did: str, kid: str) -> None:
    """Check that a key may sign events.

    Raises:
        RuleBroken: `EXPIRED` or `REVOKED`.
    """
    certificate = certificate_of(state, did, kid)
    if certificate is None or certificate.is_valid_at(state.time_ms):
        return
    if certificate.revoked_ms:
        raise REVOKED.broken(f"The key {kid} of {did} was revoked.")
    raise EXPIRED.broken(f"The certificate of the key {kid} of {did} has expired; register a new one.")
