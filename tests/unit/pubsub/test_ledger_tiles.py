"""The events' tree in tiles gives the roots and proofs of RFC 6962."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    root,
    verify_consistency,
    verify_inclusion,
)
from hansa.pubsub.ledger.commitments.tiles import (
    TILE_WIDTH,
    TiledTree,
    TileEdge,
    TilePlace,
    appended,
    edge_places,
)


def leaf(index: int) -> bytes:
    return hashlib.sha256(index.to_bytes(8)).digest()


class Tiles:
    """Stored tiles, that count how often they are read."""

    def __init__(self) -> None:
        self.edge = TileEdge()
        self.stored: dict[TilePlace, bytes] = {}
        self.reads = 0

    def append(self, count: int) -> int:
        """The number of tiles that are written."""
        update = appended(self.edge, [leaf(self.edge.size + at) for at in range(count)])
        self.stored.update(update.changed)
        self.edge = update.edge
        return len(update.changed)

    def read(self, level: int, number: int) -> bytes:
        self.reads += 1
        return self.stored[level, number]

    def tree(self, size: int | None = None) -> TiledTree:
        return TiledTree(self.edge.size if size is None else size, self.read)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_roots_and_proofs_are_those_of_the_whole_tree(blocks: list[int], data: st.DataObject) -> None:
    tiles = Tiles()
    for count in blocks:
        tiles.append(count)
    leaves = [leaf(at) for at in range(sum(blocks))]
    assert tiles.tree().root() == root(leaves)
    assert tiles.edge.frontier().root() == root(leaves)
    if not leaves:
        return
    index = data.draw(st.integers(0, len(leaves) - 1))
    assert tiles.tree().leaf(index) == leaves[index]
    assert tiles.tree().inclusion_proof(index) == inclusion_proof(leaves, index)
    old_size = data.draw(st.integers(1, len(leaves)))
    assert tiles.tree().consistency_proof(old_size) == consistency_proof(leaves, old_size)
    earlier = tiles.tree(old_size)
    assert earlier.root() == root(leaves[:old_size]), "tiles of a larger tree serve a smaller one"


@given(st.lists(st.integers(0, 600), max_size=5))
@settings(deadline=None)
def test_the_edge_follows_from_the_size_and_is_the_frontier(blocks: list[int]) -> None:
    tiles, frontier = Tiles(), Frontier()
    for count in blocks:
        for at in range(count):
            frontier = frontier.append(leaf(frontier.size + at))
        tiles.append(count)
    widths = [(place, len(tiles.stored.get(place, b"")) // 32) for place, _ in edge_places(tiles.edge.size)]
    assert widths == list(edge_places(tiles.edge.size))
    assert (
        tuple(tiles.stored.get(place, b"") for place, _ in edge_places(tiles.edge.size)) == tiles.edge.tiles
    )


@given(st.lists(st.integers(1, 600), min_size=1, max_size=4))
@settings(deadline=None)
def test_full_tiles_never_change(blocks: list[int]) -> None:
    tiles = Tiles()
    for count in blocks:
        full = {place: tile for place, tile in tiles.stored.items() if len(tile) == 32 * TILE_WIDTH}
        tiles.append(count)
        assert full.items() <= tiles.stored.items()


def test_a_proof_among_many_events_reads_few_tiles() -> None:
    tiles = Tiles()
    for _ in range(70):
        assert tiles.append(1000) <= 8
    proof = tiles.tree().inclusion_proof(12_345)
    assert tiles.reads <= 3 + len(tiles.edge.tiles)
    assert verify_inclusion(leaf(12_345), 12_345, 70_000, proof, tiles.tree().root())
    old = tiles.tree(4097)
    assert verify_consistency(
        4097, old.root(), 70_000, tiles.tree().root(), tiles.tree().consistency_proof(4097)
    )
