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

from array import array
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from hansa.core.cache import Cache
from hansa.store.index.extraction import IndexKey
from hansa.store.sqlite.changes import Delta

GROWTH_BYTES: Final = 4096
SLICE_BYTES: Final = 128
"""Bits are counted and selected in slices of so many bytes."""
FEW_MAX: Final = 32
"""So many entities of a slice are taken one by one; of more, byte by byte."""
STRETCH: Final = 100
"""So many entities are selected ahead of whoever turns pages."""
STRETCHES_MAX: Final = 20
ORDERED_MAX: Final = 2000
"""So many entities of a list with another order are remembered, from the first on."""
PLACES: Final = tuple(tuple(place for place in range(8) if byte >> place & 1) for byte in range(256))
"""By byte, the places of the bits that are set."""

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


class JoinedSet:
    """Some entities, as pages are taken from them: in ascending order of their numbers, or in another."""

    __slots__ = ("_counts", "_ordered", "_stretches", "raw", "total")

    def __init__(self, bits: int) -> None:
        self.raw = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        """A bit for each number, the lowest first."""
        counts, total = [], 0
        for start in range(0, len(self.raw), SLICE_BYTES):
            counts.append(total)
            total += int.from_bytes(self.raw[start : start + SLICE_BYTES], "little").bit_count()
        counts.append(total)
        self._counts = counts
        """Of each slice, how many entities come before it; at last, all."""
        self.total = total
        self._stretches: dict[int, array[int]] = {}
        """By place, the numbers that were selected last."""
        self._ordered: Sequence[int] = ()

    @property
    def size_bytes(self) -> int:
        """Roughly, with what is remembered of pages."""
        remembered = min(self.total, STRETCH * STRETCHES_MAX) + min(self.total, ORDERED_MAX)
        return len(self.raw) + 16 * len(self._counts) + 8 * remembered + 400

    def page(self, offset: int, limit: int) -> Sequence[int]:
        """The numbers from the one at `offset` on."""
        if not 0 < limit <= STRETCH:
            return self._selected(offset, limit)
        place = offset // STRETCH
        start = offset - place * STRETCH
        numbers = self._stretch(place)
        if start + limit > STRETCH:
            numbers = numbers + self._stretch(place + 1)
        return numbers[start : start + limit]

    def ordered(self, offset: int, limit: int) -> Sequence[int] | None:
        """A page in the order in which the list is; None when it is not remembered."""
        last = min(offset + limit, self.total)
        return self._ordered[offset:last] if last <= len(self._ordered) else None

    def note_ordered(self, numbers: Sequence[int]) -> None:
        """The first numbers in the order in which the list is."""
        if len(self._ordered) < len(numbers):
            self._ordered = array("q", numbers[:ORDERED_MAX])

    def _stretch(self, place: int) -> array[int]:
        stretch = self._stretches.get(place)
        if stretch is None:
            if len(self._stretches) >= STRETCHES_MAX:
                del self._stretches[next(iter(self._stretches))]
            stretch = array("q", self._selected(place * STRETCH, STRETCH))
            self._stretches[place] = stretch
        return stretch

    def _selected(self, offset: int, limit: int) -> list[int]:
        numbers: list[int] = []
        if offset >= self.total or limit <= 0:
            return numbers
        counts, raw = self._counts, self.raw
        place = bisect_right(counts, offset) - 1
        offset -= counts[place]
        while len(numbers) < limit and place < len(counts) - 1:
            count = counts[place + 1] - counts[place]
            if count:
                start = place * SLICE_BYTES
                part = raw[start : start + SLICE_BYTES]
                numbers += (_few if count <= FEW_MAX else _many)(
                    part, start * 8, offset, limit - len(numbers)
                )
                offset = 0
            place += 1
        return numbers


def _few(part: bytes, first: int, offset: int, limit: int) -> list[int]:
    """The numbers of a slice that has few; the lowest bit is number `first`."""
    bits, numbers = int.from_bytes(part, "little"), list[int]()
    for _ in range(offset):
        bits &= bits - 1
    while bits and len(numbers) < limit:
        lowest = bits & -bits
        numbers.append(first + lowest.bit_length() - 1)
        bits ^= lowest
    return numbers


def _many(part: bytes, first: int, offset: int, limit: int) -> list[int]:
    """The same of one that has many."""
    numbers: list[int] = []
    for place, byte in enumerate(part):
        places = PLACES[byte]
        if offset >= len(places):
            offset -= len(places)
            continue
        start = first + 8 * place
        numbers += [start + one for one in places[offset:]]
        offset = 0
        if len(numbers) >= limit:
            break
    return numbers[:limit]
