"""Keys of ML-DSA-65 (FIPS 204) in the form in which the engine stores them.

Libraries make such a key from a seed of 32 bytes and store the seed. CometBFT stores the expanded private
key, which `expand` computes (`ML-DSA.KeyGen_internal`, algorithm 6). Signing is the engine's work: nothing
here handles a message, and a key is made once, so a fraction of a second is no matter.

An element of the ring is a list of 256 coefficients below `Q`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

Q: Final = 8_380_417
SEED_SIZE_BYTES: Final = 32
PUBLIC_SIZE_BYTES: Final = 1952
PRIVATE_SIZE_BYTES: Final = 4032

_COEFFICIENTS: Final = 256
_ROWS: Final = 6
_COLUMNS: Final = 5
_ETA: Final = 4
_DROPPED_BITS: Final = 13
_INVERSE_OF_256: Final = 8_347_681
_ROOT_OF_UNITY: Final = 1753
_HEAD_SIZE_BYTES: Final = 128
"""Of an expanded key before its polynomials: two seeds and the hash of the public key."""

_Polynomial = list[int]


def _reversed_bits(number: int) -> int:
    return int(f"{number:08b}"[::-1], 2)


_ZETAS: Final = tuple(pow(_ROOT_OF_UNITY, _reversed_bits(k), Q) for k in range(_COEFFICIENTS))


def expand(seed: bytes) -> tuple[bytes, bytes]:
    """The private and the public key of a seed, in the packed forms of FIPS 204."""
    assert len(seed) == SEED_SIZE_BYTES, "a seed has 32 bytes"
    stretched = hashlib.shake_256(seed + bytes((_ROWS, _COLUMNS))).digest(128)
    public_seed, secret_seed, signing_seed = stretched[:32], stretched[32:96], stretched[96:]
    secrets = [_bounded(secret_seed + k.to_bytes(2, "little")) for k in range(_COLUMNS + _ROWS)]
    high, low = _split(public_seed, secrets)
    public = public_seed + b"".join(_packed(one, 10) for one in high)
    private = (
        public_seed
        + signing_seed
        + hashlib.shake_256(public).digest(64)
        + b"".join(_packed([(_ETA - value) % Q for value in one], 4) for one in secrets)
        + b"".join(_packed([(1 << 12) - value for value in one], _DROPPED_BITS) for one in low)
    )
    assert (len(private), len(public)) == (PRIVATE_SIZE_BYTES, PUBLIC_SIZE_BYTES), "sizes of FIPS 204"
    return private, public


def public_of(private: bytes) -> bytes:
    """The public key of an expanded private one; of bytes that are none, something else."""
    assert len(private) == PRIVATE_SIZE_BYTES, "an expanded key has 4,032 bytes"
    size = _COEFFICIENTS * 4 // 8
    secrets = [
        [(_ETA - value) % Q for value in _unpacked(private[at : at + size], 4)]
        for at in range(_HEAD_SIZE_BYTES, _HEAD_SIZE_BYTES + (_COLUMNS + _ROWS) * size, size)
    ]
    high, _ = _split(private[:32], secrets)
    return private[:32] + b"".join(_packed(one, 10) for one in high)


def _split(public_seed: bytes, secrets: Sequence[_Polynomial]) -> tuple[list[_Polynomial], list[_Polynomial]]:
    """High and low bits of the product of the public matrix and the secret, plus the error."""
    transformed = [_transform(one) for one in secrets[:_COLUMNS]]
    high, low = [], []
    for row, error in enumerate(secrets[_COLUMNS:]):
        total = [0] * _COEFFICIENTS
        for column, secret in enumerate(transformed):
            factor = _uniform(public_seed + bytes((column, row)))
            total = [(t + a * s) % Q for t, a, s in zip(total, factor, secret, strict=True)]
        values = [(a + b) % Q for a, b in zip(_transform_back(total), error, strict=True)]
        rests = [_centered(value) for value in values]
        low.append(rests)
        high.append([(value - rest) >> _DROPPED_BITS for value, rest in zip(values, rests, strict=True)])
    return high, low


def _centered(value: int) -> int:
    """The rest of a division by 2^13, above -2^12 and up to 2^12."""
    rest = value % (1 << _DROPPED_BITS)
    return rest - (1 << _DROPPED_BITS) if rest > 1 << (_DROPPED_BITS - 1) else rest


def _uniform(seed: bytes) -> _Polynomial:
    """An element of the transformed ring (algorithm 30)."""

    def candidates(stream: bytes) -> Iterator[int]:
        for at in range(0, len(stream) - 2, 3):
            value = int.from_bytes(stream[at : at + 3], "little") & 0x7FFFFF
            if value < Q:
                yield value

    return _sampled(hashlib.shake_128(seed).digest, candidates, 3 * 320)


def _bounded(seed: bytes) -> _Polynomial:
    """An element with small coefficients (algorithm 31)."""

    def candidates(stream: bytes) -> Iterator[int]:
        for byte in stream:
            for value in (byte & 15, byte >> 4):
                if value < 2 * _ETA + 1:
                    yield (_ETA - value) % Q

    return _sampled(hashlib.shake_256(seed).digest, candidates, 320)


def _sampled(
    digest: Callable[[int], bytes], candidates: Callable[[bytes], Iterator[int]], size_bytes: int
) -> _Polynomial:
    """The first candidates of a stream, of which as much is read as is needed."""
    while True:
        values = [
            value for value, _ in zip(candidates(digest(size_bytes)), range(_COEFFICIENTS), strict=False)
        ]
        if len(values) == _COEFFICIENTS:
            return values
        size_bytes *= 2


def _transform(polynomial: _Polynomial) -> _Polynomial:
    """The number-theoretic transform (algorithm 41)."""
    values, k, length = list(polynomial), 0, _COEFFICIENTS // 2
    while length:
        for start in range(0, _COEFFICIENTS, 2 * length):
            k += 1
            zeta = _ZETAS[k]
            for j in range(start, start + length):
                product = zeta * values[j + length] % Q
                values[j + length] = (values[j] - product) % Q
                values[j] = (values[j] + product) % Q
        length //= 2
    return values


def _transform_back(transformed: _Polynomial) -> _Polynomial:
    """Its inverse (algorithm 42)."""
    values, k, length = list(transformed), _COEFFICIENTS, 1
    while length < _COEFFICIENTS:
        for start in range(0, _COEFFICIENTS, 2 * length):
            k -= 1
            zeta = -_ZETAS[k]
            for j in range(start, start + length):
                value = values[j]
                values[j] = (value + values[j + length]) % Q
                values[j + length] = zeta * (value - values[j + length]) % Q
        length *= 2
    return [value * _INVERSE_OF_256 % Q for value in values]


def _packed(values: Sequence[int], bits: int) -> bytes:
    """Whole numbers of so many bits each, the first in the lowest bits (algorithm 16)."""
    number = sum(value << (bits * at) for at, value in enumerate(values))
    return number.to_bytes(len(values) * bits // 8, "little")


def _unpacked(raw: bytes, bits: int) -> _Polynomial:
    number = int.from_bytes(raw, "little")
    return [number >> (bits * at) & ((1 << bits) - 1) for at in range(_COEFFICIENTS)]
