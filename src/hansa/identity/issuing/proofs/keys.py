"""Proofs of the keys that credentials are bound to (OpenID4VCI 1.0, appendix F.1): a JWT that the key signs.

Where attestations of keys are demanded, each proof has one in its header that names the key; or there is one
attestation in place of all proofs, with the nonce in it, and all its keys count (appendices D.1 and F.3).

The key is in the header: as `jwk`, or as a did:key or did:jwk in `kid`. Nothing is fetched for it. It has to
be a public key on P-256, since holders sign with ES256 here; the JWT is for this issuer, made just now, with
a nonce of ours. All proofs of one request have the same nonce and different keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.errors import HansaError
from hansa.identity.credentials.formats.document import check_header, read_claims, read_jws
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.signing_keys import SIGNING_ALGORITHM
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, numeric_date
from hansa.identity.foreign_jws import ForeignJws, is_signed_by, key_of_jwk
from hansa.identity.issuing.configurations import PROOFS_MAX
from hansa.identity.issuing.proofs.attestations import attested_keys
from hansa.identity.issuing.refusals import IssuingRefused
from hansa.identity.issuing.rules import IssuingRules

PROOF_SIZE_MAX_BYTES: Final = 24_576
"""An attestation of a key is in its header."""
PROOF_AGE_MAX_S: Final = 300

_TYPE: Final = frozenset({"openid4vci-proof+jwt"})
_NOTHING: Final[frozenset[str]] = frozenset()
_NAMES_OF_KEYS: Final = frozenset({"jwk", "kid", "x5c"})
_OFFLINE_METHODS: Final = ("did:key:", "did:jwk:")


async def proved_keys(
    proofs: Any, issuer: str, dids: DidKeys, rules: IssuingRules, now_s: int
) -> tuple[tuple[CertifiedKey, ...], str]:
    """The keys that a wallet proved to have, and the nonce in the proofs, which is still to be used.

    Args:
        proofs: `proofs` of a request, as it is written.
        issuer: Identifier of this issuer.
        dids: Reads the keys in DIDs.
        rules: Whether attestations of keys are demanded, and whose.
        now_s: Seconds since 1970.

    Raises:
        IssuingRefused: `invalid_proof` or `invalid_nonce`.
    """
    is_attested = "keys" in rules.attestations
    if is_attested and isinstance(proofs, dict) and proofs.keys() == {"attestation"}:
        return _attested(proofs["attestation"], rules, now_s)
    if not isinstance(proofs, dict) or proofs.keys() != {"jwt"}:
        raise _refused("`proofs` has one member, of a type of proof that the metadata name")
    texts = proofs["jwt"]
    if not isinstance(texts, list) or not 1 <= len(texts) <= PROOFS_MAX:
        raise _refused(f"`jwt` has 1 to {PROOFS_MAX} proofs")
    results = [await _proved(text, issuer, dids, rules, now_s) for text in texts]
    keys, nonces = tuple(key for key, _ in results), {nonce for _, nonce in results}
    if len(set(keys)) != len(keys):
        raise _refused("two proofs are of one key")
    if len(nonces) != 1:
        raise IssuingRefused("invalid_nonce", "The proofs of one request have one nonce.")
    return keys, nonces.pop()


def _attested(attestations: Any, rules: IssuingRules, now_s: int) -> tuple[tuple[CertifiedKey, ...], str]:
    """The keys of an attestation that stands for proofs, and its nonce."""
    if not isinstance(attestations, list) or len(attestations) != 1:
        raise _refused("`attestation` has one attestation of keys")
    attested = attested_keys(attestations[0], rules.attesters, now_s)
    if attested.nonce is None:
        raise IssuingRefused("invalid_nonce", "An attestation that stands for proofs has a nonce.")
    return attested.keys, attested.nonce


async def _proved(
    text: Any, issuer: str, dids: DidKeys, rules: IssuingRules, now_s: int
) -> tuple[CertifiedKey, str]:
    if not isinstance(text, str):
        raise _refused("a proof is a JWT")
    try:
        jws = read_jws(text, PROOF_SIZE_MAX_BYTES)
        check_header(jws, _TYPE, _NOTHING)
        key = await _key(jws, dids, now_s)
        claims = read_claims(jws.payload, PROOF_SIZE_MAX_BYTES)
        signed_at_s, end_s = numeric_date(claims, "iat"), numeric_date(claims, "exp")
    except HansaError as error:
        raise _refused("a proof is no JWT with a key as it has to be") from error
    if jws.algorithm != SIGNING_ALGORITHM or key.kind != "P-256":
        raise _refused(f"a proof is signed with {SIGNING_ALGORITHM}")
    if not is_signed_by(jws, key):
        raise _refused("a proof is not signed by the key in it")
    audience = claims.get("aud")
    if audience not in (issuer, [issuer]):
        raise _refused("a proof is for another issuer (`aud`)")
    if signed_at_s is None or abs(now_s - signed_at_s) > PROOF_AGE_MAX_S + CLOCK_LEEWAY_S:
        raise _refused("a proof was not made just now (`iat`)")
    if end_s is not None and now_s >= end_s + CLOCK_LEEWAY_S:
        raise _refused("a proof has expired (`exp`)")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str):
        raise IssuingRefused("invalid_nonce", "A proof has a nonce of this issuer.")
    if "keys" in rules.attestations:
        _check_attested(key, nonce, jws, rules, now_s)
    return key, nonce


def _check_attested(key: CertifiedKey, nonce: str, jws: ForeignJws, rules: IssuingRules, now_s: int) -> None:
    """Check that the attestation in the header of a proof is one of its key."""
    attested = attested_keys(jws.header.get("key_attestation"), rules.attesters, now_s)
    if key not in attested.keys:
        raise _refused("the attestation of a key is for other keys (`key_attestation`)")
    if attested.nonce not in (None, nonce):
        raise IssuingRefused("invalid_nonce", "The attestation of a key has another nonce than its proof.")


async def _key(jws: ForeignJws, dids: DidKeys, now_s: int) -> CertifiedKey:
    named: Sequence[str] = sorted(_NAMES_OF_KEYS & jws.header.keys())
    if named == ["jwk"]:
        return key_of_jwk(jws.header["jwk"])
    kid = jws.kid or ""
    if named == ["kid"] and kid.startswith(_OFFLINE_METHODS):
        return await dids.key(kid.partition("#")[0], kid, "authentication", now_s)
    raise _refused("a proof names its key by one of `jwk`, and `kid` with a did:key or did:jwk")


def _refused(what: str) -> IssuingRefused:
    return IssuingRefused("invalid_proof", f"{what[0].upper()}{what[1:]}.")
