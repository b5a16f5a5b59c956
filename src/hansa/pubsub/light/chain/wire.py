"""Fields of protobuf messages, written in the one way in which CometBFT hashes and signs them.

Proto3 without unknown fields: fields in the order of their numbers, zero values left out.
"""

from __future__ import annotations

from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_NANOS: Final = 1_000_000_000
_MASK: Final = (1 << 64) - 1


def varint(value: int) -> bytes:
    """An unsigned varint; a negative number of 64 bits as its two's complement."""
    value &= _MASK
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def number(field: int, value: int) -> bytes:
    """An integer field; nothing for 0."""
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def fixed64(field: int, value: int) -> bytes:
    """An `sfixed64` field; nothing for 0."""
    return varint(field << 3 | _FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""


def data(field: int, value: bytes) -> bytes:
    """A field of bytes or text; nothing when it is empty."""
    return message(field, value) if value else b""


def message(field: int, value: bytes) -> bytes:
    """A field that holds a message, which is written even when it is empty."""
    return varint(field << 3 | _LENGTH) + varint(len(value)) + value


def timestamp(time_ns: int) -> bytes:
    """A `google.protobuf.Timestamp` of nanoseconds since 1970."""
    seconds, nanos = divmod(time_ns, _NANOS)
    return number(1, seconds) + number(2, nanos)


def delimited(value: bytes) -> bytes:
    """A message behind its length."""
    return varint(len(value)) + value
