"""A body in chunks (RFC 9112, section 7.1), decoded strictly and within bounds.

Chunk extensions mean nothing here; they are read over, so many bytes of them and no more. Trailers are
checked like the lines of a head, counted, and dropped: nothing here depends on one, and a trailer that would
frame the message or name the caller is refused. Chunks are not so small that their number costs more than
their content.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from hansa.core.errors import Code
from hansa.node.http.connection.request_head import FIELD, SINGLETONS, RefusedRequest, malformed

EXTENSIONS_MAX_BYTES: Final = 4096
"""Of all chunks of a body together."""
TRAILERS_MAX_BYTES: Final = 8192
TRAILERS_MAX: Final = 32
CHUNKS_FREE: Final = 1024
"""So many chunks of a body may have any size."""
CHUNK_SIZE_AVERAGE_MIN_BYTES: Final = 32
"""Of the further ones."""
LINE_MAX_BYTES: Final = 16_384

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*;[\t -~\x80-\xff]*)?\r\n")


class _Part(Enum):
    """What is read next."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    END = auto()


class ChunkedBody:
    """Decodes one body as it arrives."""

    def __init__(self) -> None:
        self._next = _Part.SIZE
        self._line = b""
        """The beginning of a line that has not arrived completely."""
        self._left = 0
        self._chunks = 0
        self._size = 0
        self._extension_bytes = 0
        self._trailers = 0
        self._trailer_bytes = 0

    @property
    def is_complete(self) -> bool:
        """Whether its end has been read."""
        return self._next is _Part.END

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The content in some bytes that arrived, and what follows the end of the body.

        Raises:
            RefusedRequest: 400 or 431.
        """
        parts: list[bytes] = []
        if self._line:
            data, self._line = self._line + data, b""
        position = 0
        while position < len(data) and self._next is not _Part.END:
            if self._next is _Part.DATA:
                part = data[position : position + self._left]
                parts.append(part)
                position += len(part)
                self._left -= len(part)
                if not self._left:
                    self._next = _Part.DATA_END
                continue
            end = data.find(b"\n", position) + 1
            if not end:
                self._hold(data[position:])
                break
            self._read_line(data[position:end])
            position = end
        assert self._left >= 0, "no chunk has more bytes than it announced"
        return b"".join(parts), data[position:] if self.is_complete else b""

    def _hold(self, line: bytes) -> None:
        bound = {_Part.DATA_END: 2, _Part.SIZE: EXTENSIONS_MAX_BYTES + 32}.get(self._next, LINE_MAX_BYTES)
        if len(line) > bound:
            raise malformed("A line of a chunked body is too long.")
        self._line = line

    def _read_line(self, line: bytes) -> None:
        if self._next is _Part.DATA_END:
            if line != b"\r\n":
                raise malformed("A chunk is longer than it says.")
            self._next = _Part.SIZE
        elif self._next is _Part.SIZE:
            self._read_size(line)
        elif line == b"\r\n":
            self._next = _Part.END
        else:
            self._check_trailer(line)

    def _read_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise malformed("A chunk begins with its size in hexadecimal digits.")
        self._extension_bytes += len(match[2] or b"")
        if self._extension_bytes > EXTENSIONS_MAX_BYTES:
            raise malformed(f"The chunk extensions of a body have at most {EXTENSIONS_MAX_BYTES} bytes.")
        self._left = int(match[1], 16)
        self._next = _Part.DATA if self._left else _Part.TRAILER
        self._chunks += 1
        self._size += self._left
        if self._chunks > CHUNKS_FREE + self._size // CHUNK_SIZE_AVERAGE_MIN_BYTES:
            raise malformed("The body comes in too many small chunks.")

    def _check_trailer(self, line: bytes) -> None:
        self._trailers += 1
        self._trailer_bytes += len(line)
        if self._trailers > TRAILERS_MAX or self._trailer_bytes > TRAILERS_MAX_BYTES:
            raise RefusedRequest(431, Code.TOO_LARGE, f"A body has at most {TRAILERS_MAX} trailers.")
        match = FIELD.fullmatch(line)
        if match is None:
            raise malformed("A trailer is not: name, colon, value.")
        if match[1].lower() in SINGLETONS:
            raise malformed(f"{match[1].decode()} cannot be a trailer.")
