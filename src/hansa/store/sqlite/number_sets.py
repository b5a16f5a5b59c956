"""Sets of entities in memory, a bit for each: of the postings that lists join, kept up to date by the writer.

A list with several conditions needs the entities that several postings share. Reading the entities of one
posting and checking the others takes a millisecond for some hundred of them, again after every commit; a
conjunction of two sets of a hundred thousand bits takes microseconds, on the event loop.

A set is read once, in a worker thread, which sees the store at some moment of the feed and says at which;
what was committed since then is put in from a journal that exists while it is read. From then on each commit
puts its entities in and takes them out (`apply`). The oldest sets leave when others need the room.

A set has two halves, of the entities that are public and of those that are not: an entity is in one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import msgspec

from hansa.core.cache import Cache
from hansa.store.index.extraction import IndexKey
from hansa.store.sqlite.changes import Delta

GROWTH_BYTES: Final = 4096
SLICE_BYTES: Final = 512
"""Bits are counted and selected in slices of so many bytes."""

SetKey: TypeAlias = "IndexKey | tuple[str, str | None]"
"""A posting of the index, or a collection and a status; None: the whole collection."""


class NumberSet:
    """Numbers of entities; compact where they are many."""

    __slots__ = ("_bits", "_number")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._number: int | None = None
        """The bits as one number, as long as they do not change."""
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        """Put a number in."""
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place - len(self._bits) + GROWTH_BYTES))
        self._bits[place] |= 1 << (number & 7)
        self._number = None

    def discard(self, number: int) -> None:
        """Take a number out, if it is in."""
        place = number >> 3
        if place < len(self._bits):
            self._bits[place] &= ~(1 << (number & 7))
            self._number = None

    @property
    def bits(self) -> int:
        """A number whose bit n says whether n is in the set."""
        if self._number is None:
            self._number = int.from_bytes(self._bits, "little")
        return self._number


class PostingSet(msgspec.Struct, eq=False):
    """The entities of a posting."""

    private: NumberSet
    public: NumberSet
    size_bytes: int
    """Roughly; does not change while it is cached."""

    def bits(self, *, public_only: bool) -> int:
        """Those that a caller may see, as the bits of a number."""
        return self.public.bits if public_only else self.public.bits | self.private.bits

    def move(self, number: int, difference: int, *, public: bool) -> None:
        """An entity is added (1) or removed (-1)."""
        half = self.public if public else self.private
        if difference > 0:
            half.add(number)
        else:
            half.discard(number)


class ReadPosting(msgspec.Struct, frozen=True):
    """A posting as it was read, and the row of the feed up to which that is true."""

    set: PostingSet
    seq: int


class NumberSets:
    """The sets that are in memory."""

    def __init__(self, size_max_bytes: int) -> None:
        self.cache: Final[Cache[SetKey, PostingSet]] = Cache(
            "number_sets", size_max_bytes, size_max_bytes // 16, lambda one: one.size_bytes
        )
        self._journals: dict[SetKey, list[list[tuple[int, int, int, bool]]]] = {}
        """Of the sets that are being read: row of the feed, number, difference, is public."""

    async def read(self, key: SetKey, read: Callable[[], Awaitable[ReadPosting]]) -> None:
        """Put a set into memory that is read elsewhere, with what is committed meanwhile."""
        journal: list[tuple[int, int, int, bool]] = []
        journals = self._journals.setdefault(key, [])
        journals.append(journal)
        try:
            result = await read()
        finally:
            journals.remove(journal)
            if not journals:
                self._journals.pop(key, None)
        for seq, number, difference, public in journal:
            if seq > result.seq:
                result.set.move(number, difference, public=public)
        self.cache.put(key, result.set)

    def apply(self, deltas: Iterable[Delta], last_change: int) -> None:
        """Follow a commit."""
        if not self._journals and not len(self.cache):
            return
        for delta in deltas:
            collection, _, public, status = delta.kind
            keys: list[SetKey] = [*delta.postings, (collection, None)]
            if status is not None:
                keys.append((collection, status))
            for key in self.cache.among(keys):
                current = self.cache.peek(key)
                if current is not None:
                    current.move(delta.number, delta.difference, public=public)
            if self._journals:
                for key in keys:
                    for journal in self._journals.get(key, ()):
                        journal.append((last_change, delta.number, delta.difference, public))


def posting_set(private: list[int], public: list[int]) -> PostingSet:
    """The set of some entities."""
    last = max(max(private, default=0), max(public, default=0))
    return PostingSet(NumberSet(private), NumberSet(public), 2 * (last // 8 + GROWTH_BYTES))


def selected(bits: int, offset: int, limit: int) -> list[int]:
    """The numbers of some bits that are set, in ascending order, from the one at `offset` on."""
    numbers: list[int] = []
    raw = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    for start in range(0, len(raw), SLICE_BYTES):
        if len(numbers) >= limit:
            break
        part = int.from_bytes(raw[start : start + SLICE_BYTES], "little")
        count = part.bit_count()
        if count <= offset:
            offset -= count
            continue
        for _ in range(offset):
            part &= part - 1
        offset = 0
        while part and len(numbers) < limit:
            lowest = part & -part
            numbers.append(start * 8 + lowest.bit_length() - 1)
            part ^= lowest
    return numbers
