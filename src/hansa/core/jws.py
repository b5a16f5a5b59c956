"""Compact JSON Web Signatures (RFC 7515) of which each has one byte string, read by no library.

    header . payload . signature        each in base64url (RFC 4648, section 5), without padding or loose bits

The header is a closed form (`hansa.core.closed_json`): which one follows from what the signature is for, so
none passes for another purpose. Events and batches carry the header of a JAdES B-B signature (ETSI TS 119
182-1: `alg`, `cty`, `iat`, `kid`, `typ`), requests between members and access tokens that of a token
(`alg`, `kid`, `typ`). A signature has 64 bytes; of the two ES256 signatures that verify, (r, s) and (r, n -
s), only the one with the lower s is one, so nobody can make another transaction of somebody's signature.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.closed_json import Integer, Record, Text
from hansa.core.curve_points import ED25519_ORDER, P256_ORDER
from hansa.core.errors import Code, Refused

SIGNATURE_SIZE_BYTES: Final = 64

KEY_ID: Final = Text(r"[A-Za-z0-9._~:#/+=-]{1,256}")
"""Names of keys: JWK thumbprints (RFC 7638), or fragments of a DID document."""
_ALGORITHM: Final = Text("ES256|Ed25519")
NUMERIC_DATE: Final = Integer(0, 253_402_300_799)
"""Seconds from 1970 to the end of the year 9999."""


def token_header(typ: str) -> Record:
    """The header of a token of one media type (RFC 7519, section 5.1)."""
    return Record({"alg": _ALGORITHM, "kid": KEY_ID, "typ": Text(re.escape(typ))})


def jades_header(content_type: str) -> Record:
    """The header of a JAdES B-B signature over one media type; `iat` is the claimed signing time."""
    return Record(
        {
            "alg": _ALGORITHM,
            "cty": Text(re.escape(content_type)),
            "iat": NUMERIC_DATE,
            "kid": KEY_ID,
            "typ": Text("jose"),
        }
    )


class CompactJws(msgspec.Struct, frozen=True):
    """The parts of a compact JWS, *unverified*: good for choosing the key, for nothing else."""

    algorithm: str
    kid: str
    payload: bytes
    signing_input: bytes
    """What is signed: header and payload as they are written (RFC 7515, section 5.1)."""
    signature: bytes


def signing_input(header: Record, fields: dict[str, Any], payload: bytes) -> bytes:
    """What a signature with that header is made over."""
    return f"{to_base64url(header.write(fields))}.{to_base64url(payload)}".encode("ascii")


def compact_jws(signed: bytes, signature: bytes) -> str:
    """The compact form of a signing input and its signature."""
    assert len(signature) == SIGNATURE_SIZE_BYTES, "both algorithms have signatures of 64 bytes"
    return f"{signed.decode('ascii')}.{to_base64url(signature)}"


def read_compact(compact: str, header: Record) -> CompactJws:
    """The parts of a compact JWS with a header of that form.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    parts = compact.split(".")
    if len(parts) != 3 or not compact.isascii():
        raise _malformed()
    fields = header.read(_decoded(parts[0]))
    payload, signature = _decoded(parts[1]), _decoded(parts[2])
    if not is_canonical_signature(fields["alg"], signature):
        raise _malformed()
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    return CompactJws(fields["alg"], fields["kid"], payload, signed, signature)


def is_canonical_signature(algorithm: str, signature: bytes) -> bool:
    """Whether a signature is the one form of itself: numbers below the group's order, the lower s."""
    if len(signature) != SIGNATURE_SIZE_BYTES:
        return False
    if algorithm == "ES256":
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        return 0 < r < P256_ORDER and 0 < s <= P256_ORDER // 2
    return int.from_bytes(signature[32:], "little") < ED25519_ORDER


def _decoded(text: str) -> bytes:
    """The bytes that a text is the one base64url form of."""
    try:
        return from_base64url(text)
    except ValueError as error:
        raise _malformed() from error


def _malformed() -> Refused:
    return Refused(Code.MALFORMED, "This is not a compact JSON Web Signature in its one form.")
