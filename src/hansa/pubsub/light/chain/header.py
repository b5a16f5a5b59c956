"""Headers of blocks, and their hash: the Merkle root (RFC 6962) over the header's fields in their order."""

from __future__ import annotations

from functools import cached_property

import msgspec

from hansa.core.merkle import leaf_hash, root
from hansa.pubsub.light.chain import wire


class BlockId(msgspec.Struct, frozen=True):
    """Names a block: the hash of its header, and of the parts in which it was gossiped."""

    hash: bytes = b""
    parts_total: int = 0
    parts_hash: bytes = b""

    def encoded(self) -> bytes:
        """As `tendermint.types.BlockID`, and as the canonical form of it that is signed."""
        parts = wire.number(1, self.parts_total) + wire.data(2, self.parts_hash)
        return wire.data(1, self.hash) + wire.message(2, parts)


class Header(msgspec.Struct, frozen=True, dict=True):
    """A block's header (`tendermint.types.Header`)."""

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time_ns: int
    """Nanoseconds since 1970."""
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    """Of those who commit this block."""
    next_validators_hash: bytes
    """Of those who commit the next one."""
    consensus_hash: bytes
    app_hash: bytes
    """Of the application's state after the block before."""
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes

    @cached_property
    def hash(self) -> bytes:
        """Names the block, and is what its commit signs."""
        version = wire.number(1, self.version_block) + wire.number(2, self.version_app)
        fields = (
            version,
            wire.data(1, self.chain_id.encode()),
            wire.number(1, self.height),
            wire.timestamp(self.time_ns),
            self.last_block_id.encoded(),
            wire.data(1, self.last_commit_hash),
            wire.data(1, self.data_hash),
            wire.data(1, self.validators_hash),
            wire.data(1, self.next_validators_hash),
            wire.data(1, self.consensus_hash),
            wire.data(1, self.app_hash),
            wire.data(1, self.last_results_hash),
            wire.data(1, self.evidence_hash),
            wire.data(1, self.proposer_address),
        )
        return root([leaf_hash(field) for field in fields])
