"""A chain of light blocks that test validators sign: right ones, and whatever a liar would make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.pubsub.light.chain.blocks import FOR_BLOCK, Commit, LightBlock, SignedVote, sign_bytes
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import LightValidator, ValidatorSet

CHAIN_ID = "hansa-test"
START_NS = 1_800_000_000 * 10**9
BLOCK_NS = 10**9


def digest(text: str) -> bytes:
    """A hash that stands for something."""
    return hashlib.sha256(text.encode()).digest()


class Signer:
    """A validator with its private key."""

    def __init__(self, name: str, power: int = 10) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(digest(f"key of {name}"))
        self.validator = LightValidator(self._key.public_key().public_bytes_raw(), power)

    def vote(self, block: LightBlock, flag: int = FOR_BLOCK, time_ns: int | None = None) -> SignedVote:
        """Its place in the block's commit, signed."""
        vote = SignedVote(flag, block.header.time_ns + 5 if time_ns is None else time_ns)
        return msgspec.structs.replace(vote, signature=self._key.sign(sign_bytes(block, vote)))


def signer_set(*signers: Signer) -> ValidatorSet:
    """The validator set of some signers, in their order."""
    return ValidatorSet(tuple(one.validator for one in signers))


def signed(
    block: LightBlock, signers: Sequence[Signer], flags: Mapping[int, int] | None = None
) -> LightBlock:
    """The block with a commit that those of its validators sign who are among `signers`."""
    by_key = {one.validator.public_key: one for one in signers}
    votes = tuple(
        by_key[one.public_key].vote(block, (flags or {}).get(place, FOR_BLOCK))
        if one.public_key in by_key
        else SignedVote()
        for place, one in enumerate(block.validators.validators)
    )
    return msgspec.structs.replace(block, commit=msgspec.structs.replace(block.commit, votes=votes))


def light_block(
    height: int,
    validators: Sequence[Signer],
    signers: Sequence[Signer] | None = None,
    next_validators: Sequence[Signer] | None = None,
    chain_id: str = CHAIN_ID,
    app_hash: bytes | None = None,
    **changes: Any,
) -> LightBlock:
    """A block of a height that its validators sign, all of them by default."""
    current = signer_set(*validators)
    header = Header(
        version_block=11,
        version_app=1,
        chain_id=chain_id,
        height=height,
        time_ns=START_NS + height * BLOCK_NS,
        last_block_id=BlockId(digest(f"block {height - 1}"), 1, digest("parts")) if height > 1 else BlockId(),
        last_commit_hash=digest("last commit"),
        data_hash=digest("data"),
        validators_hash=current.hash,
        next_validators_hash=signer_set(*(next_validators or validators)).hash,
        consensus_hash=digest("consensus"),
        app_hash=digest(f"state {height - 1}") if app_hash is None else app_hash,
        last_results_hash=digest("results"),
        evidence_hash=digest("evidence"),
        proposer_address=current.validators[0].address,
    )
    header = msgspec.structs.replace(header, **changes)
    block = LightBlock(header, Commit(0, 1, digest(f"parts {height}"), ()), current)
    return signed(block, validators if signers is None else signers)
