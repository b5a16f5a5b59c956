"""The sections of the state, and `app_hash`, the root over them.

    ruleset       name of the rules that judged everything
    events        number of the events, and the root of their tree
    claims        the root of the claims (`hansa.pubsub.ledger.commitments.claims`)
    registry      number of the members, and the root over them
    issuers       the same of what is remembered of issuers
    validators    of the validators
    misbehavior   of what validators were punished for
    parameters    the limits of the league, as they are stored

A leaf is the section's name, a zero byte and its content; numbers have 8 bytes, big-endian. The number of
leaves, and so the place of each, is fixed; and since sizes are hashed beside roots, no proof about a tree of
one size is one about a tree of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hansa.core.merkle import Frontier, inclusion_proof, leaf_hash, root, verify_inclusion

RULESET: Final = "hansa-ledger/3"
"""Name of the rules of this version. Another name is another league: changing it needs an upgrade path."""

HASH_LAYOUT: Final = {
    "claim": "key:32 sha256(issuer):32 first:8 last:8 version:8 hashlink:32 deleted:1; 65536 buckets",
    "event": "height:8 time_ms:8 index:4 sha256(batch):32",
    "section": "name 00 content; counted: count:8 root:32",
}
"""What is hashed, for the digest of the rules."""


class Sections(msgspec.Struct, frozen=True):
    """The content of every section, by their names, in the order of their leaves."""

    ruleset: bytes
    events: bytes
    claims: bytes
    registry: bytes
    issuers: bytes
    validators: bytes
    misbehavior: bytes
    parameters: bytes

    @property
    def app_hash(self) -> bytes:
        """What the validators sign: commits to everything."""
        return root(self._leaves())

    def encoded(self) -> bytes:
        """The sections as the state stores them, for those who read it."""
        return msgspec.msgpack.encode(msgspec.structs.astuple(self))

    @staticmethod
    def decoded(raw: bytes) -> Sections:
        """What was encoded by this process or another one of this member."""
        return Sections(*msgspec.msgpack.decode(raw, type=tuple[bytes, ...]))

    def path(self, name: str) -> tuple[bytes, ...]:
        """What shows, with a section's content, that `app_hash` commits to it."""
        return inclusion_proof(self._leaves(), SECTIONS.index(name))

    def _leaves(self) -> Sequence[bytes]:
        return [_leaf(name, content) for name, content in zip(SECTIONS, self._contents(), strict=True)]

    def _contents(self) -> tuple[bytes, ...]:
        return msgspec.structs.astuple(self)


SECTIONS: Final = Sections.__struct_fields__


def verify_section(name: str, content: bytes, path: Sequence[bytes], app_hash: bytes) -> bool:
    """Whether `app_hash` commits to that content of a section."""
    return verify_inclusion(_leaf(name, content), SECTIONS.index(name), len(SECTIONS), path, app_hash)


def counted(count: int, tree_root: bytes) -> bytes:
    """A number of leaves and the root over them, as sections have them."""
    return count.to_bytes(8) + tree_root


def events_section(tree: Frontier) -> bytes:
    """The content of the section `events`."""
    return counted(tree.size, tree.root())


def event_leaf(height: int, time_ms: int, index: int, batch_digest: bytes) -> bytes:
    """An event's leaf in the ledger's tree: block height and time, its place in its batch, and the batch.

    Args:
        height: Of its block.
        time_ms: Of its block, milliseconds since 1970.
        index: Its place in the batch, from 0.
        batch_digest: SHA-256 of the batch's JWS, which commits to the event's content.
    """
    return height.to_bytes(8) + time_ms.to_bytes(8) + index.to_bytes(4) + batch_digest


def described_layout() -> Mapping[str, object]:
    """What is hashed, for the digest of the rules."""
    return {"sections": list(SECTIONS), **HASH_LAYOUT}


def _leaf(name: str, content: bytes) -> bytes:
    return leaf_hash(name.encode("ascii") + b"\x00" + content)
