"""Proofs against the test vectors of Certificate Transparency's reference implementation (RFC 6962).

The eight leaves, and the proofs among them, are those of `merkletree/merkle_verifier_test` there.
"""

from __future__ import annotations

import pytest

from hansa.core.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    root_of_path,
    verify_consistency,
    verify_inclusion,
)
from hansa.pubsub.ledger.commitments.tiles import TiledTree, TileEdge, appended
from tests.unit.core.test_merkle import CT_INPUTS, CT_ROOTS

HASHES = [leaf_hash(bytes.fromhex(data)) for data in CT_INPUTS]
N_01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N_23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N_45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N_67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N_03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N_47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
L_0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
L_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"

INCLUSION = [
    (0, 1, []),
    (0, 8, [L_1, N_23, N_47]),
    (5, 8, [L_4, N_67, N_03]),
    (2, 3, [N_01]),
    (1, 5, [L_0, N_23, L_4]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [L_1, N_23, N_47]),
    (6, 8, [N_45, N_67, N_03]),
    (2, 5, [N_23, L_4]),
]


def tiled(size: int) -> TiledTree:
    update = appended(TileEdge(), HASHES[:size])
    return TiledTree(size, lambda level, number: update.changed[level, number])


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_those_of_certificate_transparency(
    index: int, size: int, path: list[str]
) -> None:
    expected = tuple(map(bytes.fromhex, path))
    assert inclusion_proof(HASHES[:size], index) == expected == tiled(size).inclusion_proof(index)
    whole = bytes.fromhex(CT_ROOTS[size - 1])
    assert root(HASHES[:size]) == whole == tiled(size).root()
    assert root_of_path(HASHES[index], index, size, expected) == whole
    assert not verify_inclusion(HASHES[index], index, size + 8, expected, whole)


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_proofs_are_those_of_certificate_transparency(
    old: int, new: int, path: list[str]
) -> None:
    expected = tuple(map(bytes.fromhex, path))
    assert consistency_proof(HASHES[:new], old) == expected == tiled(new).consistency_proof(old)
    roots = bytes.fromhex(CT_ROOTS[old - 1]), bytes.fromhex(CT_ROOTS[new - 1])
    assert verify_consistency(old, roots[0], new, roots[1], expected)
    assert not verify_consistency(old, bytes(32), new, roots[1], expected)


def test_a_full_tile_has_256_hashes_and_stands_in_the_next_level_for_their_root() -> None:
    """C2SP tlog-tiles: 256 hashes of 32 bytes in a full tile, whose root is one hash a level of tiles up."""
    hashes = [leaf_hash(number.to_bytes(4)) for number in range(256 * 256 + 3)]
    tiles = appended(TileEdge(), hashes).changed
    assert tiles[0, 7] == b"".join(hashes[7 * 256 : 8 * 256])
    assert len(tiles[0, 7]) == 8192
    assert tiles[0, 256] == b"".join(hashes[-3:])
    assert tiles[1, 0][7 * 32 : 8 * 32] == root(hashes[7 * 256 : 8 * 256])
    assert tiles[2, 0] == root(hashes[: 256 * 256])
