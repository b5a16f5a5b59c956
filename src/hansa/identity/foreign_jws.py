"""JSON Web Signatures (RFC 7515) of whoever is outside of a league: compact, and read in one way alone.

A part is the one base64url form of its bytes, the header a JSON object with no name twice in it, the payload
the one that is inside. Which algorithm a key is used with follows from the key: the header has to name one of
the closed list that fits, so no header turns a public key into a secret (`HS256`) or a signature into nothing
(`none`). Addresses and keys in a header (`jku`, `x5u`, `jwk`) are never followed.

    ES256, ES384        signatures of exactly 64 and 96 bytes
    Ed25519, EdDSA      on Ed25519
    RS256 … RS512, PS256 … PS512

Signatures are computed where those of certificates are (`hansa.core.certificates.algorithms`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.bounded_json import read_object
from hansa.core.certificates import CHAIN_LENGTH_MAX, Certificate, VerifiedChain, verify_chain
from hansa.core.certificates.algorithms import (
    RSA_BITS_MAX,
    RSA_BITS_MIN,
    CertifiedKey,
    SignatureAlgorithm,
    is_signature,
)
from hansa.core.certificates.extensions import SEAL_PURPOSES
from hansa.core.certificates.rsa import EXPONENT
from hansa.core.curve_points import is_ed25519_point, is_p256_point, is_p384_point
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.core.trust.certificates import certificate_bytes

HEADER_SIZE_MAX_BYTES: Final = 65_536

JWS_ALGORITHMS: Final[Mapping[str, tuple[str, SignatureAlgorithm]]] = {
    "ES256": ("P-256", SignatureAlgorithm("ECDSA", "SHA256")),
    "ES384": ("P-384", SignatureAlgorithm("ECDSA", "SHA384")),
    "Ed25519": ("Ed25519", SignatureAlgorithm("Ed25519", "")),
    "EdDSA": ("Ed25519", SignatureAlgorithm("Ed25519", "")),
    **{f"RS{size}": ("RSA", SignatureAlgorithm("PKCS1", f"SHA{size}")) for size in (256, 384, 512)},
    **{f"PS{size}": ("RSA", SignatureAlgorithm("PSS", f"SHA{size}")) for size in (256, 384, 512)},
}
"""The kind of key that an algorithm is for, and how it signs."""
_ECDSA_SIZES_BYTES: Final = {"P-256": 64, "P-384": 96}
_HEADER_LIMITS: Final = Limits(
    body_depth_max=8, body_nodes_max=1000, array_length_max_items=64, string_length_max_chars=16_384
)
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KEYS_CACHED_MAX: Final = 256


class ForeignJws(msgspec.Struct, frozen=True):
    """The parts of a JWS, *unverified*."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    """What is signed: header and payload as they are written."""
    signature: bytes

    @property
    def algorithm(self) -> str:
        """The `alg` of the header; empty when it is none of the list."""
        name = self.header.get("alg")
        return name if isinstance(name, str) and name in JWS_ALGORITHMS else ""

    @property
    def kid(self) -> str | None:
        """The `kid` of the header."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def read_foreign_jws(compact: str, size_max_bytes: int) -> ForeignJws:
    """The parts of a compact JWS with its payload inside.

    Raises:
        Refused: `Code.MALFORMED`, with the end of a sentence that begins with "it".
    """
    if len(compact) > size_max_bytes:
        raise malformed_jws(f"it is longer than {size_max_bytes} bytes")
    parts = compact.split(".")
    if len(parts) != 3 or not parts[1]:
        raise malformed_jws("it is not compact, or its payload is elsewhere")
    raw, payload, signature = map(decoded_part, parts)
    if len(raw) > HEADER_SIZE_MAX_BYTES:
        raise malformed_jws(f"its header is longer than {HEADER_SIZE_MAX_BYTES} bytes")
    try:
        header = read_object(raw, _HEADER_LIMITS)
    except Refused as error:
        raise malformed_jws(f"its header cannot be read ({error.message.rstrip('.')})") from error
    return ForeignJws(header, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def check_critical(header: Mapping[str, Any], understood: frozenset[str]) -> None:
    """Check that all that is critical is understood (RFC 7515, section 4.1.11), and the payload inside.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    critical = header.get("crit", [])
    if not isinstance(critical, list) or not all(isinstance(name, str) for name in critical):
        raise malformed_jws("`crit` is no list of names")
    is_named = len(set(critical)) == len(critical) and set(critical) <= header.keys()
    if not is_named or ("crit" in header and not critical):
        raise malformed_jws("`crit` is empty, or names a parameter twice or one that is not there")
    unknown = set(critical) - understood
    if unknown:
        raise malformed_jws(f"`crit` demands what is not supported: {', '.join(sorted(unknown))[:128]}")
    if "b64" in header or "sigD" in header:
        raise malformed_jws("its payload is not the one inside")


def chain_of_header(
    header: Mapping[str, Any],
    anchors: Sequence[Certificate],
    time_s: int,
    leeway_s: int = 0,
    purposes: frozenset[bytes] = SEAL_PURPOSES,
) -> VerifiedChain:
    """The certificates of a header (`x5c`), verified up to an anchor, which may be the last of them.

    Args:
        header: Of a JWS.
        anchors: Authorities that are trusted.
        time_s: At which all certificates must be valid; seconds since 1970.
        leeway_s: How far our clock may be off.
        purposes: Extended key usages, of which the first certificate has one, if it names any.

    Raises:
        Refused: `Code.MALFORMED`, or `Code.CERTIFICATE_INVALID`.
    """
    texts = header.get("x5c")
    if not isinstance(texts, list) or not 1 <= len(texts) <= CHAIN_LENGTH_MAX + 1:
        raise malformed_jws(f"`x5c` does not have 1 to {CHAIN_LENGTH_MAX + 1} certificates")
    if not all(isinstance(text, str) for text in texts):
        raise malformed_jws("`x5c` is no list of certificates")
    chain = [certificate_bytes(text) for text in texts]
    named = header.get("x5t#S256")
    if named is not None and named != to_base64url(hashlib.sha256(chain[0]).digest()):
        raise malformed_jws("`x5t#S256` names another certificate than the first of `x5c`")
    if len(chain) > 1 and any(chain[-1] == anchor.raw for anchor in anchors):
        chain.pop()  # many send the anchor along
    return verify_chain(chain, anchors, time_s, leeway_s, purposes)


def is_signed_by(jws: ForeignJws, key: CertifiedKey) -> bool:
    """Whether the owner of a key signed it, with an algorithm that is one of this kind of key."""
    kind, how = JWS_ALGORITHMS.get(jws.algorithm, ("", None))
    if how is None or kind != key.kind:
        return False
    signature = jws.signature
    if how.kind == "ECDSA":
        size = _ECDSA_SIZES_BYTES[kind]
        if len(signature) != size:
            return False
        r, s = int.from_bytes(signature[: size // 2]), int.from_bytes(signature[size // 2 :])
        signature = encode_dss_signature(r, s)
    return is_signature(key, how, jws.signing_input, signature)


def key_of_jwk(jwk: Any) -> CertifiedKey:
    """The public key that a JWK is (RFC 7517): P-256, P-384, Ed25519 or RSA.

    Raises:
        Refused: `Code.MALFORMED`; also for a private key, and for one that is not for signatures.
    """
    if not isinstance(jwk, dict) or not all(isinstance(jwk.get(name, ""), str) for name in _JWK_TEXTS):
        raise malformed_jws("a key is no JSON Web Key")
    if _PRIVATE_MEMBERS & jwk.keys():
        raise malformed_jws("a key is a private or secret one")
    if jwk.get("use", "sig") != "sig":
        raise malformed_jws("a key is not for signatures")
    key = _public_key(*(jwk.get(name, "") for name in ("kty", "crv", "x", "y", "n", "e")))
    named = JWS_ALGORITHMS.get(jwk.get("alg", ""))
    if "alg" in jwk and (named is None or named[0] != key.kind):
        raise malformed_jws("a key names an algorithm that is not one of its own")
    return key


_JWK_TEXTS: Final = ("kty", "crv", "x", "y", "n", "e", "use", "alg")


@lru_cache(_KEYS_CACHED_MAX)
def _public_key(kty: str, crv: str, x: str, y: str, n: str, e: str) -> CertifiedKey:
    if kty == "EC" and crv in {"P-256", "P-384"}:
        size = _ECDSA_SIZES_BYTES[crv] // 2
        a, b = decoded_part(x), decoded_part(y)
        is_point = is_p256_point if crv == "P-256" else is_p384_point
        if len(a) == len(b) == size and is_point(a, b):
            return CertifiedKey("P-256" if crv == "P-256" else "P-384", a + b)
    elif kty == "OKP" and crv == "Ed25519" and not y:
        raw = decoded_part(x)
        if len(raw) == 32 and is_ed25519_point(raw):
            return CertifiedKey("Ed25519", raw)
    elif kty == "RSA" and int.from_bytes(decoded_part(e)) == EXPONENT:
        modulus = decoded_part(n)
        bits = int.from_bytes(modulus).bit_length()
        if RSA_BITS_MIN <= bits <= RSA_BITS_MAX and modulus[:1] != b"\0" and modulus[-1] & 1:
            return CertifiedKey("RSA", modulus)
    raise malformed_jws("a key is of a kind that is not allowed, or no valid key")


def decoded_part(text: str) -> bytes:
    """The bytes of a part, of which it is the one base64url form.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    try:
        return from_base64url(text)
    except ValueError as error:
        raise malformed_jws(f"a part {error}") from error


def malformed_jws(what: str) -> Refused:
    """The refusal of what is no JWS, or demands what is not supported; `what` is the end of a sentence."""
    return Refused(Code.MALFORMED, what)
