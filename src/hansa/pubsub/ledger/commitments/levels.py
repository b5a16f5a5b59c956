"""A Merkle tree (RFC 6962) in memory, level by level, of which changed paths alone are computed anew.

Pairing the nodes of a level, and taking an odd last one up as it is, gives the tree of RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from hansa.core.merkle import EMPTY_ROOT, NODE_PREFIX, node_hash


class LevelsUpdate(msgspec.Struct, frozen=True):
    """Changed nodes of a tree, not part of it yet."""

    root: bytes
    nodes: tuple[Mapping[int, bytes], ...]
    """By index; one mapping for each level, leaves first."""


class MerkleLevels:
    """A tree of a fixed number of leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """`leaves`: leaf hashes."""
        self._levels: list[list[bytes]] = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            above = [node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self._levels.append(above + below[len(below) & ~1 :])

    @classmethod
    def filled(cls, leaf: bytes, size: int) -> Self:
        """A tree of equal leaves, whose number is a power of two."""
        assert size > 0 and size & (size - 1) == 0, "the number of leaves is a power of two"  # noqa: PT018
        tree = cls(())
        tree._levels = []
        while True:
            tree._levels.append([leaf] * size)
            if size == 1:
                return tree
            leaf, size = node_hash(leaf, leaf), size >> 1

    @property
    def root(self) -> bytes:
        """Merkle tree hash of the leaves."""
        return self._levels[-1][0] if self._levels[-1] else EMPTY_ROOT

    @property
    def leaves(self) -> Sequence[bytes]:
        """The leaf hashes."""
        return self._levels[0]

    def level(self, number: int) -> Sequence[bytes]:
        """The nodes of a level; 0 is that of the leaves."""
        return self._levels[number]

    def updated(self, leaves: Mapping[int, bytes]) -> LevelsUpdate:
        """What changes when these leaves do; the tree stays as it is."""
        if not leaves:
            return LevelsUpdate(self.root, ())
        assert min(leaves) >= 0 and max(leaves) < len(self._levels[0]), "no such leaf"  # noqa: PT018
        changed: dict[int, bytes] = dict(leaves)
        nodes: list[Mapping[int, bytes]] = [changed]
        for level in self._levels[:-1]:
            changed = _above(level, changed)
            nodes.append(changed)
        return LevelsUpdate(changed[0], tuple(nodes))

    def apply(self, update: LevelsUpdate) -> None:
        """Make an update of this tree a part of it."""
        for level, nodes in zip(self._levels, update.nodes, strict=False):
            for index, node in nodes.items():
                level[index] = node
        assert self.root == update.root, "the update is one of this tree"


def _above(level: Sequence[bytes], changed: Mapping[int, bytes]) -> dict[int, bytes]:
    """The nodes above the changed ones of a level."""
    get, sha256, last = changed.get, hashlib.sha256, len(level) - 1
    indexes = {index >> 1 for index in changed}
    single = {last >> 1: get(last) or level[last]} if last & 1 == 0 and last >> 1 in indexes else {}
    return single | {
        index: sha256(
            NODE_PREFIX + (get(left := index + index) or level[left]) + (get(left + 1) or level[left + 1])
        ).digest()
        for index in indexes - single.keys()
    }
