"""Public keys of certificates, and the signatures that they verify: a closed list.

    ECDSA      on P-256 or P-384, with SHA-256, SHA-384 or SHA-512
    Ed25519    RFC 8410
    RSA        2,048 to 4,096 bits, exponent 65,537; PKCS #1 v1.5 or PSS with SHA-256, SHA-384 or SHA-512, for
               PSS with the same hash in the mask, and a salt as long as the hash

An algorithm is known by all bytes of its identifier, parameters included. Keys and signatures are checked
here, with whole numbers, before `cryptography` computes with them: no version of it is asked for an opinion
about a key or about the form of a signature. RSA is computed here as a whole (`hansa.core.certificates.rsa`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hansa.core.certificates import rsa
from hansa.core.certificates.der import (
    INTEGER,
    NULL,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    DerReader,
    encoded,
    malformed,
)
from hansa.core.curve_points import (
    ED25519_ORDER,
    P256_ORDER,
    P384_ORDER,
    is_ed25519_point,
    is_p256_point,
    is_p384_point,
)
from hansa.core.errors import Refused

RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 4096

KeyKind = Literal["P-256", "P-384", "Ed25519", "RSA"]


class CertifiedKey(msgspec.Struct, frozen=True):
    """A public key."""

    kind: KeyKind
    raw: bytes
    """Both coordinates of a point; the 32 bytes of an Ed25519 key; the modulus of an RSA key."""


class SignatureAlgorithm(msgspec.Struct, frozen=True):
    """How a certificate is signed."""

    kind: Literal["ECDSA", "Ed25519", "PKCS1", "PSS"]
    hash: str
    """`SHA256`, `SHA384` or `SHA512`; empty for Ed25519, which has its own."""


_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
_EC_KEY: Final = bytes.fromhex("2a8648ce3d0201")
_CURVES: Final[dict[bytes, KeyKind]] = {
    bytes.fromhex("2a8648ce3d030107"): "P-256",
    bytes.fromhex("2b81040022"): "P-384",
}
_CURVE_SIZE_BYTES: Final = {"P-256": 32, "P-384": 48}
_ORDERS: Final = {"P-256": P256_ORDER, "P-384": P384_ORDER}
_ED25519: Final = bytes.fromhex("2b6570")
_RSA: Final = bytes.fromhex("2a864886f70d010101")
_RSA_PSS: Final = bytes.fromhex("2a864886f70d01010a")
_MGF1: Final = bytes.fromhex("2a864886f70d010108")
_SHA2: Final = bytes.fromhex("6086480165030402")
_NULL: Final = encoded(NULL)


def _identifier(oid: bytes, *parameters: bytes) -> bytes:
    return encoded(SEQUENCE, encoded(OBJECT_IDENTIFIER, oid), *parameters)


def _pss(number: int, *hash_parameters: bytes) -> bytes:
    """The identifier of RSASSA-PSS with a hash (RFC 4055, section 3.1)."""
    hash_identifier = _identifier(_SHA2 + bytes((number,)), *hash_parameters)
    salt_bytes = 16 * (number + 1)
    return _identifier(
        _RSA_PSS,
        encoded(
            SEQUENCE,
            encoded(0xA0, hash_identifier),
            encoded(0xA1, _identifier(_MGF1, hash_identifier)),
            encoded(0xA2, encoded(INTEGER, bytes((salt_bytes,)))),
        ),
    )


def _algorithms() -> dict[bytes, SignatureAlgorithm]:
    """Every algorithm by its identifier."""
    known = {_identifier(_ED25519): SignatureAlgorithm("Ed25519", "")}
    for number, name in enumerate(_HASHES, start=1):
        ecdsa = bytes.fromhex("2a8648ce3d0403") + bytes((number + 1,))
        pkcs1 = bytes.fromhex("2a864886f70d0101") + bytes((number + 10,))
        known[_identifier(ecdsa)] = SignatureAlgorithm("ECDSA", name)
        known[_identifier(pkcs1, _NULL)] = SignatureAlgorithm("PKCS1", name)
        known[_pss(number, _NULL)] = known[_pss(number)] = SignatureAlgorithm("PSS", name)
    return known


ALGORITHMS: Final = _algorithms()
_EC_IDENTIFIERS: Final = {
    _identifier(_EC_KEY, encoded(OBJECT_IDENTIFIER, oid)): kind for oid, kind in _CURVES.items()
}
_ED25519_IDENTIFIER: Final = _identifier(_ED25519)
_RSA_IDENTIFIER: Final = _identifier(_RSA, _NULL)


def read_algorithm(identifier: bytes) -> SignatureAlgorithm:
    """The algorithm of an identifier."""
    algorithm = ALGORITHMS.get(identifier)
    if algorithm is None:
        raise malformed("it is signed with an algorithm that is not one of those that are allowed")
    return algorithm


def read_public_key(info: DerReader) -> CertifiedKey:
    """The key of a SubjectPublicKeyInfo, which is read to its end."""
    identifier = info.whole(SEQUENCE)
    bits = info.octets_of_bits()
    info.end()
    if identifier in _EC_IDENTIFIERS:
        return _ec_key(_EC_IDENTIFIERS[identifier], bits)
    if identifier == _ED25519_IDENTIFIER and len(bits) == 32 and is_ed25519_point(bits):
        return CertifiedKey("Ed25519", bits)
    if identifier == _RSA_IDENTIFIER:
        return _rsa_key(bits)
    raise malformed("its key is of a kind that is not allowed, or no valid key")


def _ec_key(kind: KeyKind, bits: bytes) -> CertifiedKey:
    size = _CURVE_SIZE_BYTES[kind]
    is_point = is_p256_point if kind == "P-256" else is_p384_point
    is_uncompressed = len(bits) == 1 + 2 * size and bits[0] == 4
    if not is_uncompressed or not is_point(bits[1 : 1 + size], bits[1 + size :]):
        raise malformed(f"its key is no uncompressed point of {kind}")
    return CertifiedKey(kind, bits[1:])


def _rsa_key(bits: bytes) -> CertifiedKey:
    outer = DerReader(bits)
    numbers = outer.inside(SEQUENCE)
    outer.end()
    modulus = numbers.natural(RSA_BITS_MAX // 8)
    exponent = numbers.natural(4)
    numbers.end()
    if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX or modulus % 2 == 0:
        raise malformed(f"its RSA key has {modulus.bit_length()} bits, or an even modulus")
    if exponent != rsa.EXPONENT:
        raise malformed("the exponent of its RSA key is not 65537")
    return CertifiedKey("RSA", modulus.to_bytes((modulus.bit_length() + 7) // 8))


def is_signature(key: CertifiedKey, algorithm: SignatureAlgorithm, signed: bytes, signature: bytes) -> bool:
    """Whether the owner of a key made a signature over some bytes, as certificates carry it."""
    try:
        if algorithm.kind == "ECDSA" and key.kind in _ORDERS:
            _verify_ecdsa(key, algorithm.hash, signed, signature)
        elif algorithm.kind == key.kind == "Ed25519":
            _verify_ed25519(key, signed, signature)
        elif algorithm.kind in {"PKCS1", "PSS"} and key.kind == "RSA":
            _verify_rsa(key, algorithm, signed, signature)
        else:
            return False
    except (InvalidSignature, Refused):
        return False
    return True


def _verify_ecdsa(key: CertifiedKey, hash_name: str, signed: bytes, signature: bytes) -> None:
    order, size = _ORDERS[key.kind], _CURVE_SIZE_BYTES[key.kind]
    outer = DerReader(signature)
    numbers = outer.inside(SEQUENCE)
    outer.end()
    r, s = numbers.natural(size), numbers.natural(size)
    numbers.end()
    if not (0 < r < order and 0 < s < order):
        raise InvalidSignature
    x, y = int.from_bytes(key.raw[:size]), int.from_bytes(key.raw[size:])
    curve = ec.SECP256R1() if key.kind == "P-256" else ec.SECP384R1()
    public = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_HASHES[hash_name]()))


def _verify_ed25519(key: CertifiedKey, signed: bytes, signature: bytes) -> None:
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= ED25519_ORDER:
        raise InvalidSignature
    ed25519.Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)


def _verify_rsa(key: CertifiedKey, algorithm: SignatureAlgorithm, signed: bytes, signature: bytes) -> None:
    is_right = rsa.is_pss_signature if algorithm.kind == "PSS" else rsa.is_pkcs1_signature
    if not is_right(key.raw, algorithm.hash, signed, signature):
        raise InvalidSignature
