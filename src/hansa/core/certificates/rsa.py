"""Verifying RSA signatures with whole numbers and hashes alone (RFC 8017).

A verdict is part of consensus. Libraries decide by their version and by the policy of the machine which sizes
of keys, hashes and encodings of a digest they take; arithmetic does not. Only public values are used, so the
time that it takes tells nobody anything: about a millisecond for 4,096 bits.
"""

from __future__ import annotations

import hashlib
from typing import Final

EXPONENT: Final = 65_537

_DIGEST_INFO: Final = {
    "SHA256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "SHA384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "SHA512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What stands in front of a hash (RFC 8017, section 9.2, note 1)."""


def is_pkcs1_signature(modulus: bytes, hash_name: str, signed: bytes, signature: bytes) -> bool:
    """Whether a signature of RSASSA-PKCS1-v1_5 is by the owner of a modulus (section 8.2.2)."""
    encoded = _encoded(modulus, signature)
    if encoded is None:
        return False
    info = _DIGEST_INFO[hash_name] + _digest(hash_name, signed)
    padding_size = len(modulus) - 3 - len(info)
    return encoded == b"\x00\x01" + b"\xff" * padding_size + b"\x00" + info


def is_pss_signature(modulus: bytes, hash_name: str, signed: bytes, signature: bytes) -> bool:
    """Whether a signature of RSASSA-PSS is by the owner of a modulus (sections 8.1.2 and 9.1.2).

    The mask is made with the same hash, and the salt is as long as the hash.
    """
    encoded = _encoded(modulus, signature)
    if encoded is None:
        return False
    bits = int.from_bytes(modulus).bit_length() - 1
    size = (bits + 7) // 8
    if any(encoded[: len(modulus) - size]):
        return False
    encoded = encoded[len(modulus) - size :]
    hashed = _digest(hash_name, signed)
    masked, digest, end = encoded[: size - len(hashed) - 1], encoded[size - len(hashed) - 1 : -1], encoded[-1]
    spare_bits = 8 * size - bits
    if end != 0xBC or masked[0] >> (8 - spare_bits):
        return False
    mask = _mask(hash_name, digest, len(masked))
    block = int.from_bytes(masked) ^ int.from_bytes(mask)
    block &= (1 << (8 * len(masked) - spare_bits)) - 1
    padded = block.to_bytes(len(masked))
    begin = len(masked) - len(hashed) - 1
    if padded[: begin + 1] != b"\x00" * begin + b"\x01":
        return False
    return digest == _digest(hash_name, b"\x00" * 8 + hashed + padded[begin + 1 :])


def _encoded(modulus: bytes, signature: bytes) -> bytes | None:
    """The encoded message of a signature in its one form; None for any other."""
    if len(signature) != len(modulus) or signature >= modulus:
        return None
    return pow(int.from_bytes(signature), EXPONENT, int.from_bytes(modulus)).to_bytes(len(modulus))


def _digest(hash_name: str, data: bytes) -> bytes:
    return hashlib.new(hash_name.lower(), data).digest()


def _mask(hash_name: str, seed: bytes, size: int) -> bytes:
    """MGF1 (section B.2.1)."""
    parts = bytearray()
    counter = 0
    while len(parts) < size:
        parts += _digest(hash_name, seed + counter.to_bytes(4))
        counter += 1
    return bytes(parts[:size])
