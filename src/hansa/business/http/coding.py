"""Bodies of requests that were compressed with gzip (RFC 9110, section 8.4.1.3; RFC 1952).

A few bytes can decompress to gigabytes: whoever takes the result names a bound, and at most that is made.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from hansa.core.errors import Code, Refused

GZIP: Final = frozenset({b"gzip", b"x-gzip"})
IDENTITY: Final = b"identity"
CHUNK_SIZE_MAX_BYTES: Final = 65_536
MEMBERS_MAX: Final = 64
"""Of one body, each of which costs ten microseconds, even when it is empty."""
MEMBER_FURTHER_BYTES: Final = 4096
"""One more for so many bytes that they decompress to: some tools write a member for each block."""
GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib's number for the format of gzip."""


class GzipReader:
    """Decompresses a body that arrives in parts; several members one after the other count as one body."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_WINDOW)
        self._has_begun = False
        self._members = 1
        self._size_bytes = 0

    def read(self, part: bytes) -> Iterator[bytes]:
        """What a part decompresses to, in chunks of a bounded size.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        try:
            while part:
                if self._member.eof:
                    self._begin_member()
                self._has_begun = True
                chunk = self._member.decompress(part, CHUNK_SIZE_MAX_BYTES)
                part = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                if chunk:
                    self._size_bytes += len(chunk)
                    yield chunk
        except zlib.error:
            raise Refused(Code.MALFORMED, "The body is no gzip (RFC 1952).") from None

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MEMBERS_MAX + self._size_bytes // MEMBER_FURTHER_BYTES:
            raise Refused(Code.MALFORMED, "The body consists of too many small members of gzip.")
        self._member = zlib.decompressobj(GZIP_WINDOW)

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        if self._has_begun and not self._member.eof:
            raise Refused(Code.MALFORMED, "The body ends within its gzip.")


def decompressed(raw: bytes, size_max_bytes: int) -> bytes | None:
    """What a whole body decompresses to; None when that is more than `size_max_bytes`.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    reader, chunks, size_bytes = GzipReader(), [], 0
    for chunk in reader.read(raw):
        chunks.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > size_max_bytes:
            return None
    reader.finish()
    return b"".join(chunks)
