"""Our arithmetic of RSA signatures judges as an implementation that is not ours."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.certificates.rsa import is_pkcs1_signature, is_pss_signature
from tests.support.certificates import Hash, new_key

HASHES: dict[str, Hash] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
BITS = (2048, 2049, 2050, 2054)
"""The encoded message of PSS is a byte shorter than the modulus of 2,049 bits."""


@cache
def key_of(bits: int) -> Any:
    if bits % 2 == 0:
        return new_key(str(bits))
    p, q = key_of(bits + 1).private_numbers().p, key_of(bits - 1).private_numbers().q
    d = pow(65537, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        *(p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)),
        rsa.RSAPublicNumbers(65537, p * q),
    ).private_key()


def modulus_of(bits: int) -> bytes:
    number = key_of(bits).public_key().public_numbers().n
    assert number.bit_length() == bits
    return bytes(number.to_bytes((bits + 7) // 8))


def pss(algorithm: Hash, salt: int | None = None) -> padding.PSS:
    return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size if salt is None else salt)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", HASHES)
def test_a_signature_of_each_scheme_and_size_verifies(bits: int, name: str) -> None:
    algorithm = HASHES[name]
    pkcs1 = key_of(bits).sign(b"signed", padding.PKCS1v15(), algorithm)
    assert is_pkcs1_signature(modulus_of(bits), name, b"signed", pkcs1)
    assert not is_pkcs1_signature(modulus_of(bits), name, b"other", pkcs1)
    assert not is_pss_signature(modulus_of(bits), name, b"signed", pkcs1)
    masked = key_of(bits).sign(b"signed", pss(algorithm), algorithm)
    assert is_pss_signature(modulus_of(bits), name, b"signed", masked)
    assert not is_pss_signature(modulus_of(bits), name, b"other", masked)
    assert not is_pkcs1_signature(modulus_of(bits), name, b"signed", masked)


def test_a_signature_of_another_key_hash_or_salt_does_not() -> None:
    algorithm = HASHES["SHA256"]
    pkcs1 = key_of(2048).sign(b"signed", padding.PKCS1v15(), algorithm)
    assert not is_pkcs1_signature(modulus_of(2054), "SHA256", b"signed", pkcs1)
    assert not is_pkcs1_signature(modulus_of(2048), "SHA512", b"signed", pkcs1)
    for salt in (0, 20, 31, 33):
        masked = key_of(2048).sign(b"signed", pss(algorithm, salt), algorithm)
        assert not is_pss_signature(modulus_of(2048), "SHA256", b"signed", masked)


def forged(bits: int, encoded: bytes) -> bytes:
    """A signature whose encoded message is whatever the owner of the key wants it to be."""
    private = key_of(bits).private_numbers()
    modulus = modulus_of(bits)
    return pow(int.from_bytes(encoded), private.d, int.from_bytes(modulus)).to_bytes(len(modulus))


def test_an_encoded_message_in_another_form_does_not_verify() -> None:
    """What lenient readers took: a shorter padding, bytes behind the hash, no parameters, other markers."""
    import hashlib

    digest = hashlib.sha256(b"signed").digest()
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    bare = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest
    size = 256
    right = b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
    assert is_pkcs1_signature(modulus_of(2048), "SHA256", b"signed", forged(2048, right))
    wrong = [
        b"\x00\x01" + b"\xff" * 8 + b"\x00" + info + b"\x00" * (size - 11 - len(info)),
        b"\x00\x02" + right[2:],
        b"\x00\x01" + b"\xff" * (size - 3 - len(bare)) + b"\x00" + bare,
        right[:20] + b"\xfe" + right[21:],
        b"\x00\x01" + b"\xff" * (size - 2 - len(info)) + info,
    ]
    for encoded in wrong:
        assert len(encoded) == size
        assert not is_pkcs1_signature(modulus_of(2048), "SHA256", b"signed", forged(2048, encoded))


def test_a_signature_has_one_form() -> None:
    modulus = modulus_of(2048)
    signature = key_of(2048).sign(b"signed", padding.PKCS1v15(), HASHES["SHA256"])
    beyond = int.from_bytes(signature) + int.from_bytes(modulus)
    assert not is_pkcs1_signature(modulus, "SHA256", b"signed", b"\x00" + signature)
    assert not is_pkcs1_signature(modulus, "SHA256", b"signed", signature[1:])
    assert not is_pkcs1_signature(modulus, "SHA256", b"signed", beyond.to_bytes(257))
    assert not is_pkcs1_signature(modulus, "SHA256", b"signed", modulus)
    assert not is_pss_signature(modulus, "SHA256", b"signed", b"")
    assert not is_pss_signature(modulus, "SHA256", b"signed", bytes(256))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(BITS), st.booleans(), st.integers(0, 2054), st.binary(max_size=40))
def test_a_changed_bit_is_noticed(bits: int, is_pss: bool, bit: int, signed: bytes) -> None:
    algorithm = HASHES["SHA256"]
    scheme = pss(algorithm) if is_pss else padding.PKCS1v15()
    signature = bytearray(key_of(bits).sign(signed, scheme, algorithm))
    bit %= 8 * len(signature)
    signature[bit // 8] ^= 1 << bit % 8
    check = is_pss_signature if is_pss else is_pkcs1_signature
    assert not check(modulus_of(bits), "SHA256", signed, bytes(signature))
