"""What `app_hash` commits to: sections, claims and records, with the proofs of each."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.canonical import hashlink
from hansa.core.merkle import (
    Frontier,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_inclusion,
)
from hansa.pubsub.ledger.commitments.app_hash import (
    RULESET_3,
    SECTIONS,
    Sections,
    events_section,
    verify_section,
)
from hansa.pubsub.ledger.commitments.claims import (
    CLAIM_SIZE_BYTES,
    EMPTY_BUCKET,
    GROUP_SIZE,
    ClaimsTree,
    bucket_of,
    bucket_path,
    decode_claim,
    encode_claim,
    record_of,
    records_on,
    records_proved,
)
from hansa.pubsub.ledger.commitments.levels import MerkleLevels
from hansa.pubsub.ledger.commitments.records import RecordTree
from hansa.pubsub.ledger_records import Claim

DIDS = ("did:web:lubeck.example", "did:web:bergen.example", "did:web:riga.example")


Bucket = tuple[bytes, tuple[bytes, ...]]
"""Records and path."""


class Buckets:
    """A tree of claims with its buckets in memory."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        self.hashes: dict[int, bytes] = {}
        self.tree = ClaimsTree({}, lambda buckets: [(bucket, self.read(bucket)) for bucket in buckets])

    def read(self, bucket: int) -> bytes:
        return self.records.get(bucket, b"")

    def put(self, *claims: Claim) -> None:
        update = self.tree.updated(claims)
        self.records.update(update.buckets)
        self.hashes.update({bucket: update.hash_of(bucket) for bucket in update.buckets})
        self.tree.apply(update)

    def proof(self, key: str) -> Bucket:
        bucket = bucket_of(key)
        first = bucket - bucket % GROUP_SIZE
        neighbours = [self.hashes.get(first + at, EMPTY_BUCKET) for at in range(GROUP_SIZE)]
        return self.read(bucket), bucket_path(bucket, neighbours, self.tree.groups())


def key_of(number: int, bucket: int | None = None) -> str:
    digest = hashlib.sha256(number.to_bytes(8)).hexdigest()
    return digest if bucket is None else f"{bucket:04x}{digest[4:]}"


def claim(number: int, issuer: str = DIDS[0], version: int = 1, bucket: int | None = None) -> Claim:
    link = hashlink(f"{number} {version}".encode())
    return Claim(
        key_of(number, bucket), issuer, number + 1, number + version, version, link, version % 3 == 2
    )


claims = st.builds(
    claim,
    st.integers(0, 30),
    st.sampled_from(DIDS),
    st.integers(1, 5),
    st.sampled_from((0, 1, 7, 65_535)),
)


@given(st.lists(claims, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_bucket_proves_the_latest_version_and_that_a_key_is_unknown(
    changes: list[Claim], data: st.DataObject
) -> None:
    buckets = Buckets()
    while changes:
        count = data.draw(st.integers(1, len(changes)))
        buckets.put(*changes[:count])
        latest = {(one.key, one.issuer): one for one in changes[:count]}
        for (key, issuer), expected in latest.items():
            proved = records_proved(key, *buckets.proof(key), buckets.tree.root)
            assert proved is not None
            assert encode_claim(expected) in proved
            record = record_of(buckets.read(bucket_of(key)), key, issuer)
            assert record is not None
            assert decode_claim(record, issuer) == expected
        changes = changes[count:]
    unknown = key_of(99, data.draw(st.sampled_from((0, 7, 300))))
    assert records_proved(unknown, *buckets.proof(unknown), buckets.tree.root) == ()


@given(st.lists(claims, min_size=1, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_root_is_the_same_in_whatever_order_claims_came(
    changes: list[Claim], shuffled: random.Random
) -> None:
    """Two members that meet the claims of a block in another order have the same hash."""
    latest = list({(one.key, one.issuer): one for one in changes}.values())
    first, second = Buckets(), Buckets()
    first.put(*latest)
    shuffled.shuffle(latest)
    for one in latest:
        second.put(one)
    assert first.tree.root == second.tree.root
    assert first.records == second.records


@given(st.lists(claims, min_size=2, max_size=20), st.data())
@settings(max_examples=80, deadline=None)
def test_no_changed_proof_shows_anything(changes: list[Claim], data: st.DataObject) -> None:
    buckets = Buckets()
    buckets.put(*changes)
    key = changes[0].key
    records, path = buckets.proof(key)
    without = records.replace(records_on(records, key)[0], b"")
    forged: Bucket = data.draw(
        st.sampled_from(
            (
                (without, path),
                (b"", path),
                (records, path[1:]),
                (records, (*path, bytes(32))),
                (records, tuple(reversed(path))),
                (records[1:], path),
                (records + bytes(CLAIM_SIZE_BYTES), path),
                (records + records[-CLAIM_SIZE_BYTES:], path),
            )
        )
    )
    assert records_proved(key, *forged, buckets.tree.root) is None
    other = key_of(5, (bucket_of(key) + 1) % 65_536)
    assert records_proved(other, records, path, buckets.tree.root) is None, "it is a proof of one bucket"
    assert records_proved(key, records, path, hashlib.sha256(b"another").digest()) is None
    assert records_proved("no key", records, path, buckets.tree.root) is None


@given(st.integers(1, 40), st.data())
@settings(deadline=None)
def test_levels_are_the_tree_of_rfc_6962(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([at])) for at in range(size)]
    tree = MerkleLevels(leaves)
    assert tree.root == root(leaves)
    changes = data.draw(st.dictionaries(st.integers(0, size - 1), st.binary(min_size=32, max_size=32)))
    update = tree.updated(changes)
    assert tree.root == root(leaves), "an update changes nothing before it is applied"
    tree.apply(update)
    leaves = [changes.get(at, leaf) for at, leaf in enumerate(leaves)]
    assert tree.root == update.root == root(leaves)
    assert list(tree.leaves) == leaves


@given(
    st.lists(st.dictionaries(st.text("abc", max_size=3), st.binary(max_size=4), max_size=6), max_size=5),
)
@settings(deadline=None)
def test_records_are_hashed_in_the_order_of_their_keys(changes: list[dict[str, bytes]]) -> None:
    records: dict[str, bytes] = {}
    tree = RecordTree({})
    for change in changes:
        update = tree.updated(change)
        records |= change
        assert update.root == RecordTree(dict(reversed(records.items()))).root
        tree.apply(update)
        assert (tree.root, tree.count) == (update.root, len(records))
        assert tree.root == root([leaf_hash(records[key]) for key in sorted(records)])


# -- app_hash ------------------------------------------------------------------------------------------------


def frontier(leaves: list[bytes]) -> Frontier:
    tree = Frontier()
    for one in leaves:
        tree = tree.append(one)
    return tree


SAMPLES = {
    name: Sections({"ruleset": name.encode()} | {one: one.encode() for one in sections if one != "ruleset"})
    for name, sections in SECTIONS.items()
}
SAMPLE = SAMPLES[RULESET_3]


@pytest.mark.parametrize(("ruleset", "name"), [(one, name) for one in SECTIONS for name in SECTIONS[one]])
def test_app_hash_commits_to_every_section(ruleset: str, name: str) -> None:
    sample = SAMPLES[ruleset]
    content, path = sample.content(name), sample.path(name)
    assert verify_section(ruleset, name, content, path, sample.app_hash)
    assert not verify_section(ruleset, name, content + b"x", path, sample.app_hash)
    for other in set(SECTIONS[ruleset]) - {name}:
        assert not verify_section(ruleset, other, content, path, sample.app_hash)
    for another in set(SECTIONS) - {ruleset}:
        assert not verify_section(another, name, content, path, sample.app_hash)


def test_another_content_of_a_section_is_another_hash() -> None:
    hashes = [SAMPLE.replaced({name: b"x"}).app_hash for name in SECTIONS[RULESET_3] if name != "ruleset"]
    assert len({SAMPLE.app_hash, *hashes}) == 1 + len(hashes)


@pytest.mark.parametrize("raw", [b"", b"\x90", b"\x91\xc4\x01x", SAMPLE.encoded()[:-1]])
def test_sections_of_an_unknown_rule_set_are_not_read(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Sections.decoded(raw)


@pytest.mark.parametrize("sample", SAMPLES.values())
def test_sections_are_read_as_they_were_written(sample: Sections) -> None:
    assert Sections.decoded(sample.encoded()).encoded() == sample.encoded()


def test_an_old_proof_of_another_place_shows_nothing_any_more() -> None:
    """The path of leaf 4 of 5 is also one of 1 of 2: where the size is not committed, both hold."""
    leaves = [leaf_hash(bytes([at])) for at in range(5)]
    path = inclusion_proof(leaves, 4)
    assert verify_inclusion(leaves[4], 4, 5, path, root(leaves))
    assert verify_inclusion(leaves[4], 1, 2, path, root(leaves)), "the former fault"
    committed = SAMPLE.replaced({"events": events_section(frontier(leaves))})
    forged = (2).to_bytes(8) + root(leaves)
    assert not verify_section(RULESET_3, "events", forged, committed.path("events"), committed.app_hash)


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_no_proof_of_a_tree_of_one_size_is_one_of_another(size: int, other: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([at])) for at in range(size)]
    committed = SAMPLE.replaced({"events": events_section(frontier(leaves))})
    claimed = other.to_bytes(8) + data.draw(st.sampled_from((root(leaves), node_hash(leaves[0], leaves[0]))))
    holds = verify_section(RULESET_3, "events", claimed, committed.path("events"), committed.app_hash)
    assert holds == (claimed == size.to_bytes(8) + root(leaves))
