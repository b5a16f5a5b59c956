"""Whether the bytes of a public key are a point that may verify signatures (RFC 8032, FIPS 186-5).

Libraries differ in what they load: the identity, points of small order and encodings beyond the field's
prime pass in some of them, and with such a key one signature fits many messages. A key is judged by every
validator, so it is judged here, with whole numbers alone. It takes some milliseconds, once a key
while it is among the last thousand.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_SQRT_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)
_P384_P: Final = 2**384 - 2**128 - 2**96 + 2**32 - 1
_P384_B: Final = int(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef", 16
)

_Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, x y = T/Z."""
_IDENTITY: Final[_Point] = (0, 1, 1, 0)


def is_p256_point(x: bytes, y: bytes) -> bool:
    """Whether two coordinates of 32 bytes are a point of P-256, whose order is prime."""
    assert len(x) == len(y) == 32, "a coordinate has 32 bytes"
    a, b = int.from_bytes(x), int.from_bytes(y)
    return a < _P256_P and b < _P256_P and (b * b - (a * a * a - 3 * a + _P256_B)) % _P256_P == 0


def is_p384_point(x: bytes, y: bytes) -> bool:
    """Whether two coordinates of 48 bytes are a point of P-384, whose order is prime."""
    assert len(x) == len(y) == 48, "a coordinate has 48 bytes"
    a, b = int.from_bytes(x), int.from_bytes(y)
    return a < _P384_P and b < _P384_P and (b * b - (a * a * a - 3 * a + _P384_B)) % _P384_P == 0


@lru_cache(1024)
def is_ed25519_point(raw: bytes) -> bool:
    """Whether 32 bytes are the one encoding of a point of prime order, not of the identity."""
    assert len(raw) == 32, "a public key has 32 bytes"
    point = _decompressed(raw)
    return point is not None and not _is_identity(point) and _is_identity(_times(ED25519_ORDER, point))


def _decompressed(raw: bytes) -> _Point | None:
    """The point of its one encoding (RFC 8032, section 5.1.3), or None."""
    encoded = int.from_bytes(raw, "little")
    sign, y = encoded >> 255, encoded & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _added(one: _Point, other: _Point) -> _Point:
    """The sum of two points; complete, so it holds for equal ones too (RFC 8032, section 5.1.4)."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, point: _Point) -> _Point:
    result = _IDENTITY
    while factor:
        if factor & 1:
            result = _added(result, point)
        point = _added(point, point)
        factor >>= 1
    return result


def _is_identity(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0
