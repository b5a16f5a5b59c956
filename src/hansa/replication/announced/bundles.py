"""Bundles: the announced bytes of one batch of events in one message.

A bundle is a zlib stream (RFC 1950) of JSON Lines, a line for each version, so that the exact bytes of an
entity are a part of it as they are:

    {"key":"…","hashlink":"…","entity":{…}}

Its address is the SHA-256 of its bytes, as the log of sender and receiver name it. A few bytes can decompress
to gigabytes: who reads one names bounds on the size of the result, on its ratio to what was received, and on
the number of lines, and none of them is exceeded on the way. What is in a bundle is a claim of its sender: it
is compared with the event on the ledger when that is read, and an absent, wrong or late bundle costs a
request to the origin, nothing else.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import is_hashlink
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.core.inflating import content_max_bytes, inflated

BUNDLE_TYPE: Final = "application/zlib"
BUNDLES_PATH: Final = "/league/v1/bundles"
SIZE_MAX_BYTES: Final = 4_194_304
"""Of a bundle, compressed."""
CONTENT_MAX_BYTES: Final = 16_777_216
"""Of what it decompresses to."""
LINES_MAX: Final = 1000
_LEVEL: Final = 1
"""Of compression: four fifths of what the best gives, in a tenth of the time."""
_STORED: Final = 0
"""The level that only frames."""


class BundledPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of one version."""

    key: str
    """Ledger key, hex."""
    hashlink: str
    """Which the sender claims them to have."""
    entity: msgspec.Raw


_decoder: Final = msgspec.json.Decoder(BundledPart)
_encode: Final = msgspec.json.Encoder().encode


def packed(parts: Sequence[BundledPart]) -> bytes | None:
    """The bundle of some parts; None when it would be larger than any may be.

    What can be compressed too well to be told from an attack is not compressed.
    """
    assert 0 < len(parts) <= LINES_MAX, "a bundle has lines, and not too many"
    content = b"\n".join([_encode(part) for part in parts])
    if len(content) > CONTENT_MAX_BYTES:
        return None
    raw = zlib.compress(content, _LEVEL)
    if len(content) > content_max_bytes(raw, CONTENT_MAX_BYTES):
        raw = zlib.compress(content, _STORED)
    return raw if len(raw) <= SIZE_MAX_BYTES else None


def unpacked(raw: bytes) -> tuple[BundledPart, ...]:
    """The parts of a bundle.

    Raises:
        Refused: `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    if len(raw) > SIZE_MAX_BYTES:
        raise Refused(Code.TOO_LARGE, f"A bundle has at most {SIZE_MAX_BYTES} bytes.")
    content = inflated(raw, CONTENT_MAX_BYTES)
    if content.count(b"\n") >= LINES_MAX:
        raise Refused(Code.TOO_LARGE, f"A bundle has at most {LINES_MAX} lines.")
    try:
        parts = tuple([_decoder.decode(line) for line in content.split(b"\n")])
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, "A line of the bundle is not of its form.") from error
    if not all(is_entity_key(part.key) and is_hashlink(part.hashlink) for part in parts):
        raise Refused(Code.MALFORMED, "A key is a SHA-256 in hex, a hashlink begins with hl:.")
    return parts


def address(raw: bytes) -> str:
    """The SHA-256 of a bundle, hex."""
    return hashlib.sha256(raw).hexdigest()
