"""Which points verify signatures."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from hansa.core.curve_points import is_ed25519_point, is_p256_point

SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
)
NOT_CANONICAL = (
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
MIXED_ORDER = "8fbd2a1f3b6cfd35280d9611b2136fc2546ea7f68a1acbb62a22b2de7cfb3c9e"


def test_made_keys_are_points_of_the_right_group() -> None:
    for _ in range(5):
        assert is_ed25519_point(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw())
        numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
        x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
        assert is_p256_point(x, y)
        assert not is_p256_point(y, x)


@pytest.mark.parametrize("encoded", [*SMALL_ORDER, *NOT_CANONICAL, MIXED_ORDER])
def test_points_that_verify_more_than_they_should_are_refused(encoded: str) -> None:
    assert not is_ed25519_point(bytes.fromhex(encoded))


def test_the_origin_and_coordinates_beyond_the_prime_are_no_points_of_p256() -> None:
    assert not is_p256_point(bytes(32), bytes(32))
    assert not is_p256_point(b"\xff" * 32, b"\xff" * 32)
