"""A bounded cache: by the size of its values or by their number; the oldest leave first.

Counts its hits and misses. `docs/caches.md` says of every cache what it holds and what makes that invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")


class CacheFigures(msgspec.Struct, frozen=True):
    """What a cache did since it was made, and what it holds."""

    name: str
    hits: int
    misses: int
    entries: int
    size: int
    """Bytes, or entries where the cache is bounded by their number."""


class HasFigures(Protocol):
    """A cache, as the metrics need it."""

    @property
    def figures(self) -> CacheFigures:
        """What it did since it was made, and what it holds."""


class FunctionCache(Generic[K, V]):
    """The values of a function that depends on its argument alone; the least recently used leave first.

    Unlike `Cache`, threads may share it.
    """

    def __init__(self, name: str, entries_max: int, function: Callable[[K], V]) -> None:
        """An empty cache, of which `name` is that in the metrics."""
        self._name = name
        self._cached = lru_cache(entries_max)(function)
        self.value: Final[Callable[[K], V]] = self._cached
        """The value of an argument, which is hashable."""

    @property
    def figures(self) -> CacheFigures:
        """What it did since it was made, and what it holds."""
        info = self._cached.cache_info()
        return CacheFigures(self._name, info.hits, info.misses, info.currsize, info.currsize)


class Cache(Generic[K, V]):
    """Values by keys. A value is never None, by which `get` reports a miss."""

    def __init__(
        self,
        name: str,
        size_max: int,
        value_max: int | None = None,
        size_of: Callable[[V], int] | None = None,
        evicted: Callable[[V], object] | None = None,
    ) -> None:
        """An empty cache.

        Args:
            name: In the metrics; no two caches of a process have the same.
            size_max: Of all values together: entries, or whatever `size_of` counts, as bytes.
            value_max: A larger value is not put into the cache; default: no bound but `size_max`.
            size_of: Size of a value; default: each counts one.
            evicted: Called with each value that leaves.
        """
        assert size_max > 0, "a cache has room"
        self.name = name
        self._size_max = size_max
        self._value_max = size_max if value_max is None else value_max
        self._size_of = size_of
        self._evicted = evicted
        self._size = 0
        self._values: dict[K, V] = {}
        self.hits = 0
        self.misses = 0

    def get(self, key: K) -> V | None:
        """The value of a key, or None."""
        value = self._values.get(key)
        if value is None:
            self.misses += 1
        else:
            self.hits += 1
        return value

    def hit(self, key: K) -> V | None:
        """The value of a key; None, which counts as no miss, for whoever asks again with `get` then."""
        value = self._values.get(key)
        if value is not None:
            self.hits += 1
        return value

    def get_many(self, keys: Iterable[K]) -> list[V | None]:
        """The values of some keys, None for each that is not here."""
        values = list(map(self._values.get, keys))
        misses = values.count(None)
        self.misses += misses
        self.hits += len(values) - misses
        return values

    def peek(self, key: K) -> V | None:
        """The value of a key, or None, for whoever brings the cache up to date: neither a hit nor a miss."""
        return self._values.get(key)

    def among(self, keys: Iterable[K]) -> set[K]:
        """Those of some keys that have a value; as `peek`."""
        return self._values.keys() & keys

    def reject(self, key: K) -> None:
        """Remove the value of a key that has just been a hit, since it is out of date: that was a miss."""
        assert self.hits > 0, "get gave the value out"
        self.hits -= 1
        self.misses += 1
        self.discard(key)

    def put(self, key: K, value: V) -> None:
        """Put a value in place of the one that the key had, as the newest; the oldest are evicted for it."""
        self.discard(key)
        size = 1 if self._size_of is None else self._size_of(value)
        if size > self._value_max:
            return
        self._values[key] = value
        self._size += size
        while self._size > self._size_max:
            self.discard(next(iter(self._values)))

    def discard(self, key: K) -> None:
        """Remove the value of a key, if there is one."""
        value = self._values.pop(key, None)
        if value is not None:
            self._size -= 1 if self._size_of is None else self._size_of(value)
            if self._evicted is not None:
                self._evicted(value)

    def clear(self) -> None:
        """Remove all values."""
        for key in tuple(self._values):
            self.discard(key)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def figures(self) -> CacheFigures:
        """What it did since it was made, and what it holds."""
        return CacheFigures(self.name, self.hits, self.misses, len(self._values), self._size)
