"""What lists show of entities, kept at hand: lists of all kinds show the same entities again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from hansa.core.cache import Cache
from hansa.core.identifiers import PLAIN_IDENTIFIER
from hansa.store.records import tail_of

OVERHEAD_BYTES: Final = 500
"""What keeping one takes beside its tail, roughly."""


class ShownRow(NamedTuple):
    """What lists show of an entity."""

    identifier: str
    tail: bytes
    is_plain: bool


def shown_row(identifier: str, body: bytes) -> ShownRow:
    """What lists show of an entity."""
    return ShownRow(identifier, tail_of(identifier, body), PLAIN_IDENTIFIER.fullmatch(identifier) is not None)


class RowCache:
    """Rows by the numbers of their entities."""

    def __init__(self, size_max_bytes: int) -> None:
        self._rows: Cache[int, ShownRow] = Cache(
            "rows", size_max_bytes, size_max_bytes // 16, _size_bytes, self._gone
        )
        self._numbers: dict[str, int] = {}

    def of(self, numbers: Iterable[int]) -> list[ShownRow | None]:
        """The rows of some entities, None for each that is not kept."""
        return self._rows.get_many(numbers)

    def put(self, number: int, row: ShownRow) -> None:
        """Keep a row that has just been read."""
        self.discard(row.identifier)
        self._numbers[row.identifier] = number
        self._rows.put(number, row)
        if self._rows.peek(number) is None:
            self._numbers.pop(row.identifier, None)

    def discard(self, identifier: str) -> None:
        """An entity has been written or deleted."""
        number = self._numbers.get(identifier)
        if number is not None:
            self._rows.discard(number)

    def _gone(self, row: ShownRow) -> None:
        self._numbers.pop(row.identifier, None)


def _size_bytes(row: ShownRow) -> int:
    return len(row.tail) + OVERHEAD_BYTES
