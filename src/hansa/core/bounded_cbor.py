"""CBOR of others (RFC 8949), read in one way alone and within bounds; and written in that way.

What is read has exactly one byte string: integers and lengths are as short as possible, everything has a
definite length, texts are UTF-8, no map has a key twice (the rules of ISO/IEC 18013-5 for encoding; the order
of keys is free there, and here). So whatever was read is written again as the same bytes, short floats
apart, and the bytes that somebody signed inside of a structure can be had from its value.

Tags are data: no value is made of one, as libraries do that know dozens of them (numbers without bounds,
regular expressions, references within the document). Which of them means something is for the caller to say.
Bounded are the nesting and the number of values.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused

DEPTH_MAX: Final = 24
NODES_MAX: Final = 4000

_NATURAL, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIZES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_SIMPLE_VALUES: Final = {20: False, 21: True, 22: None}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}


class Tagged(msgspec.Struct, frozen=True):
    """A value with a tag."""

    number: int
    value: Any


def read_cbor(raw: bytes, depth_max: int = DEPTH_MAX, nodes_max: int = NODES_MAX) -> Any:
    """The value that some bytes are, all of them.

    Returns:
        int, bytes, str, list, dict, bool, None, float, or `Tagged`. Keys of a dict are int, str or bytes.

    Raises:
        Refused: `Code.MALFORMED`, with the end of a sentence that begins with "it".
    """
    reader = _Reader(raw, nodes_max)
    value = reader.value(depth_max)
    if reader.position != len(raw):
        raise _malformed("has something behind its end")
    return value


def write_cbor(value: Any) -> bytes:
    """The one byte string of a value; of what `read_cbor` returns, the bytes that it was read from.

    A float is written with eight bytes, so that one that was read from fewer comes out longer.
    """
    if value is None or isinstance(value, bool):
        return bytes((_SIMPLE << 5 | {False: 20, True: 21, None: 22}[value],))
    if isinstance(value, int):
        return _head(_NATURAL, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(_TEXT, len(text)) + text
    if isinstance(value, list | tuple):
        return _head(_ARRAY, len(value)) + b"".join(map(write_cbor, value))
    if isinstance(value, dict):
        items = (write_cbor(key) + write_cbor(item) for key, item in value.items())
        return _head(_MAP, len(value)) + b"".join(items)
    if isinstance(value, Tagged):
        return _head(_TAG, value.number) + write_cbor(value.value)
    assert isinstance(value, float), "there is no CBOR of anything else here"
    return struct.pack(">Bd", _SIMPLE << 5 | 27, value)


class _Reader:
    def __init__(self, raw: bytes, nodes_max: int) -> None:
        self.position = 0
        self._raw = raw
        self._nodes_left = nodes_max

    def value(self, depth: int) -> Any:
        if depth < 0 or self._nodes_left <= 0:
            raise _malformed("is nested too deeply, or has too many values")
        self._nodes_left -= 1
        (initial,) = self._take(1)
        kind, short = initial >> 5, initial & 31
        if kind == _SIMPLE:
            return self._simple(short)
        number = self._number(short)
        match kind:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self._take(number)
            case 3:
                return self._text(number)
            case 4:
                self._expect(number)
                return [self.value(depth - 1) for _ in range(number)]
            case 5:
                return self._map(number, depth)
        return Tagged(number, self.value(depth - 1))

    def _map(self, count: int, depth: int) -> dict[Any, Any]:
        self._expect(2 * count)
        entries: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(0)
            if isinstance(key, bool) or not isinstance(key, int | str | bytes):
                raise _malformed("has a key that is neither a number nor a text nor bytes")
            if key in entries:
                raise _malformed(f"has a key twice in one map: {str(key)[:64]!r}")
            entries[key] = self.value(depth - 1)
        return entries

    def _simple(self, short: int) -> Any:
        if short in _SIMPLE_VALUES:
            return _SIMPLE_VALUES[short]
        if short in _FLOATS:
            (number,) = struct.unpack(_FLOATS[short], self._take(_SIZES[short]))
            return number
        raise _malformed("has a simple value that means nothing")

    def _number(self, short: int) -> int:
        if short < 24:
            return short
        size = _SIZES.get(short)
        if size is None:
            raise _malformed("has something of indefinite length, or of none")
        number = int.from_bytes(self._take(size))
        if number < (24 if size == 1 else 1 << 4 * size):
            raise _malformed("has a number or a length that is written longer than it has to be")
        return number

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            raise _malformed("has a text that is no UTF-8") from None

    def _expect(self, nodes: int) -> None:
        """Refuse a length before anything is made for it."""
        if nodes > min(self._nodes_left, len(self._raw) - self.position):
            raise _malformed("has too many values, or ends within one")

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._raw):
            raise _malformed("ends within a value")
        part = self._raw[self.position : end]
        self.position = end
        return part


def _head(kind: int, number: int) -> bytes:
    assert 0 <= number < 1 << 64, "larger numbers have no form of their own"
    if number < 24:
        return bytes((kind << 5 | number,))
    short, size = next((short, size) for short, size in _SIZES.items() if number < 1 << 8 * size)
    return bytes((kind << 5 | short,)) + number.to_bytes(size)


def _malformed(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"it {what}")
