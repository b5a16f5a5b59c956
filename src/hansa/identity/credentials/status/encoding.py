"""Packed lists of statuses: bits by their position, compressed.

    Token Status List        zlib; entries of 1, 2, 4 or 8 bits, the first in the *least* significant ones
    Bitstring Status List    gzip behind a multibase `u`; one bit for an entry, the *highest* one first

To mix up the two orders, or the two compressions, decodes to somebody else's status. A list is inflated up to
a bound and no further, so that some kilobytes cannot become gigabytes, and has to end where its stream ends.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.inflating import inflated_to
from hansa.identity.foreign_jws import decoded_part

LIST_SIZE_MAX_BYTES: Final = 4_194_304
"""Of one list, inflated: 33 million credentials with a bit for each."""
BITSTRING_MIN_BYTES: Final = 16_384
"""W3C: a shorter list would tell too much about the one whose status is looked up."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class StatusArray(msgspec.Struct, frozen=True):
    """The statuses of many credentials."""

    content: bytes
    bits: int
    """Of one entry."""
    is_lowest_first: bool

    def at(self, index: int) -> int:
        """The status of a credential.

        Raises:
            Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`, when the list ends before it.
        """
        if not 0 <= index < len(self.content) * 8 // self.bits:
            raise unknown(f"the list has no entry {index}")
        position = index * self.bits
        if self.is_lowest_first:
            return self.content[position // 8] >> position % 8 & (1 << self.bits) - 1
        assert self.bits == 1, "lists with the highest bit first are read with one bit for an entry"
        return self.content[position // 8] >> 7 - position % 8 & 1


def token_status_array(bits: object, text: object) -> StatusArray:
    """The list in a Status List Token: `bits` and `lst`.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`.
    """
    return _packed(bits, _decoded(text))


def packed_status_array(bits: object, packed: object) -> StatusArray:
    """The list in a Status List Token that is a CWT: `bits`, and `lst` as bytes.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`.
    """
    if not isinstance(packed, bytes):
        raise unknown("the list is no byte string")
    return _packed(bits, packed)


def _packed(bits: object, packed: bytes) -> StatusArray:
    if bits not in {1, 2, 4, 8} or isinstance(bits, bool) or not isinstance(bits, int):
        raise unknown("`bits` of the list is none of 1, 2, 4 and 8")
    return StatusArray(_inflated(packed, zlib.MAX_WBITS), bits, is_lowest_first=True)


def bitstring_status_array(text: object) -> StatusArray:
    """The list in a Bitstring Status List credential: `encodedList`, with a bit for each entry.

    Raises:
        Refused: `Code.CREDENTIAL_STATUS_UNKNOWN`.
    """
    if not isinstance(text, str) or not text.startswith("u"):
        raise unknown("`encodedList` is not in base64url with the letter of multibase for it")
    return StatusArray(_inflated(_decoded(text[1:]), _GZIP), 1, is_lowest_first=False)


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise unknown("the list is no text")
    try:
        return decoded_part(text)
    except Refused as error:
        raise unknown(f"the list cannot be unpacked: {error.message}") from error


def _inflated(packed: bytes, window_bits: int) -> bytes:
    try:
        return inflated_to(packed, LIST_SIZE_MAX_BYTES, window_bits)
    except Refused as error:
        raise unknown(f"the list cannot be unpacked: {error.message}") from error


def unknown(what: str) -> Refused:
    """The refusal of a status that cannot be told; `what` is for the operator."""
    return Refused(Code.CREDENTIAL_STATUS_UNKNOWN, what)
