"""What lists show of entities, kept at hand: lists of all kinds show the same entities again and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

OVERHEAD_BYTES: Final = 500
"""What keeping one takes beside its body, roughly."""

ShownRow = tuple[str, bytes]
"""Identifier and body of an entity."""


class KeptRows:
    """Rows by the numbers of their entities; the oldest go when there is no more room."""

    def __init__(self, size_max_bytes: int) -> None:
        self._size_max_bytes = size_max_bytes
        self._size_bytes = 0
        self._rows: dict[int, ShownRow] = {}
        self._numbers: dict[str, int] = {}

    def of(self, numbers: Iterable[int]) -> list[ShownRow | None]:
        """The rows of some entities, None for each that is not kept."""
        return list(map(self._rows.get, numbers))

    def keep(self, number: int, row: ShownRow) -> None:
        """Keep a row that has just been read."""
        identifier, body = row
        size = len(body) + OVERHEAD_BYTES
        if size > self._size_max_bytes // 16:
            return
        self.forget(identifier)
        self._rows[number] = row
        self._numbers[identifier] = number
        self._size_bytes += size
        while self._size_bytes > self._size_max_bytes:
            self.forget(next(iter(self._rows.values()))[0])

    def forget(self, identifier: str) -> None:
        """An entity has been written or deleted."""
        number = self._numbers.pop(identifier, None)
        if number is not None:
            _, body = self._rows.pop(number)
            self._size_bytes -= len(body) + OVERHEAD_BYTES
