"""JAdES baseline B-B signatures of others (ETSI TS 119 182-1), in both forms of the claimed signing time.

    iat     whole seconds, as signatures of version 1.2 and later have it, those of a league too
    sigT    a text, named in `crit`: the older form, in which DOME's documents are signed

Here is what comes from outside of a league: compact, with the payload inside, and with the certificates of
the signer (`x5c`), which lead to trust anchors that the caller names. Algorithms are ES256, ES384, Ed25519,
RS256, RS384, RS512, PS256, PS384 and PS512. A header parameter that is critical and none of these, a payload
elsewhere (`sigD`, `b64`) and an address to fetch anything from are refused or ignored, never followed. The
ledger does not use this: what its voters judge has one byte string (`hansa.core.jws`), and certificates stand
on it (`hansa.pubsub.ledger.rules.certificates`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hansa.core.bounded_json import read_object
from hansa.core.certificates import CHAIN_LENGTH_MAX, Certificate, VerifiedChain, verify_chain
from hansa.core.certificates.algorithms import SignatureAlgorithm, is_signature
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.core.trust.certificates import certificate_bytes

JADES_SIZE_MAX_BYTES: Final = 1_048_576
HEADER_SIZE_MAX_BYTES: Final = 65_536
SIGNED_AHEAD_MAX_S: Final = 300
"""How far a claimed signing time may lie ahead."""

_ALGORITHMS: Final = {
    "ES256": ("P-256", SignatureAlgorithm("ECDSA", "SHA256")),
    "ES384": ("P-384", SignatureAlgorithm("ECDSA", "SHA384")),
    "Ed25519": ("Ed25519", SignatureAlgorithm("Ed25519", "")),
    "EdDSA": ("Ed25519", SignatureAlgorithm("Ed25519", "")),
    **{f"RS{size}": ("RSA", SignatureAlgorithm("PKCS1", f"SHA{size}")) for size in (256, 384, 512)},
    **{f"PS{size}": ("RSA", SignatureAlgorithm("PSS", f"SHA{size}")) for size in (256, 384, 512)},
}
_UNDERSTOOD: Final = frozenset({"sigT"})
"""What may be critical."""
_LIMITS: Final = Limits(
    body_depth_max=8, body_nodes_max=1000, array_length_max_items=64, string_length_max_chars=16_384
)
_BASE64URL: Final = re.compile("[A-Za-z0-9_-]*", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class JadesDocument(msgspec.Struct, frozen=True):
    """What somebody signed, verified."""

    payload: bytes
    content_type: str
    """`cty` of the header; empty when there is none."""
    algorithm: str
    signed_at_s: int
    """When the signer says that it was signed; seconds since 1970."""
    chain: VerifiedChain
    """Whose key signed."""

    @property
    def did(self) -> str | None:
        """The did:elsi of the signer; None when its certificate names no organization."""
        identifier = self.chain.leaf.subject.organization_identifier
        return None if identifier is None else f"did:elsi:{identifier}"


def verify_jades(compact: str, anchors: Sequence[Certificate], time_s: int) -> JadesDocument:
    """The content of a JAdES B-B signature that is valid at a time.

    Args:
        compact: JWS in compact form; a line break at the end is no part of it.
        anchors: Authorities that are trusted.
        time_s: Of now, or of a time that others have attested; seconds since 1970. The time in the signature
            is a claim.

    Raises:
        Refused: `Code.MALFORMED`, when it is no such signature; `Code.CERTIFICATE_INVALID`, when the signer's
            certificate cannot be trusted; `Code.EVENT_SIGNATURE_INVALID`, when its key did not sign.
    """
    if len(compact) > JADES_SIZE_MAX_BYTES:
        raise _malformed(f"it is longer than {JADES_SIZE_MAX_BYTES} bytes")
    parts = compact.rstrip("\r\n").split(".")
    if len(parts) != 3 or not parts[1]:
        raise _malformed("it is not compact, or its payload is elsewhere")
    raw, payload, signature = map(_decoded, parts)
    if len(raw) > HEADER_SIZE_MAX_BYTES:
        raise _malformed(f"its header is longer than {HEADER_SIZE_MAX_BYTES} bytes")
    header = read_object(raw, _LIMITS)
    _check_critical(header)
    signed_at_s = _signing_time_s(header)
    chain = _verified_chain(header, anchors, time_s)
    if signed_at_s > time_s + SIGNED_AHEAD_MAX_S or not chain.leaf.is_valid_at(signed_at_s):
        raise _malformed("its signing time is in the future, or not within the validity of the certificate")
    algorithm = header.get("alg")
    kind, how = _ALGORITHMS.get(algorithm, ("", None)) if isinstance(algorithm, str) else ("", None)
    if how is None or kind != chain.leaf.key.kind:
        raise _malformed("its algorithm is not one of those that are allowed, or not that of the key")
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    encoded = _as_certificates_have_it(signature) if how.kind == "ECDSA" else signature
    if not is_signature(chain.leaf.key, how, signed, encoded):
        raise Refused(Code.EVENT_SIGNATURE_INVALID, "The key of the certificate did not sign this.")
    content_type = header.get("cty", "")
    return JadesDocument(
        payload=payload,
        content_type=content_type if isinstance(content_type, str) else "",
        algorithm=str(algorithm),
        signed_at_s=signed_at_s,
        chain=chain,
    )


def _check_critical(header: dict[str, Any]) -> None:
    """All that is critical is understood (RFC 7515, section 4.1.11), and `sigT` is critical."""
    critical = header.get("crit", ["sigT"] if "sigT" not in header else [])
    if not isinstance(critical, list) or not all(isinstance(name, str) for name in critical):
        raise _malformed("`crit` is no list of names")
    if "crit" in header and (
        not critical or len(set(critical)) < len(critical) or not set(critical) <= header.keys()
    ):
        raise _malformed("`crit` is empty, or names a parameter twice or one that is not there")
    unknown = set(critical) - _UNDERSTOOD
    if unknown:
        raise _malformed(f"`crit` demands what is not supported: {', '.join(sorted(unknown))[:128]}")
    if "sigT" in header and "sigT" not in critical:
        raise _malformed("`sigT` is not critical")
    if "b64" in header or "sigD" in header:
        raise _malformed("its payload is not the one inside")


def _signing_time_s(header: dict[str, Any]) -> int:
    """The claimed signing time: one of both forms, and not both."""
    if ("iat" in header) == ("sigT" in header):
        raise _malformed("it has two signing times, or none")
    if "iat" in header:
        claimed = header["iat"]
        if isinstance(claimed, bool) or not isinstance(claimed, int) or not 0 <= claimed < 2**53:
            raise _malformed("`iat` is no number of seconds")
        return claimed
    text = header["sigT"]
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise _malformed("`sigT` is no time in UTC")
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    except ValueError:
        raise _malformed("`sigT` is no time in UTC") from None


def _verified_chain(header: dict[str, Any], anchors: Sequence[Certificate], time_s: int) -> VerifiedChain:
    texts = header.get("x5c")
    if not isinstance(texts, list) or not 1 <= len(texts) <= CHAIN_LENGTH_MAX + 1:
        raise _malformed(f"`x5c` does not have 1 to {CHAIN_LENGTH_MAX + 1} certificates")
    if not all(isinstance(text, str) for text in texts):
        raise _malformed("`x5c` is no list of certificates")
    chain = [certificate_bytes(text) for text in texts]
    named = header.get("x5t#S256")
    if named is not None and named != _encoded(hashlib.sha256(chain[0]).digest()):
        raise _malformed("`x5t#S256` names another certificate than the first of `x5c`")
    trusted = {anchor.raw for anchor in anchors}
    if len(chain) > 1 and chain[-1] in trusted:
        chain.pop()  # many send the anchor along
    return verify_chain(chain, anchors, time_s)


def _as_certificates_have_it(signature: bytes) -> bytes:
    """An ECDSA signature of JOSE (RFC 7518, section 3.4) in DER."""
    half = len(signature) // 2
    return (
        encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        if half
        else b""
    )


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    if _BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
        raise _malformed("a part is no base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(raw) != text:
        raise _malformed("a part is not in its one base64url form")
    return raw


def _malformed(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"This is no JAdES B-B signature that can be accepted: {what}.")
