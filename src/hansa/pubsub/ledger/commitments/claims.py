"""The tree over all claims: which version of which entity is the latest, with proofs of it and of absence.

A claim is a record of 121 bytes:

    key           32  the entity key
    issuer        32  SHA-256 of the issuer's DID
    first, last   16  positions of its first and of its last event
    version        8  of the last event
    hashlink      32  digest in the hashlink of that version
    is_deleted     1

Integers are big-endian. Claims are in 65,536 buckets by the first 16 bits of their keys, in a bucket in order
of key and issuer. A bucket's hash is the leaf hash of its records one after another; the tree over the
buckets is that of RFC 6962. So one bucket and its path of 16 hashes show what is claimed on a key, and that
nothing else is: some kB at a million claims. Buckets can be fetched and checked one by one.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import pairwise
from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.canonical import digest_of_hashlink, hashlink_of_digest
from hansa.core.errors import Code, Fatal
from hansa.core.identifiers import is_entity_key
from hansa.core.merkle import inclusion_proof, leaf_hash, root_of_path
from hansa.pubsub.ledger.commitments.levels import LevelsUpdate, MerkleLevels
from hansa.pubsub.ledger_records import Claim

BUCKETS: Final = 65_536
CLAIM_SIZE_BYTES: Final = 121
_RECORD: Final = struct.Struct(">32s32sQQQ32s?")
PATH_LENGTH: Final = 16
GROUP_SIZE: Final = 256
"""Buckets in a group. The hashes over groups are stored, so that a path needs few rows."""
GROUP_LEVEL: Final = 8
BUCKETS_CACHED_MAX_BYTES: Final = 64_000_000
_ENTRY_BYTES: Final = 100
"""Of a cached bucket beside its records, about."""

ReadBuckets = Callable[[Sequence[int]], Iterable[tuple[int, bytes]]]
"""Reads buckets by their numbers: number and records of each."""
_KEY_SIZE_BYTES: Final = 64
"""Of key and issuer, by which records are ordered."""
EMPTY_BUCKET: Final = leaf_hash(b"")
"""Hash of a bucket without records."""


class ClaimsUpdate(msgspec.Struct, frozen=True):
    """What changes with some claims; not part of the tree yet."""

    buckets: Mapping[int, bytes]
    """The records of the changed buckets."""
    levels: LevelsUpdate

    def hash_of(self, bucket: int) -> bytes:
        """The hash of a changed bucket."""
        return self.levels.nodes[0][bucket]

    @property
    def groups(self) -> Mapping[int, bytes]:
        """The changed hashes over groups of buckets."""
        return self.levels.nodes[GROUP_LEVEL] if self.levels.nodes else {}


class ClaimsTree:
    """The tree over the buckets.

    Args:
        hashes: Of the buckets that are not empty.
        read: The records of some buckets, in any order; empty ones may be left out.
    """

    def __init__(self, hashes: Mapping[int, bytes], read: ReadBuckets) -> None:
        self._levels = MerkleLevels.filled(EMPTY_BUCKET, BUCKETS)
        self._levels.apply(self._levels.updated(hashes))
        self._read = read
        self._cache: Cache[int, bytes] = Cache(
            "ledger_buckets", BUCKETS_CACHED_MAX_BYTES, size_of=lambda records: len(records) + _ENTRY_BYTES
        )
        """Records that were read and compared: a batch is judged several times until it is committed."""

    @property
    def root(self) -> bytes:
        """Commits to all claims."""
        return self._levels.root

    def updated(self, claims: Iterable[Claim]) -> ClaimsUpdate:
        """What changes when these claims are added, or put in the place of those of their key and issuer.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when what is read is not what was committed.
        """
        changed = [(bucket_of(claim.key), encode_claim(claim)) for claim in claims]
        buckets = self._records({bucket for bucket, _ in changed})
        for bucket, record in changed:
            buckets[bucket] = _with_record(buckets[bucket], record)
        leaves = {bucket: leaf_hash(records) for bucket, records in buckets.items()}
        return ClaimsUpdate(buckets, self._levels.updated(leaves))

    def apply(self, update: ClaimsUpdate) -> None:
        """Make an update of this tree a part of it."""
        self._levels.apply(update.levels)
        for bucket, records in update.buckets.items():
            self._cache.put(bucket, records)

    def claim(self, issuer: str, key: str) -> Claim | None:
        """An issuer's claim on an entity key.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when what is read is not what was committed.
        """
        return self.claims(issuer, (key,)).get(key)

    def claims(self, issuer: str, keys: Sequence[str]) -> Mapping[str, Claim]:
        """An issuer's claims on those of the entity keys that it has some on.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when what is read is not what was committed.
        """
        numbers = [int(key[:4], 16) for key in keys]
        buckets, digest = self._records(set(numbers)), issuer_digest(issuer)
        claims: dict[str, Claim] = {}
        for key, number in zip(keys, numbers, strict=True):
            records = buckets[number]
            at = _find(records, bytes.fromhex(key) + digest) if records else -1
            if at >= 0:
                claims[key] = decode_claim(records[at : at + CLAIM_SIZE_BYTES], issuer)
        return claims

    def check_bucket(self, bucket: int) -> bool:
        """Whether the records of a bucket are those that were committed."""
        records = dict(self._read((bucket,))).get(bucket, b"")
        return leaf_hash(records) == self._levels.leaves[bucket]

    def _records(self, buckets: AbstractSet[int]) -> dict[int, bytes]:
        """The records of some buckets."""
        cached = zip(buckets, self._cache.get_many(buckets), strict=True)
        records = {bucket: one for bucket, one in cached if one is not None}
        if len(records) == len(buckets):
            return records
        leaves = self._levels.leaves
        expected = {bucket: leaves[bucket] for bucket in buckets if bucket not in records}
        stored = [bucket for bucket, leaf in expected.items() if leaf != EMPTY_BUCKET]
        read = dict(self._read(stored)) if stored else {}
        for bucket, leaf in expected.items():
            stored_records = read.get(bucket, b"")
            if leaf_hash(stored_records) != leaf:
                raise Fatal(
                    Code.STORE_DAMAGED, f"The ledger's claims in bucket {bucket} are not those committed."
                )
            records[bucket] = stored_records
            self._cache.put(bucket, stored_records)
        return records

    def groups(self) -> Sequence[bytes]:
        """The hashes over each 256 buckets."""
        return self._levels.level(GROUP_LEVEL)


def bucket_of(key: str) -> int:
    """The bucket of an entity key: its first 16 bits."""
    return int(key[:4], 16)


@lru_cache(1024)
def issuer_digest(did: str) -> bytes:
    """An issuer, as records name it."""
    return hashlib.sha256(did.encode("ascii")).digest()


def encode_claim(claim: Claim) -> bytes:
    """The record of a claim."""
    assert len(claim.key) == _KEY_SIZE_BYTES, "a key is a hash in hex"
    return _RECORD.pack(
        bytes.fromhex(claim.key),
        issuer_digest(claim.issuer),
        claim.first_position,
        claim.last_position,
        claim.version,
        digest_of_hashlink(claim.hashlink),
        claim.is_deleted,
    )


def decode_claim(record: bytes, issuer: str) -> Claim:
    """The claim of a record, whose issuer is known by another way."""
    assert len(record) == CLAIM_SIZE_BYTES, "records have one size"
    key, _, first, last, version, digest, is_deleted = _RECORD.unpack(record)
    return Claim(key.hex(), issuer, first, last, version, hashlink_of_digest(digest), is_deleted)


def first_position_of(record: bytes) -> int:
    """Position of the entity's first event, by which the state's file names the entity."""
    return int.from_bytes(record[64:72])


def positions_of(records: bytes) -> Iterator[tuple[int, int]]:
    """Positions of the first and of the last event of each claim of a bucket."""
    for at in range(_KEY_SIZE_BYTES, len(records), CLAIM_SIZE_BYTES):
        yield int.from_bytes(records[at : at + 8]), int.from_bytes(records[at + 8 : at + 16])


def records_in(records: bytes) -> Iterator[bytes]:
    """The records of a bucket, one by one."""
    for at in range(0, len(records), CLAIM_SIZE_BYTES):
        yield records[at : at + CLAIM_SIZE_BYTES]


def records_on(records: bytes, key: str) -> tuple[bytes, ...]:
    """The records of a bucket that are on a key."""
    prefix = bytes.fromhex(key)
    at = _place_of(records, prefix)
    matches: list[bytes] = []
    while records.startswith(prefix, at):
        matches.append(records[at : at + CLAIM_SIZE_BYTES])
        at += CLAIM_SIZE_BYTES
    return tuple(matches)


def record_of(records: bytes, key: str, issuer: str) -> bytes | None:
    """The record of a bucket that is an issuer's on a key."""
    at = _find(records, bytes.fromhex(key) + issuer_digest(issuer))
    return None if at < 0 else records[at : at + CLAIM_SIZE_BYTES]


def bucket_path(bucket: int, neighbours: Sequence[bytes], groups: Sequence[bytes]) -> tuple[bytes, ...]:
    """The path of a bucket.

    Args:
        bucket: Its number.
        neighbours: The hashes of the 256 buckets of its group.
        groups: The hashes over each 256 buckets.
    """
    assert len(neighbours) == len(groups) == GROUP_SIZE, "the tree has two halves of equal height"
    return (
        *inclusion_proof(neighbours, bucket % GROUP_SIZE),
        *inclusion_proof(groups, bucket // GROUP_SIZE),
    )


def records_proved(key: str, records: bytes, path: Sequence[bytes], root: bytes) -> tuple[bytes, ...] | None:
    """The records of all claims on a key, none when it is unknown; None when nothing is shown.

    Args:
        key: The entity key.
        records: What somebody says is the bucket of the key.
        path: From the bucket to the root.
        root: Of the claims; from `app_hash`.
    """
    result = claims_root(key, records, path)
    return result[1] if result is not None and result[0] == root else None


def claims_root(key: str, records: bytes, path: Sequence[bytes]) -> tuple[bytes, tuple[bytes, ...]] | None:
    """The root that a bucket's path leads to, and the records of all claims on a key; None without a bucket.

    Args:
        key: The entity key.
        records: What somebody says is the bucket of the key.
        path: From the bucket to the root.
    """
    if not is_entity_key(key) or len(path) != PATH_LENGTH:
        return None
    bucket = bucket_of(key)
    ordered = [records[at : at + _KEY_SIZE_BYTES] for at in range(0, len(records), CLAIM_SIZE_BYTES)]
    is_bucket = (
        len(records) % CLAIM_SIZE_BYTES == 0
        and all(int.from_bytes(one[:2]) == bucket for one in ordered)
        and all(one < other for one, other in pairwise(ordered))
    )
    root = root_of_path(leaf_hash(records), bucket, BUCKETS, path) if is_bucket else None
    return None if root is None else (root, records_on(records, key))


def _place_of(records: bytes, prefix: bytes) -> int:
    """Where the first record is that is not before a prefix: an offset in bytes."""
    low, high = 0, len(records) // CLAIM_SIZE_BYTES
    while low < high:
        middle = (low + high) // 2
        at = middle * CLAIM_SIZE_BYTES
        if records[at : at + len(prefix)] < prefix:
            low = middle + 1
        else:
            high = middle
    return low * CLAIM_SIZE_BYTES


def _find(records: bytes, prefix: bytes) -> int:
    """Where the record is that begins with key and issuer; -1 when there is none."""
    at = records.find(prefix)
    if at % CLAIM_SIZE_BYTES and at >= 0:  # the same bytes within other records
        at = _place_of(records, prefix)
        return at if records.startswith(prefix, at) else -1
    return at


def _with_record(records: bytes, record: bytes) -> bytes:
    if not records:
        return record
    prefix = record[:_KEY_SIZE_BYTES]
    at = _find(records, prefix)
    if at >= 0:
        return records[:at] + record + records[at + CLAIM_SIZE_BYTES :]
    at = _place_of(records, prefix)
    return records[:at] + record + records[at:]
