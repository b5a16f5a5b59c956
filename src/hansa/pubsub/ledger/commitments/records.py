"""A section of keyed records that are hashed as they are stored, as the registry.

The root is that of RFC 6962 over the records in order of their keys.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import msgspec

from hansa.core.merkle import leaf_hash
from hansa.pubsub.ledger.commitments.levels import LevelsUpdate, MerkleLevels


def record_leaf(key: str, record: bytes) -> bytes:
    """The leaf hash of a record in a section whose leaves have keys."""
    return leaf_hash(key.encode("utf-8") + b"\x00" + record)


class RecordsUpdate(msgspec.Struct, frozen=True):
    """What changes with some records; not part of the tree yet."""

    root: bytes
    count: int
    levels: LevelsUpdate | None = None
    """When all the records were there before."""
    leaves: Mapping[str, bytes] | None = None
    """All leaf hashes by key, when some are new or removed."""


class RecordTree:
    """The tree over some records.

    Args:
        records: By key, as they are stored.
        has_keys: Whether a leaf is the key, a zero byte and the record; else it is the record, which names
            its key itself.
    """

    def __init__(self, records: Mapping[str, bytes], *, has_keys: bool = False) -> None:
        self._has_keys = has_keys
        self._build({key: self._leaf(key, record) for key, record in records.items()})

    def _leaf(self, key: str, record: bytes) -> bytes:
        return record_leaf(key, record) if self._has_keys else leaf_hash(record)

    def _build(self, leaves: Mapping[str, bytes]) -> None:
        self._keys: Sequence[str] = sorted(leaves)
        self._levels = MerkleLevels([leaves[key] for key in self._keys])

    @property
    def root(self) -> bytes:
        """Commits to the records."""
        return self._levels.root

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._keys)

    def updated(self, records: Mapping[str, bytes | None]) -> RecordsUpdate:
        """What changes when these records are added, put in the place of those with their keys, or removed.

        None removes the record of a key, if there is one.
        """
        leaves = {key: self._leaf(key, record) for key, record in records.items() if record is not None}
        removed = records.keys() - leaves.keys()
        places = {key: bisect_left(self._keys, key) for key in leaves}
        if not removed and all(at < len(self._keys) and self._keys[at] == key for key, at in places.items()):
            levels = self._levels.updated({places[key]: leaf for key, leaf in leaves.items()})
            return RecordsUpdate(levels.root, self.count, levels=levels)
        merged = {**dict(zip(self._keys, self._levels.leaves, strict=True)), **leaves}
        for key in removed:
            merged.pop(key, None)
        root = MerkleLevels([merged[key] for key in sorted(merged)]).root
        return RecordsUpdate(root, len(merged), leaves=merged)

    def apply(self, update: RecordsUpdate) -> None:
        """Make an update of this tree a part of it."""
        if update.levels is not None:
            self._levels.apply(update.levels)
        elif update.leaves is not None:
            self._build(update.leaves)
        assert (self.root, self.count) == (update.root, update.count), "the update is one of this tree"
