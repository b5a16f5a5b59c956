"""Reading DER (ITU-T X.690), the one byte string of a value in ASN.1.

`DerReader` reads values of known types one after another. It does not descend by itself: each level of
nesting is one that its caller names, so bytes that nest deeply cost nothing. It refuses lengths in other than
their shortest form, indefinite lengths, tags of more than one byte, and everything that is left behind the
last value.
"""

from __future__ import annotations

import re
from typing import Final

from hansa.core.errors import Code, Refused

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
TELETEX_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31

_TRUE: Final = b"\xff"
_LENGTH_BYTES_MAX: Final = 2
"""Of the long form of a length: no value here has 65,536 bytes."""
_OBJECT_IDENTIFIER_MAX_BYTES: Final = 32
_UTC: Final = re.compile(rb"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")
_GENERALIZED: Final = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")
_DAYS_BEFORE: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY: Final = 2


def malformed(what: str) -> Refused:
    """The refusal of bytes that are not of the profile."""
    return Refused(Code.CERTIFICATE_INVALID, f"The certificate cannot be used: {what}.")


class DerReader:
    """Reads the values of some bytes, in their order.

    All methods raise `Refused` (`Code.CERTIFICATE_INVALID`) when the next value is another one than the
    caller names, or not in its one form.
    """

    __slots__ = ("_at", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether every value has been read."""
        return self._at == len(self._raw)

    def is_next(self, tag: int) -> bool:
        """Whether there is a further value, and it has that tag."""
        return self._at < len(self._raw) and self._raw[self._at] == tag

    def tag(self) -> int:
        """The tag of the next value."""
        if self.is_at_end:
            raise malformed("it ends too early")
        return self._raw[self._at]

    def content(self, tag: int) -> bytes:
        """The content of the next value."""
        begin, end = self._bounds(tag)
        self._at = end
        return self._raw[begin:end]

    def whole(self, tag: int) -> bytes:
        """The next value as it is written: tag, length and content."""
        first = self._at
        self._at = self._bounds(tag)[1]
        return self._raw[first : self._at]

    def inside(self, tag: int) -> DerReader:
        """A reader of what is inside the next value."""
        return DerReader(self.content(tag))

    def end(self) -> None:
        """Check that there is no further value."""
        if not self.is_at_end:
            raise malformed("something follows where nothing may")

    def _bounds(self, tag: int) -> tuple[int, int]:
        """Where the content of the next value begins and ends."""
        raw, at = self._raw, self._at
        if at + 2 > len(raw) or raw[at] != tag:
            raise malformed(f"another value than the expected one of tag {tag:#04x}")
        length, begin = raw[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= _LENGTH_BYTES_MAX or begin + size > len(raw):
                raise malformed("a length is indefinite or too large")
            length = int.from_bytes(raw[begin : begin + size])
            if length < 0x80 or length >> 8 * (size - 1) == 0:
                raise malformed("a length is not in its shortest form")
            begin += size
        if begin + length > len(raw):
            raise malformed("a value is longer than what it is in")
        return begin, begin + length

    def natural(self, size_max_bytes: int) -> int:
        """A whole number of 0 or more, of at most so many bytes."""
        content = self.content(INTEGER)
        if not content or content[0] & 0x80:
            raise malformed("a number is negative or missing")
        if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
            raise malformed("a number is not in its shortest form")
        if len(content) > size_max_bytes + (content[0] == 0):
            raise malformed("a number is too large")
        return int.from_bytes(content)

    def true(self) -> None:
        """TRUE. FALSE is a default wherever a certificate has a BOOLEAN, and so is left out."""
        if self.content(BOOLEAN) != _TRUE:
            raise malformed("a truth value is not in its one form")

    def octets_of_bits(self) -> bytes:
        """A bit string of whole bytes."""
        content = self.content(BIT_STRING)
        if not content or content[0] != 0:
            raise malformed("a bit string does not have whole bytes")
        return content[1:]

    def named_bits(self, count_max: int) -> frozenset[int]:
        """The numbers of the bits that are set in a bit string of named bits (X.690, section 11.2.2)."""
        content = self.content(BIT_STRING)
        if not 2 <= len(content) <= 1 + (count_max + 7) // 8:
            raise malformed("a bit string of named bits is empty or too long")
        unused, last = content[0], content[-1]
        if unused > 7 or last & (1 << unused) - 1 or not last >> unused & 1:
            raise malformed("a bit string of named bits is not in its shortest form")
        bits = frozenset(
            8 * i + j for i, byte in enumerate(content[1:]) for j in range(8) if byte << j & 0x80
        )
        if max(bits) >= count_max:
            raise malformed("a bit that has no name is set")
        return bits

    def object_identifier(self) -> bytes:
        """The content of an object identifier."""
        content = self.content(OBJECT_IDENTIFIER)
        if not 0 < len(content) <= _OBJECT_IDENTIFIER_MAX_BYTES or content[-1] & 0x80:
            raise malformed("an object identifier is empty, too long or not whole")
        if any(byte == 0x80 and (at == 0 or not content[at - 1] & 0x80) for at, byte in enumerate(content)):
            raise malformed("an object identifier is not in its shortest form")
        return content

    def time_s(self) -> int:
        """A time as RFC 5280 (section 4.1.2.5) writes it: seconds since 1970; before that, it is negative."""
        if self.is_next(UTC_TIME):
            match = _UTC.fullmatch(self.content(UTC_TIME))
            century = 0
        else:
            match = _GENERALIZED.fullmatch(self.content(GENERALIZED_TIME))
            century = -1
        if match is None:
            raise malformed("a time is not in its one form")
        year, month, day, hour, minute, second = map(int, match.groups())
        if century == 0:
            year += 1900 if year >= 50 else 2000
        elif year < 2050:
            raise malformed("a time before 2050 is written as one after it")
        return _seconds(year, month, day) + _seconds_of_day(hour, minute, second)


def _seconds(year: int, month: int, day: int) -> int:
    """From 1970 to the beginning of a day of the Gregorian calendar."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS[month - 1] + (is_leap and month == _FEBRUARY):
        raise malformed("a time names a day that does not exist")
    before = year - 1
    days = 365 * before + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE[month - 1] + (is_leap and month > _FEBRUARY) + day - 1
    return 86_400 * (days - 719_162)


def _seconds_of_day(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise malformed("a time names an hour, minute or second that does not exist")
    return 3600 * hour + 60 * minute + second


def encoded(tag: int, *contents: bytes) -> bytes:
    """The DER of a value with these contents one after another."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
