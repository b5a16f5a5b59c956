"""Values kept at hand while there is room: bounded by their size, the oldest go first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Values by keys."""

    def __init__(
        self,
        size_max_bytes: int,
        value_max_bytes: int,
        size_bytes_of: Callable[[V], int],
        gone: Callable[[V], object] | None = None,
    ) -> None:
        """Nothing is kept yet.

        Args:
            size_max_bytes: Of all values together.
            value_max_bytes: A larger value is not kept.
            size_bytes_of: What a value takes, roughly.
            gone: Is told of each value that is kept no more.
        """
        self._size_max_bytes = size_max_bytes
        self._value_max_bytes = value_max_bytes
        self._size_bytes_of = size_bytes_of
        self._gone = gone
        self._size_bytes = 0
        self._values: dict[K, V] = {}
        self.get = self._values.get
        """The value of a key, or None."""

    def keep(self, key: K, value: V) -> None:
        """Keep a value, in place of the one that the key had."""
        self.forget(key)
        size_bytes = self._size_bytes_of(value)
        if size_bytes > self._value_max_bytes:
            return
        self._values[key] = value
        self._size_bytes += size_bytes
        while self._size_bytes > self._size_max_bytes:
            self.forget(next(iter(self._values)))

    def forget(self, key: K) -> None:
        """Keep the value of a key no more."""
        value = self._values.pop(key, None)
        if value is not None:
            self._size_bytes -= self._size_bytes_of(value)
            if self._gone is not None:
                self._gone(value)
