"""The Merkle tree of RFC 6962 (Certificate Transparency), section 2.1: roots, proofs, and a growing frontier.

A `Frontier` keeps only the roots of the complete subtrees, one hash per set bit of the size, so that
appending to a log of any length and taking its root cost O(log n).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

_LEAF = b"\x00"
NODE_PREFIX = b"\x01"
"""Before the two hashes that an interior node is the hash of."""


def leaf_hash(data: bytes) -> bytes:
    """MTH of a list of one entry."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()
"""MTH of the empty list."""


def _split(size: int) -> int:
    """Largest power of two smaller than `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of leaf hashes."""
    if not leaves:
        return EMPTY_ROOT
    # Pairing the nodes of a level, and taking an odd last one up as it is, gives the same tree.
    level, sha256 = leaves, hashlib.sha256
    while len(level) > 1:
        above = [
            sha256(NODE_PREFIX + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Audit path of leaf `index` (section 2.1.1), from the leaf upwards."""
    assert 0 <= index < len(leaves), "no such leaf"
    if len(leaves) == 1:
        return ()
    k = _split(len(leaves))
    if index < k:
        return (*inclusion_proof(leaves[:k], index), root(leaves[k:]))
    return (*inclusion_proof(leaves[k:], index - k), root(leaves[:k]))


def inclusion_proofs(leaves: Sequence[bytes]) -> tuple[tuple[bytes, ...], ...]:
    """The audit paths of all leaves, in their order: what `inclusion_proof` gives for each."""

    def paths(part: Sequence[bytes]) -> tuple[bytes, list[tuple[bytes, ...]]]:
        if len(part) == 1:
            return part[0], [()]
        k = _split(len(part))
        left, left_paths = paths(part[:k])
        right, right_paths = paths(part[k:])
        together = [(*path, right) for path in left_paths] + [(*path, left) for path in right_paths]
        return node_hash(left, right), together

    return tuple(paths(leaves)[1]) if leaves else ()


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether `proof` shows that `leaf` is leaf `index` of the tree of `size` leaves with that root."""
    return root_of_path(leaf, index, size, proof) == expected_root


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to from a leaf; None when it is none of a tree of that size."""
    if not 0 <= index < size:
        return None
    position, last, current = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            current = node_hash(sibling, current)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        position >>= 1
        last >>= 1
    return current if last == 0 else None


def subset_proof(leaves: Sequence[bytes], indexes: Sequence[int]) -> tuple[bytes, ...]:
    """What shows, with some leaves and their places, that a tree has them: the roots of the rest, in order.

    Args:
        leaves: All leaf hashes.
        indexes: Of the leaves that are shown, ascending.
    """
    assert all(one < other for one, other in pairwise(indexes)), "ascending, and none twice"
    assert not indexes or 0 <= indexes[0] <= indexes[-1] < len(leaves), "no such leaf"

    def rest(first: int, end: int, shown: Sequence[int]) -> tuple[bytes, ...]:
        if not shown:
            return (root(leaves[first:end]),)
        if end - first == 1:
            return ()
        middle = first + _split(end - first)
        cut = bisect_left(shown, middle)
        return (*rest(first, middle, shown[:cut]), *rest(middle, end, shown[cut:]))

    return rest(0, len(leaves), indexes) if leaves else ()


def root_of_subset(leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root of a tree of `size` leaves that has these at their places; None when the proof is of none."""
    if size == 0:
        return EMPTY_ROOT if not leaves and not proof else None
    indexes, others = sorted(leaves), iter(proof)
    if indexes and not 0 <= indexes[0] <= indexes[-1] < size:
        return None

    def part(first: int, end: int, begin: int, stop: int) -> bytes:
        if begin == stop:
            return next(others)
        if end - first == 1:
            return leaves[first]
        middle = first + _split(end - first)
        cut = bisect_left(indexes, middle, begin, stop)
        left = part(first, middle, begin, cut)
        return node_hash(left, part(middle, end, cut, stop))

    try:
        result = part(0, size, 0, len(indexes))
    except StopIteration:
        return None
    return result if next(others, None) is None else None


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """Proof that the first `old_size` leaves are a prefix of the tree (section 2.1.2)."""
    assert 0 < old_size <= len(leaves), "no such earlier tree"

    def subproof(part: Sequence[bytes], m: int, whole: bool) -> tuple[bytes, ...]:
        if m == len(part):
            return () if whole else (root(part),)
        k = _split(len(part))
        if m <= k:
            return (*subproof(part[:k], m, whole), root(part[k:]))
        return (*subproof(part[k:], m - k, False), root(part[:k]))

    return subproof(leaves, old_size, True)


def verify_consistency(
    old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `proof` shows that the tree of `old_size` is a prefix of the tree of `size`."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = old_size - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old, new = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root


class Frontier(msgspec.Struct, frozen=True):
    """The right edge of a growing tree: its size and the roots of its complete subtrees, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The tree with one more leaf hash."""
        peaks, merging, current = list(self.peaks), self.size, leaf
        assert len(peaks) == merging.bit_count(), "one peak for each set bit of the size"
        while merging & 1:
            current = node_hash(peaks.pop(), current)
            merging >>= 1
        assert len(peaks) + 1 == (self.size + 1).bit_count(), "one peak for each set bit of the size"
        return Frontier(self.size + 1, (*peaks, current))

    def extended(self, leaves: Sequence[bytes]) -> Frontier:
        """The tree with more leaf hashes: what appending one after another gives."""
        peaks, size, sha256 = list(self.peaks), self.size, hashlib.sha256
        assert len(peaks) == size.bit_count(), "one peak for each set bit of the size"
        for current in leaves:
            merging = size
            while merging & 1:
                current = sha256(NODE_PREFIX + peaks.pop() + current).digest()  # noqa: PLW2901
                merging >>= 1
            peaks.append(current)
            size += 1
        assert len(peaks) == size.bit_count(), "one peak for each set bit of the size"
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """Merkle tree hash of everything appended."""
        if not self.peaks:
            return EMPTY_ROOT
        current = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            current = node_hash(peak, current)
        return current
