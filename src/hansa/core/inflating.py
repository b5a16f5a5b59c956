"""Decompressing what others sent: never to more bytes than it may have, nor than it is likely to have.

A few bytes can decompress to gigabytes. So the content has a bound of its own, and one by what was received:
`RATIO_MAX` times as much, which no catalogue and no ledger reaches. Neither is exceeded on the way.
"""

from __future__ import annotations

import zlib
from typing import Final

from hansa.core.errors import Code, Refused

RATIO_MAX: Final = 100
"""Of the content to the stream; catalogues have about 10."""
SMALL_BYTES: Final = 65_536
"""Whatever the ratio, so much content is any stream's due."""


def content_max_bytes(raw: bytes, size_max_bytes: int) -> int:
    """To how much a stream may decompress."""
    return min(size_max_bytes, SMALL_BYTES + RATIO_MAX * len(raw))


def inflated(raw: bytes, size_max_bytes: int) -> bytes:
    """The content of a zlib stream (RFC 1950).

    Args:
        raw: All of the stream, and nothing after it.
        size_max_bytes: Of the content.

    Raises:
        Refused: `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    return inflated_to(raw, content_max_bytes(raw, size_max_bytes), zlib.MAX_WBITS)


def inflated_to(raw: bytes, bound_bytes: int, window_bits: int) -> bytes:
    """The content of a stream, whatever the ratio.

    Args:
        raw: All of the stream, and nothing after it.
        bound_bytes: Of the content.
        window_bits: As zlib has them: `zlib.MAX_WBITS` for zlib (RFC 1950), 16 more for gzip (RFC 1952).

    Raises:
        Refused: `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    stream = zlib.decompressobj(window_bits)
    try:
        content = stream.decompress(raw, bound_bytes + 1)
    except zlib.error as error:
        raise Refused(Code.MALFORMED, "The bytes are no such stream.") from error
    if len(content) > bound_bytes:
        raise Refused(Code.TOO_LARGE, "The stream decompresses to more than it may.")
    if not stream.eof or stream.unused_data:
        raise Refused(Code.MALFORMED, "The bytes are not one whole stream.")
    return content
