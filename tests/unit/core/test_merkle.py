"""RFC 6962 trees: roots, inclusion and consistency proofs, and the frontier."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from hansa.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    root_of_subset,
    subset_proof,
    verify_consistency,
    verify_inclusion,
)

SIZE_MAX = 65

# The test tree of Certificate Transparency's reference implementation.
CT_INPUTS = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

leaf_lists = st.lists(st.binary(max_size=8), min_size=1, max_size=200).map(
    lambda data: [leaf_hash(d) for d in data]
)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(bytes([n])) for n in range(size)]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root([]) == EMPTY_ROOT == Frontier().root() == hashlib.sha256(b"").digest()


def test_roots_are_those_of_certificate_transparency() -> None:
    hashes = [leaf_hash(bytes.fromhex(data)) for data in CT_INPUTS]
    for size, expected in enumerate(CT_ROOTS, start=1):
        assert root(hashes[:size]).hex() == expected


def test_leaves_and_nodes_are_hashed_apart() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_the_frontier_has_the_trees_root_at_every_size() -> None:
    frontier, hashes = Frontier(), leaves(SIZE_MAX)
    for size in range(1, SIZE_MAX + 1):
        frontier = frontier.append(hashes[size - 1])
        assert (frontier.size, frontier.root()) == (size, root(hashes[:size]))
        assert len(frontier.peaks) == size.bit_count()


def test_every_leaf_of_every_size_can_be_proved() -> None:
    hashes = leaves(SIZE_MAX)
    for size in range(1, SIZE_MAX + 1):
        tree_root = root(hashes[:size])
        for index in range(size):
            proof = inclusion_proof(hashes[:size], index)
            assert verify_inclusion(hashes[index], index, size, proof, tree_root)
            assert not verify_inclusion(hashes[index], index + 1, size, proof, tree_root)
            assert not verify_inclusion(leaf_hash(b"x"), index, size, proof, tree_root)
            assert not verify_inclusion(hashes[index], index, size, (*proof, tree_root), tree_root)


def test_every_size_is_consistent_with_every_smaller_one() -> None:
    hashes = leaves(SIZE_MAX)
    roots = [root(hashes[:size]) for size in range(SIZE_MAX + 1)]
    for size in range(1, SIZE_MAX + 1):
        for old in range(1, size + 1):
            proof = consistency_proof(hashes[:size], old)
            assert verify_consistency(old, roots[old], size, roots[size], proof)
            assert not verify_consistency(old, EMPTY_ROOT, size, roots[size], proof)
            assert not verify_consistency(old, roots[old], size, EMPTY_ROOT, proof)


@given(leaf_lists, st.data())
def test_a_proof_holds_for_its_own_leaf_alone(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    other = data.draw(st.integers(0, len(hashes) - 1))
    proof = inclusion_proof(hashes, index)
    assert verify_inclusion(hashes[index], index, len(hashes), proof, root(hashes))
    assert verify_inclusion(hashes[other], index, len(hashes), proof, root(hashes)) == (
        hashes[other] == hashes[index]
    )


@given(leaf_lists, st.data())
def test_a_shortened_or_altered_proof_fails(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    proof = inclusion_proof(hashes, index)
    if proof:
        cut = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_inclusion(hashes[index], index, len(hashes), proof[:cut], root(hashes))
        altered = (*proof[:cut], leaf_hash(b"altered"), *proof[cut + 1 :])
        assert not verify_inclusion(hashes[index], index, len(hashes), altered, root(hashes))


@given(leaf_lists, st.data())
def test_a_rewritten_history_is_not_consistent(hashes: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(hashes)))
    proof = consistency_proof(hashes, old)
    assert verify_consistency(old, root(hashes[:old]), len(hashes), root(hashes), proof)
    rewritten = [leaf_hash(b"rewritten"), *hashes[1:old]]
    assert not verify_consistency(old, root(rewritten), len(hashes), root(hashes), proof)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=12), st.integers(-2, 80), st.integers(-2, 80))
def test_made_up_proofs_never_hold(proof: list[bytes], one: int, other: int) -> None:
    leaf, tree_root = leaf_hash(b"leaf"), leaf_hash(b"root")
    assert not verify_inclusion(leaf, one, other, proof, tree_root)
    assert not verify_consistency(one, leaf, other, tree_root, proof)


@given(leaf_lists)
def test_appending_does_not_change_the_frontier_before(hashes: list[bytes]) -> None:
    before = Frontier()
    for leaf in hashes:
        size, tree_root = before.size, before.root()
        after = before.append(leaf)
        assert (before.size, before.root()) == (size, tree_root)
        before = after


@given(st.integers(0, SIZE_MAX), st.data())
def test_some_leaves_show_their_tree_and_no_others_do(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    indexes = sorted(data.draw(st.sets(st.sampled_from(range(size))))) if size else []
    proof = subset_proof(leaves, indexes)
    shown = {at: leaves[at] for at in indexes}
    assert root_of_subset(shown, size, proof) == root(leaves)
    assert root_of_subset(shown, size, (*proof, EMPTY_ROOT)) is None
    if proof:
        assert root_of_subset(shown, size, proof[:-1]) is None
    for at in indexes:
        assert root_of_subset({**shown, at: leaf_hash(b"another")}, size, proof) != root(leaves)
        without = {place: leaf for place, leaf in shown.items() if place != at}
        assert root_of_subset(without, size, proof) != root(leaves)
        if at + 1 < size and at + 1 not in shown:
            assert root_of_subset({**without, at + 1: leaves[at]}, size, proof) != root(leaves)
    assert root_of_subset({size: leaf_hash(b"beyond")}, size, proof) is None


@given(st.lists(st.binary(max_size=3), max_size=70), st.integers(0, 70))
def test_leaves_are_appended_together_as_one_after_another(contents: list[bytes], first: int) -> None:
    hashes = [leaf_hash(content) for content in contents]
    one_by_one = Frontier()
    for leaf in hashes:
        one_by_one = one_by_one.append(leaf)
    together = Frontier().extended(hashes[:first]).extended(hashes[first:])
    assert together == one_by_one
    assert together.root() == root(hashes)
