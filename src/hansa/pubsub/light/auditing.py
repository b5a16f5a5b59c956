"""Auditing a ledger: that nothing was removed, reordered or rewritten, from leaf hashes and signed headers.

The leaves of the ledger's tree, in order, give its root at every size. Each block that has events has a
*checkpoint*: their number by then, and the path from the section `events` to the application hash, which the
header of the next height has and more than 2/3 of the validators sign. So every state that was ever signed is
compared with the leaves as they are now. What was remembered of an earlier audit (size, peaks of the tree,
the trusted light block) is where the next one goes on.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final

import msgspec

from hansa.core.closed_json import Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.core.merkle import Frontier, leaf_hash, root_of_path
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS, counted
from hansa.pubsub.light.chain.blocks import HEIGHT_MAX, LightBlock
from hansa.pubsub.light.chain.forms import HASH, decoded
from hansa.pubsub.light.chain.verifying import Trusted, verified

HASH_SIZE_BYTES: Final = 32

CHECKPOINT: Final = Record(
    {
        "events": Integer(1, 2**53 - 1),
        "height": Integer(1, HEIGHT_MAX),
        "path": ListOf(HASH, 16),
        "ruleset": Text("[a-z0-9/-]{1,64}"),
    }
)
"""A checkpoint as one closed JSON; `/league/v1/ledger/checkpoints` has one a line."""


class Checkpoint(msgspec.Struct, frozen=True):
    """What the state of a height commits to of the events."""

    height: int
    events: int
    """Their number."""
    ruleset: str
    path: tuple[bytes, ...]
    """From the section `events` to the application hash."""


class AuditFigures(msgspec.Struct, frozen=True):
    """How far an audit has come."""

    events: int
    checkpoints: int
    """That were compared with a signed header."""
    unsigned: int
    """Of which the member has no header any more, or has none yet."""
    blocks: int
    """Light blocks that were verified."""


def read_checkpoint(line: bytes) -> Checkpoint:
    """A checkpoint of its line.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    try:
        fields = CHECKPOINT.read(line)
    except Refused as error:
        raise _wrong(f"a checkpoint cannot be read: {error.message}") from error
    path = tuple(map(decoded, fields["path"]))
    return Checkpoint(fields["height"], fields["events"], fields["ruleset"], path)


class Auditor:
    """Audits one member's ledger. Feed it in order: leaves, then light blocks, then checkpoints.

    Args:
        trusted: The genesis, or a light block that an earlier audit has verified.
        tree: The events that an earlier audit has seen.
    """

    def __init__(self, trusted: Trusted, tree: Frontier) -> None:
        self.trusted = trusted
        self._size = tree.size
        self._peaks = list(tree.peaks)
        self._leaves = bytearray()
        """That are not part of the tree yet."""
        self._signing: deque[LightBlock] = deque()
        """Verified, and not passed by a checkpoint yet."""
        self._checkpoints = self._unsigned = self._blocks = 0
        self.compared: tuple[LightBlock, Frontier] | None = None
        """The last state that was compared: the light block that signs it, and its events. A later audit may
        go on from there, but not from `trusted` and `tree`: light blocks may lag behind checkpoints.
        """

    @property
    def tree(self) -> Frontier:
        """The tree over the events so far."""
        return Frontier(self._size, tuple(self._peaks))

    @property
    def figures(self) -> AuditFigures:
        """How far it is."""
        return AuditFigures(self._size, self._checkpoints, self._unsigned, self._blocks)

    @property
    def leaves(self) -> int:
        """How many leaves were fed, in the tree or not."""
        return self._size + len(self._leaves) // HASH_SIZE_BYTES

    def add_leaves(self, hashes: bytes) -> None:
        """Leaf hashes, one after another, that follow the ones before.

        Raises:
            Refused: `Code.PROOF_INVALID`.
        """
        if len(hashes) % HASH_SIZE_BYTES:
            raise _wrong("leaves are not whole hashes")
        self._leaves += hashes

    def add_block(self, block: LightBlock) -> None:
        """A light block that follows the ones before.

        Raises:
            Refused: `Code.PROOF_INVALID`: it does not.
        """
        self.trusted = verified(self.trusted, block)
        self._signing.append(block)
        self._blocks += 1

    def check(self, checkpoint: Checkpoint) -> None:
        """Compare a checkpoint, which follows the ones before, with the leaves and with what was signed.

        Raises:
            Refused: `Code.PROOF_INVALID`: events were removed, reordered or rewritten.
        """
        if checkpoint.events < self._size or checkpoint.events > self.leaves:
            raise _wrong(f"there are fewer events than block {checkpoint.height} had")
        self._grow(checkpoint.events)
        count = len(SECTIONS.get(checkpoint.ruleset, ()))
        leaf = leaf_hash(b"events\x00" + counted(self._size, self.tree.root()))
        app_hash = root_of_path(leaf, 1, count, checkpoint.path) if count else None
        signing = self._block_after(checkpoint.height)
        if signing is None:
            self._unsigned += 1
        elif signing.header.app_hash != app_hash:
            raise _wrong(
                f"the events up to position {self._size} are not those that the validators signed after block "
                f"{checkpoint.height}: something was removed, reordered or rewritten"
            )
        else:
            self._checkpoints += 1
            self.compared = signing, self.tree

    def _block_after(self, height: int) -> LightBlock | None:
        """The block that signs the state of a height; those before it are dropped."""
        while self._signing and self._signing[0].height <= height + 1:
            if (block := self._signing.popleft()).height == height + 1:
                return block
        return None

    def _grow(self, size: int) -> None:
        """Append leaves to the tree; as `Frontier.append` does, in place."""
        peaks, sha256 = self._peaks, hashlib.sha256
        leaves, at, number = bytes(self._leaves), 0, self._size
        end = (size - number) * HASH_SIZE_BYTES
        while at < end:
            current, merging = leaves[at : at + HASH_SIZE_BYTES], number
            while merging & 1:
                current = sha256(b"\x01" + peaks.pop() + current).digest()
                merging >>= 1
            peaks.append(current)
            number += 1
            at += HASH_SIZE_BYTES
        del self._leaves[:end]
        self._size = size


def _wrong(reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The ledger does not pass the audit: {reason}.")
