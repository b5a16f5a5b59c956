"""Light blocks: a header, the commit that signs it, and the validators who signed; and whether it is valid.

A commit has a place for each validator of the set, in the set's order. What a validator signs is its vote
in canonical form (`CanonicalVote`): type, height, round, the block (nothing when it voted for no block), its
own time, and the chain's name, which is why a signature of one ledger is worth nothing on another.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.pubsub.light.chain import wire
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import ValidatorSet

ABSENT: Final = 1
"""`BlockIDFlag` of a validator whose vote is not in the commit."""
FOR_BLOCK: Final = 2
FOR_NIL: Final = 3
"""Of a vote for no block; it counts for nothing."""

PRECOMMIT: Final = 2
"""`SignedMsgType`."""
HASH_SIZE_BYTES: Final = 32
QUORUM: Final = Fraction(2, 3)
"""More than this share of the power must have signed."""
HEIGHT_MAX: Final = 2**53 - 1
ROUND_MAX: Final = 2**31 - 1


class SignedVote(msgspec.Struct, frozen=True):
    """One validator's place in a commit."""

    flag: int = ABSENT
    time_ns: int = 0
    """Its own time; nanoseconds since 1970."""
    signature: bytes = b""


class Commit(msgspec.Struct, frozen=True):
    """The votes that decided a block."""

    round: int
    parts_total: int
    parts_hash: bytes
    votes: tuple[SignedVote, ...]
    """One for each validator of the set."""


class LightBlock(msgspec.Struct, frozen=True):
    """What light clients verify of one height."""

    header: Header
    commit: Commit
    validators: ValidatorSet

    @property
    def height(self) -> int:
        """Of the block."""
        return self.header.height

    @property
    def block_id(self) -> BlockId:
        """What the commit signs."""
        return BlockId(self.header.hash, self.commit.parts_total, self.commit.parts_hash)


def sign_bytes(block: LightBlock, vote: SignedVote) -> bytes:
    """What a validator signed for its place in a commit."""
    header, commit = block.header, block.commit
    block_id = wire.message(4, block.block_id.encoded()) if vote.flag == FOR_BLOCK else b""
    return wire.delimited(
        wire.number(1, PRECOMMIT)
        + wire.fixed64(2, header.height)
        + wire.fixed64(3, commit.round)
        + block_id
        + wire.message(5, wire.timestamp(vote.time_ns))
        + wire.data(6, header.chain_id.encode())
    )


def signers(block: LightBlock) -> frozenset[bytes]:
    """Addresses of the validators who signed for the block; all signatures are verified.

    Raises:
        Refused: `Code.PROOF_INVALID`, naming the first signature that is wrong.
    """
    addresses: set[bytes] = set()
    for place, (one, vote) in enumerate(zip(block.validators.validators, block.commit.votes, strict=True)):
        if vote.flag == ABSENT:
            continue
        if not one.has_signed(sign_bytes(block, vote), vote.signature):
            raise _invalid(block, f"the signature of validator {place + 1} is wrong")
        if vote.flag == FOR_BLOCK:
            addresses.add(one.address)
    return frozenset(addresses)


def power_of(addresses: frozenset[bytes], validators: ValidatorSet) -> int:
    """Voting power that these addresses have in a set; each validator counts once."""
    return sum(one.power for address, one in validators.by_address.items() if address in addresses)


def has_more_than(share: Fraction, addresses: frozenset[bytes], validators: ValidatorSet) -> bool:
    """Whether these addresses have more than a share of a set's power."""
    return power_of(addresses, validators) > validators.total_power * share


def verified_signers(block: LightBlock) -> frozenset[bytes]:
    """Check a light block by itself; the addresses of those who signed it.

    That the set is the league's is a question of its own: see `hansa.pubsub.light.chain.verifying`.

    Raises:
        Refused: `Code.PROOF_INVALID`: the header names another set, a signature is wrong, or no more than 2/3
            of the set's power signed.
    """
    check_form(block)
    addresses = signers(block)
    if not has_more_than(QUORUM, addresses, block.validators):
        raise _invalid(block, "no more than 2/3 of the voting power signed it")
    return addresses


def check_form(block: LightBlock) -> None:
    """Check what needs no signature.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    header, commit = block.header, block.commit
    block.validators.check()
    if not 1 <= header.height <= HEIGHT_MAX or not 0 <= commit.round <= ROUND_MAX:
        raise _invalid(block, "its height or round is out of bounds")
    if header.validators_hash != block.validators.hash:
        raise _invalid(block, "the validators are not those that its header names")
    if len(commit.votes) != len(block.validators.validators):
        raise _invalid(block, "its commit has not one place for each validator")
    if len(commit.parts_hash) != HASH_SIZE_BYTES or not 1 <= commit.parts_total < 2**32:
        raise _invalid(block, "its commit names no block")
    for vote in commit.votes:
        if vote.flag not in {ABSENT, FOR_BLOCK, FOR_NIL}:
            raise _invalid(block, "its commit has a vote of an unknown kind")
        if vote.flag == ABSENT and (vote.signature or vote.time_ns):
            raise _invalid(block, "its commit has a signature of an absent validator")


def without_invalid_votes(block: LightBlock) -> LightBlock:
    """The same with the places of validators whose signatures do not verify here made absent.

    Libraries differ in which odd Ed25519 signatures they accept. Whoever hands a light block on leaves such
    votes out, so that one malicious validator cannot make everybody's proofs unreadable to strict verifiers.
    """
    if len(block.commit.votes) != len(block.validators.validators):
        return block
    votes = tuple(
        vote
        if vote.flag == ABSENT or one.has_signed(sign_bytes(block, vote), vote.signature)
        else SignedVote()
        for one, vote in zip(block.validators.validators, block.commit.votes, strict=True)
    )
    if votes == block.commit.votes:
        return block
    return msgspec.structs.replace(block, commit=msgspec.structs.replace(block.commit, votes=votes))


def _invalid(block: LightBlock, reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The block of height {block.header.height} is not valid: {reason}.")
