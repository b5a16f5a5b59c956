"""The state of a ledger as one sequence of bytes, without what `app_hash` decides already.

    the records of each section in the order of the rule set, ordered by key:
        2 bytes length, key, 4 bytes length, record
    the tree over the events, without what the events themselves give:
        of level 0 the hashes in the last tile, if that is not full; of each level above all hashes
    the claims, bucket by bucket, empty ones left out:
        2 bytes number, 4 bytes length, claims

Numbers are big-endian. How many records and hashes there are follows from the sections of the manifest.
Whoever reads gets the items as they come, so that no more than a chunk and an item are in memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.commitments.app_hash import Sections, record_sections
from hansa.pubsub.ledger.commitments.claims import BUCKETS, CLAIM_SIZE_BYTES
from hansa.pubsub.ledger.commitments.tiles import HASH_SIZE_BYTES, TILE_HEIGHT, TILE_WIDTH
from hansa.pubsub.ledger.snapshots.manifest import CHUNK_SIZE_MAX_BYTES, CHUNKS_MAX, counted_of
from hansa.pubsub.ledger.storage.tree_tables import TreeTables

KEY_SIZE_MAX_BYTES: Final = 4096
RECORD_SIZE_MAX_BYTES: Final = 4_194_304
SECTION_SIZE_MAX_BYTES: Final = 268_435_456
"""Of the records of one section together, which are in memory until their root was compared."""
BUCKET_SIZE_MAX_BYTES: Final = CHUNK_SIZE_MAX_BYTES * CHUNKS_MAX // 64
_BUCKETS_AT_ONCE: Final = 64


class RecordItem(msgspec.Struct, frozen=True):
    """A record of a section."""

    section: str
    key: str
    body: bytes
    is_last: bool
    """Of its section."""


class TileItem(msgspec.Struct, frozen=True):
    """A tile, or what there is of the last one of a level."""

    level: int
    number: int
    hashes: bytes


class BucketItem(msgspec.Struct, frozen=True):
    """A bucket of claims."""

    number: int
    records: bytes


Item = RecordItem | TileItem | BucketItem


def tile_places(events: int) -> Iterator[tuple[int, int, int]]:
    """Level, number and hashes of each tile in a snapshot of a ledger with so many events, in their order."""
    if events % TILE_WIDTH:
        yield 0, events // TILE_WIDTH, events % TILE_WIDTH
    level = 1
    while hashes := events >> (TILE_HEIGHT * level):
        for number in range(-(-hashes // TILE_WIDTH)):
            yield level, number, min(TILE_WIDTH, hashes - number * TILE_WIDTH)
        level += 1


def state_stream(tables: TreeTables, sections: Sections) -> Iterator[bytes]:
    """The state in some tables, in pieces of some kB; all of them in one read transaction.

    Raises:
        TreeMissing: a tile is not there.
    """
    for section in record_sections(sections.ruleset):
        for key, body in tables.records(section):
            name = key.encode()
            yield len(name).to_bytes(2) + name + len(body).to_bytes(4) + body
    events, _ = counted_of(sections.content("events"))
    for level, number, count in tile_places(events):
        yield tables.tile(level, number)[: count * HASH_SIZE_BYTES]
    for first in range(0, BUCKETS, _BUCKETS_AT_ONCE):
        yield b"".join(
            number.to_bytes(2) + len(records).to_bytes(4) + records
            for number, records in tables.buckets(first, first + _BUCKETS_AT_ONCE)
        )


class StreamReader:
    """Reads a stream from its chunks.

    Args:
        sections: What the state has to be.
    """

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._buffer = bytearray()
        self._at = 0
        self._items: list[Item] = []
        self._is_between = True
        """Whether the stream could end here."""
        self._parser = self._parse()
        next(self._parser)

    def feed(self, chunk: bytes) -> list[Item]:
        """The items that are complete with the next chunk.

        Raises:
            Refused: `Code.MALFORMED`; the stream is of no use any more.
        """
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += chunk
        self._items = []
        next(self._parser)
        return self._items

    def finish(self) -> None:
        """Check that the stream is whole.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        if not self._is_between or self._at != len(self._buffer):
            raise _malformed("ends within the state")

    def _take(self, size: int) -> Generator[None, None, bytes]:
        while len(self._buffer) - self._at < size:
            yield
        taken = bytes(memoryview(self._buffer)[self._at : self._at + size])
        self._at += size
        return taken

    def _parse(self) -> Generator[None, None, None]:
        self._is_between = False
        for section in record_sections(self._sections.ruleset):
            yield from self._parse_section(section)
        events, _ = counted_of(self._sections.content("events"))
        for level, number, count in tile_places(events):
            hashes = yield from self._take(count * HASH_SIZE_BYTES)
            self._items.append(TileItem(level, number, hashes))
        last = -1
        while True:
            self._is_between = True
            number = int.from_bytes((yield from self._take(2)))
            self._is_between = False
            size = int.from_bytes((yield from self._take(4)))
            if number <= last or not 0 < size <= BUCKET_SIZE_MAX_BYTES or size % CLAIM_SIZE_BYTES:
                raise _malformed("has a bucket that cannot be one")
            last = number
            records = yield from self._take(size)
            self._items.append(BucketItem(number, records))

    def _parse_section(self, section: str) -> Generator[None, None, None]:
        count, _ = counted_of(self._sections.content(section))
        last, room_bytes = "", SECTION_SIZE_MAX_BYTES
        for number in range(1, count + 1):
            key_size = int.from_bytes((yield from self._take(2)))
            if not 0 < key_size <= KEY_SIZE_MAX_BYTES:
                raise _malformed("has a key that is too long")
            try:
                key = (yield from self._take(key_size)).decode("ascii")
            except UnicodeDecodeError:
                raise _malformed("has a key that is not of ASCII") from None
            size = int.from_bytes((yield from self._take(4)))
            room_bytes -= key_size + size
            if size > RECORD_SIZE_MAX_BYTES or room_bytes < 0 or key <= last:
                raise _malformed("has a record that is too large, or not in order")
            last = key
            body = yield from self._take(size)
            self._items.append(RecordItem(section, key, body, is_last=number == count))


def _malformed(what: str) -> Refused:
    return Refused(Code.MALFORMED, f"The snapshot {what}.")
