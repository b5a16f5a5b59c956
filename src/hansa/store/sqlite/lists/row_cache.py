"""What lists show of entities: lists of all kinds show the same entities again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from hansa.core.cache import Cache
from hansa.core.identifiers import PLAIN_IDENTIFIER
from hansa.store.records import tail_of

OVERHEAD_BYTES: Final = 500
"""What an entry takes beside its suffix, roughly."""


class ShownRow(NamedTuple):
    """What lists show of an entity."""

    identifier: str
    suffix: bytes
    """See `hansa.store.records.tail_of`."""
    is_plain: bool
    """Whether the identifier stands in a path and in JSON as it is."""


def shown_row(identifier: str, body: bytes) -> ShownRow:
    """What lists show of an entity."""
    return ShownRow(identifier, tail_of(identifier, body), PLAIN_IDENTIFIER.fullmatch(identifier) is not None)


class RowCache:
    """Rows by the numbers of their entities."""

    def __init__(self, size_max_bytes: int) -> None:
        self.cache: Final[Cache[int, ShownRow]] = Cache(
            "rows", size_max_bytes, size_max_bytes // 16, _size_bytes, self._evicted
        )
        self._numbers: dict[str, int] = {}

    def get_many(self, numbers: Iterable[int]) -> list[ShownRow | None]:
        """The rows of some entities, None for each that is not cached."""
        return self.cache.get_many(numbers)

    def put(self, number: int, row: ShownRow) -> None:
        """Put a row that has just been read into the cache, unless it is too large."""
        self.discard(row.identifier)
        self._numbers[row.identifier] = number
        self.cache.put(number, row)
        if self.cache.peek(number) is None:
            self._numbers.pop(row.identifier, None)

    def discard(self, identifier: str) -> None:
        """Remove the row of an entity that has been written or deleted."""
        number = self._numbers.get(identifier)
        if number is not None:
            self.cache.discard(number)

    def _evicted(self, row: ShownRow) -> None:
        self._numbers.pop(row.identifier, None)


def _size_bytes(row: ShownRow) -> int:
    return len(row.suffix) + OVERHEAD_BYTES
