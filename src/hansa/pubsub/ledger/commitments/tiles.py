"""The tree over the events in tiles of 256 hashes, after C2SP tlog-tiles.

A tile of level n holds up to 256 neighbouring hashes of level 8n of the tree: of level 0 leaf hashes, of
level 1 the roots of 256 leaves, and so on. Full tiles never change; of each level at most the last tile is
not full. Any node of the tree comes from one tile, so a proof among a million events reads three tiles beside
the last ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.merkle import EMPTY_ROOT, Frontier, node_hash, root

TILE_WIDTH: Final = 256
"""Hashes in a full tile."""
TILE_HEIGHT: Final = 8
"""Levels of the tree in a tile."""
HASH_SIZE_BYTES: Final = 32
_FULL_BYTES: Final = TILE_WIDTH * HASH_SIZE_BYTES

TilePlace = tuple[int, int]
"""Level and number of a tile."""
TileReader = Callable[[int, int], bytes]
"""The hashes of a tile by its level and number, one after another; raises `TreeMissing`."""


class TreeMissing(Exception):
    """A part of a tree that has to be stored is not there; the message says which."""


class TileEdge(msgspec.Struct, frozen=True):
    """The tiles that are not full: where the tree grows."""

    size: int = 0
    """Leaves of the tree."""
    tiles: tuple[bytes, ...] = ()
    """One for each level from 0 on, the last level's not empty; the others may be."""

    def frontier(self) -> Frontier:
        """Size and peaks of the tree."""
        peaks: list[bytes] = []
        for tile in reversed(self.tiles):
            peaks += _peaks(hashes_of(tile))
        return Frontier(self.size, tuple(peaks))


class TilesUpdate(msgspec.Struct, frozen=True):
    """What changes with some leaves."""

    edge: TileEdge
    changed: Mapping[TilePlace, bytes]


def appended(edge: TileEdge, leaves: Sequence[bytes]) -> TilesUpdate:
    """The tiles that change when leaf hashes are appended."""
    changed: dict[TilePlace, bytes] = {}
    tiles: list[bytes] = []
    hashes, level = list(leaves), 0
    while hashes or level < len(edge.tiles):
        hashes_before = edge.size >> (TILE_HEIGHT * level)
        content = (edge.tiles[level] if level < len(edge.tiles) else b"") + b"".join(hashes)
        number = hashes_before // TILE_WIDTH
        is_changed = bool(hashes)
        hashes = []
        while len(content) >= _FULL_BYTES:
            changed[level, number] = full = content[:_FULL_BYTES]
            hashes.append(root(hashes_of(full)))
            content, number = content[_FULL_BYTES:], number + 1
        if is_changed and content:
            changed[level, number] = content
        tiles.append(content)
        level += 1
    return TilesUpdate(TileEdge(edge.size + len(leaves), tuple(tiles)), changed)


def edge_places(size: int) -> tuple[tuple[TilePlace, int], ...]:
    """Place and number of hashes of the last tile of each level, of a tree of so many leaves."""
    places: list[tuple[TilePlace, int]] = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        hashes = size >> (TILE_HEIGHT * level)
        places.append(((level, hashes // TILE_WIDTH), hashes % TILE_WIDTH))
        level += 1
    return tuple(places)


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes in a tile."""
    return [tile[at : at + HASH_SIZE_BYTES] for at in range(0, len(tile), HASH_SIZE_BYTES)]


class TiledTree:
    """A tree of some size, read from its tiles; each tile is read once. All methods raise `TreeMissing`.

    Args:
        size: Leaves. The tiles may be those of a larger tree.
        read: Reads a tile.
    """

    def __init__(self, size: int, read: TileReader) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[TilePlace, bytes] = {}

    def root(self) -> bytes:
        """Merkle tree hash of the leaves."""
        return self._root(0, self._size) if self._size else EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """The hash of a leaf."""
        assert 0 <= index < self._size, "no such leaf"
        return self._node(0, index)

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """Audit path of a leaf (RFC 6962, section 2.1.1), from the leaf upwards."""
        assert 0 <= index < self._size, "no such leaf"
        path: list[bytes] = []
        first, end = 0, self._size
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(first, middle))
                first = middle
        return tuple(reversed(path))

    def consistency_proof(self, old_size: int) -> tuple[bytes, ...]:
        """What shows that the first `old_size` leaves are a prefix of the tree (section 2.1.2)."""
        assert 0 < old_size <= self._size, "no such earlier tree"
        proof: list[bytes] = []
        first, end, is_whole = 0, self._size, True
        while old_size != end:
            middle = first + _split(end - first)
            if old_size <= middle:
                proof.append(self._root(middle, end))
                end = middle
            else:
                proof.append(self._root(first, middle))
                first, is_whole = middle, False
        if not is_whole:
            proof.append(self._root(first, end))
        return tuple(reversed(proof))

    def _root(self, first: int, end: int) -> bytes:
        """Merkle tree hash of the leaves from `first` to before `end`, which a split of the tree gives."""
        count = end - first
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self._node(level, first >> level)
        middle = first + _split(count)
        return node_hash(self._root(first, middle), self._root(middle, end))

    def _node(self, level: int, index: int) -> bytes:
        """The node of a level of the tree, 0 being that of the leaves."""
        tile_level, within = divmod(level, TILE_HEIGHT)
        number, at = divmod(index << within, TILE_WIDTH)
        place = tile_level, number
        if place not in self._tiles:
            self._tiles[place] = self._read(*place)
        begin = at * HASH_SIZE_BYTES
        part = self._tiles[place][begin : begin + (HASH_SIZE_BYTES << within)]
        if len(part) != HASH_SIZE_BYTES << within:
            raise TreeMissing(f"tile {number} of level {tile_level} is not whole")
        return root(hashes_of(part))


def _split(size: int) -> int:
    """Largest power of two smaller than `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _peaks(hashes: list[bytes]) -> list[bytes]:
    """The roots of the complete subtrees over the hashes, largest first."""
    peaks: list[bytes] = []
    while hashes:
        width = 1 << (len(hashes).bit_length() - 1)
        peaks.append(root(hashes[:width]))
        hashes = hashes[width:]
    return peaks
