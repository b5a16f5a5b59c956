"""A segment of the history: all batches that begin at its 4,096 positions, whole.

    4 bytes number of batches; for each, in order:
        8 bytes first position, 4 bytes number of events, 8 bytes height, 8 bytes time of the block (ms),
        2 bytes length, the signed batch; for each event: 4 bytes length, content

Numbers are big-endian. It travels compressed (zlib); what counts are the bytes themselves. A leaf of the tree
over the events is made of the block's height and time, the place in the batch and the batch's digest, so with
the hashes over each 256 leaves, which a snapshot has, everything in a segment is checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from hansa.core.batches import EVENTS_MAX
from hansa.core.errors import Code, Refused
from hansa.core.inflating import inflated

SEGMENT_EVENTS: Final = 4096
SEGMENT_SIZE_MAX_BYTES: Final = 67_108_864
"""Of one, uncompressed; that of a league's usual limits has 17 MB at most, and about 2 MB."""
_LEVEL: Final = 1
"""Of compression: the fastest, since segments are made when they are requested."""


class HistoryBatch(msgspec.Struct, frozen=True):
    """A batch with its events."""

    first_position: int
    height: int
    time_ms: int
    """Of the block."""
    jws: str
    contents: tuple[bytes, ...]

    @property
    def end(self) -> int:
        """Position after its last event."""
        return self.first_position + len(self.contents)


def segment_of(position: int) -> int:
    """Number of the segment of a position, from 0."""
    return (position - 1) // SEGMENT_EVENTS


def encode_segment(batches: list[HistoryBatch]) -> bytes:
    """The bytes of a segment."""
    parts = [len(batches).to_bytes(4)]
    for batch in batches:
        jws = batch.jws.encode("ascii")
        parts += [
            batch.first_position.to_bytes(8),
            len(batch.contents).to_bytes(4),
            batch.height.to_bytes(8),
            batch.time_ms.to_bytes(8),
            len(jws).to_bytes(2),
            jws,
        ]
        for content in batch.contents:
            parts += [len(content).to_bytes(4), content]
    return b"".join(parts)


def decode_segment(raw: bytes) -> list[HistoryBatch]:
    """The batches of a segment from strangers; nothing of them is checked yet.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    return list(batches_of(raw))


def batches_of(raw: bytes) -> Iterator[HistoryBatch]:
    """The same, one batch after another.

    Raises:
        Refused: `Code.MALFORMED`, as soon as that shows.
    """
    at = 0

    def number(size: int) -> int:
        return int.from_bytes(take(size))

    def take(size: int) -> bytes:
        nonlocal at
        if size > len(raw) - at:
            raise _malformed()
        at += size
        return raw[at - size : at]

    for _ in range(min(number(4), SEGMENT_EVENTS + 1)):
        first_position, count, height, time_ms = number(8), number(4), number(8), number(8)
        if not 0 < count <= EVENTS_MAX:
            raise _malformed()
        try:
            jws = take(number(2)).decode("ascii")
        except UnicodeDecodeError:
            raise _malformed() from None
        contents = tuple(take(number(4)) for _ in range(count))
        yield HistoryBatch(first_position, height, time_ms, jws, contents)
    if at != len(raw):
        raise _malformed()


def compressed(raw: bytes) -> bytes:
    """A segment as it travels."""
    return zlib.compress(raw, _LEVEL)


def decompressed(raw: bytes) -> bytes:
    """A segment that travelled, within its bounds however little it was compressed to.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    try:
        return inflated(raw, SEGMENT_SIZE_MAX_BYTES)
    except Refused as error:
        raise _malformed() from error


def _malformed() -> Refused:
    return Refused(Code.MALFORMED, "The segment is not in its form.")
