"""COSE_Sign1 and COSE_Key (RFC 9052), as mdocs have them, in the terms of JSON Web Signatures.

A COSE_Sign1 is a JWS in another spelling: a protected header with an algorithm, a payload, and for ECDSA the
same signature (r and s). So it is read into a `ForeignJws`, and whoever signed it is found, and judged, by
the one code that does it for all formats. The protected header of an mdoc's signature has the algorithm
alone; certificates are in the unprotected one (`x5chain`, RFC 9360), where ISO/IEC 18013-5 wants them: what
they say is proved by the chain and not by where they stand. A token that says what it is has type and
certificates in the protected header.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from hansa.core.base64url import to_base64url
from hansa.core.bounded_cbor import read_cbor, write_cbor
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.errors import Refused
from hansa.identity.credentials.refusals import malformed
from hansa.identity.foreign_jws import ForeignJws, key_of_jwk

COSE_ALGORITHMS: Final[Mapping[int, str]] = {
    -7: "ES256",
    -9: "ES256",
    -35: "ES384",
    -51: "ES384",
    -8: "EdDSA",
    -19: "Ed25519",
}
"""ES256, ESP256 (RFC 9864), ES384, ESP384, EdDSA and Ed25519, by the names of JWS."""

_ALGORITHM, _KEY_ID, _TYPE, _CERTIFICATES = 1, 4, 16, 33
_KEY_TYPE, _CURVE, _X, _Y = 1, -1, -2, -3
_OCTET_KEY_PAIR, _ELLIPTIC = 1, 2
_CURVES: Final[Mapping[tuple[Any, Any], str]] = {
    (_ELLIPTIC, 1): "P-256",
    (_ELLIPTIC, 2): "P-384",
    (_OCTET_KEY_PAIR, 6): "Ed25519",
}
_PRIVATE: Final = -4
_PARTS: Final = 4


def read_sign1(value: Any, detached: bytes | None = None) -> ForeignJws:
    """A COSE_Sign1, *unverified*.

    Args:
        value: The CBOR array, without a tag.
        detached: The payload, when it is not inside; None: it has to be.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    header, unprotected, signed = _read(value, detached)
    if header.keys() != {_ALGORITHM} or _ALGORITHM in unprotected:
        raise malformed("the protected header of a signature does not have the algorithm alone")
    return _as_jws(header, unprotected.get(_CERTIFICATES), *signed)


def read_typed_sign1(value: Any, typ: str) -> ForeignJws:
    """A COSE_Sign1 that says what it is (RFC 9596), *unverified*, with its payload inside.

    Args:
        value: The CBOR array, without a tag.
        typ: The media type that it has to have, without `application/`.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    header, unprotected, signed = _read(value, None)
    if not {_ALGORITHM, _TYPE} <= header.keys() <= {_ALGORITHM, _TYPE, _KEY_ID, _CERTIFICATES}:
        raise malformed(
            "the protected header has other parameters than algorithm, type, key and certificates"
        )
    if not unprotected.keys() <= {_KEY_ID, _CERTIFICATES} or header.keys() & unprotected.keys():
        raise malformed("the unprotected header has something that is not understood, or protected too")
    named = header[_TYPE]
    if not isinstance(named, str) or named.lower().removeprefix("application/") != typ:
        raise malformed(f"its header says that it is {named!r}, which is something else (`typ`)")
    return _as_jws(header, header.get(_CERTIFICATES, unprotected.get(_CERTIFICATES)), *signed)


def _read(
    value: Any, detached: bytes | None
) -> tuple[dict[Any, Any], dict[Any, Any], tuple[bytes, bytes, bytes]]:
    """The headers of a COSE_Sign1, and what was signed: the protected header, the payload, the signature."""
    if not isinstance(value, list) or len(value) != _PARTS:
        raise malformed("a signature is no COSE_Sign1")
    protected, unprotected, inside, signature = value
    is_typed = isinstance(protected, bytes) and isinstance(unprotected, dict) and isinstance(signature, bytes)
    if not is_typed or (inside is not None if detached is not None else not isinstance(inside, bytes)):
        raise malformed("a signature has parts of other types than a COSE_Sign1, or its payload elsewhere")
    header = cbor_map(protected, "the protected header of a signature")
    return header, unprotected, (protected, inside if detached is None else detached, signature)


def _as_jws(
    header: Mapping[Any, Any], certificates: Any, protected: bytes, payload: bytes, signature: bytes
) -> ForeignJws:
    number = header[_ALGORITHM]
    algorithm = COSE_ALGORITHMS.get(number) if isinstance(number, int) else None
    if algorithm is None:
        raise malformed(f"the algorithm {number!r} of a signature is none that is allowed")
    fields: dict[str, Any] = {"alg": algorithm}
    if certificates is not None:
        fields["x5c"] = _certificates(certificates)
    return ForeignJws(fields, payload, write_cbor(["Signature1", protected, b"", payload]), signature)


def _certificates(value: Any) -> list[str]:
    """Certificates as `x5c` has them: `x5chain` is one of them, or a list."""
    chain = value if isinstance(value, list) else [value]
    if not all(isinstance(one, bytes) for one in chain):
        raise malformed("`x5chain` has something that is no certificate")
    return [base64.b64encode(one).decode("ascii") for one in chain]


def read_cose_key(value: Any) -> CertifiedKey:
    """A public key.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`; also for a private one.
    """
    if not isinstance(value, dict) or _PRIVATE in value:
        raise malformed("a key is no public COSE_Key")
    kind = value.get(_KEY_TYPE)
    number = value.get(_CURVE)
    is_named = type(kind) is int and type(number) is int
    curve = _CURVES.get((kind, number)) if is_named else None
    names = {"x": _X} if kind == _OCTET_KEY_PAIR else {"x": _X, "y": _Y}
    if curve is None or not all(isinstance(value.get(label), bytes) for label in names.values()):
        raise malformed("a COSE_Key is of a kind that is not allowed")
    coordinates = {name: to_base64url(value[label]) for name, label in names.items()}
    try:
        return key_of_jwk({"kty": "EC" if kind == _ELLIPTIC else "OKP", "crv": curve, **coordinates})
    except Refused as error:
        raise malformed(error.message) from error


def cbor_value(raw: bytes, what: str) -> Any:
    """The value that some bytes are; see `read_cbor`.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, naming what it is.
    """
    try:
        return read_cbor(raw)
    except Refused as error:
        raise malformed(f"{what} cannot be read: {error.message}") from error


def cbor_map(raw: bytes, what: str) -> dict[Any, Any]:
    """The map that some bytes are; see `cbor_value`.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, naming what it is.
    """
    value = cbor_value(raw, what)
    if not isinstance(value, dict):
        raise malformed(f"{what} is no map")
    return value
