"""Bodies of responses, compressed with gzip for clients that take it (RFC 9110, section 8.4).

Only what everybody gets is compressed: the length of a compressed answer tells whoever chooses a part of it
what the rest contains (the BREACH attack), so an answer to a request with credentials never is. Small bodies
are not worth it, and very large ones are sent as they are. A body above `INLINE_MAX_BYTES` is compressed in a
thread, at most `THREADS_MAX` at a time; when these are busy, it is sent as it is. What was compressed is
cached by its content: lists and descriptions are requested again and again.

A compressed representation has the weak form of the ETag of the plain one, since its bytes are others.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from hansa.business.http.coding import GZIP, GZIP_WINDOW
from hansa.business.http.shared_headers import Header
from hansa.core.cache import Cache

BODY_MIN_BYTES: Final = 1024
BODY_MAX_BYTES: Final = 4_194_304
INLINE_MAX_BYTES: Final = 65_536
THREADS_MAX: Final = 2
CACHED_MAX_BYTES: Final = 2_097_152
"""A larger pair of plain and compressed body is not cached."""
LEVEL: Final = 1
"""Fast: the higher levels gain a tenth of the size for several times the time."""
CONTENT_ENCODING: Final[Header] = (b"content-encoding", b"gzip")


class CompressedBody(NamedTuple):
    """A body in its compressed form."""

    body: bytes
    size_bytes: int
    """With the plain one, which is its key."""


class Compressor:
    """Compresses the bodies of public responses."""

    def __init__(self, cache_max_bytes: int) -> None:
        """`cache_max_bytes`: room for compressed bodies, with the plain ones."""
        self.cache: Final[Cache[bytes, CompressedBody]] = Cache(
            "compressed",
            cache_max_bytes,
            min(CACHED_MAX_BYTES, cache_max_bytes // 4),
            lambda value: value.size_bytes,
        )
        """By the plain body."""
        self._threads = 0

    async def compressed(self, body: bytes) -> bytes | None:
        """The body compressed; None when it is sent as it is."""
        if not BODY_MIN_BYTES <= len(body) <= BODY_MAX_BYTES:
            return None
        cached = self.cache.get(body)
        if cached is not None:
            return cached.body
        if len(body) <= INLINE_MAX_BYTES:
            packed = _compress(body)
        elif self._threads >= THREADS_MAX:
            return None
        else:
            self._threads += 1
            try:
                packed = await asyncio.to_thread(_compress, body)
            finally:
                self._threads -= 1
        self.cache.put(body, CompressedBody(packed, len(body) + len(packed)))
        return packed

    def cached(self, body: bytes) -> bytes | None:
        """The body compressed, if that is in memory; None, and `compressed` has to be asked."""
        cached = self.cache.hit(body)
        return None if cached is None else cached.body


def accepts_gzip(accept_encoding: bytes | None) -> bool:
    """Whether a client takes gzip (header `Accept-Encoding`); `*` alone is not taken for it."""
    if accept_encoding is None or b"gzip" not in accept_encoding.lower():
        return False
    for part in accept_encoding.lower().split(b","):
        coding, _, parameter = part.partition(b";")
        if coding.strip() in GZIP:
            name, _, weight = parameter.strip().partition(b"=")
            return name.strip() != b"q" or weight.strip(b" 0.") != b""
    return False


def headers_of_compressed(headers: Iterable[Header]) -> tuple[Header, ...]:
    """The headers of a plain response, for its compressed form."""
    return (*map(weakened, headers), CONTENT_ENCODING)


def weakened(header: Header) -> Header:
    """An ETag in its weak form; any other header as it is."""
    name, value = header
    return (name, b"W/" + value) if name.lower() == b"etag" and not value.startswith(b"W/") else header


def _compress(body: bytes) -> bytes:
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()
