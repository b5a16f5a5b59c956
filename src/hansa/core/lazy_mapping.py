"""A mapping whose values are made when they are looked up first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class LazyMapping(Mapping[Key, Value]):
    """Values by key, each made once.

    Args:
        keys: All keys, in their order.
        make: Makes the value of a key.
    """

    def __init__(self, keys: Iterable[Key], make: Callable[[Key], Value]) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make
        self._made: dict[Key, Value] = {}

    def __getitem__(self, key: Key) -> Value:
        """The value of a key.

        Raises:
            KeyError: There is no such key.
        """
        try:
            return self._made[key]
        except KeyError:
            if key not in self._keys:
                raise
        return self._made.setdefault(key, self._make(key))

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key; makes nothing."""
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        """The keys; makes nothing."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys)
