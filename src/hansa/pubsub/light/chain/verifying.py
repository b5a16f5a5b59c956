"""Whether a light block follows from a trusted one.

*Adjacent* (the next height): the trusted header names the set that must have signed. *Skipping* (any later
height): more than a trust level, 1/3 at least, of the trusted set's power has signed, so at least one honest
validator of the trusted set has, as long as fewer than 1/3 are malicious; and more than 2/3 of the new set
has, whatever that set is. A light client that cannot skip so far tries a height between (bisection).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from hansa.core.errors import Code, Refused
from hansa.pubsub.light.chain.blocks import LightBlock, has_more_than, verified_signers
from hansa.pubsub.light.chain.header import Header
from hansa.pubsub.light.chain.validators import ValidatorSet

TRUST_LEVEL: Final = Fraction(1, 3)
NS_PER_S: Final = 1_000_000_000


class NotEnoughTrust(Refused):
    """The block may be right, but too few of the trusted validators signed it: try one between."""


class Trusted(msgspec.Struct, frozen=True):
    """What a light client trusts: who commits from some height on."""

    chain_id: str
    height: int
    """0 for a genesis."""
    time_ns: int
    validators: ValidatorSet
    next_validators_hash: bytes
    """Of the set that commits the height after."""
    hash: bytes = b""
    """Of the header; empty for a genesis."""


def trusted_block(block: LightBlock) -> Trusted:
    """What follows from a light block that has been verified."""
    header = block.header
    return Trusted(
        *(header.chain_id, header.height, header.time_ns, block.validators),
        *(header.next_validators_hash, header.hash),
    )


def trusted_genesis(chain_id: str, time_ns: int, validators: ValidatorSet) -> Trusted:
    """What follows from a genesis."""
    return Trusted(chain_id, 0, time_ns, validators, validators.hash)


def verified(
    trusted: Trusted,
    block: LightBlock,
    *,
    latest_time_ns: int | None = None,
    trust_level: Fraction = TRUST_LEVEL,
) -> Trusted:
    """What is trusted after a light block, once it is shown to follow from what is trusted now.

    Args:
        trusted: What is trusted now; the caller knows that its trust period is not over.
        block: From anybody.
        latest_time_ns: The latest time that a header may have: now, and a clock drift; None for no bound.
        trust_level: Share of the trusted power of which more must have signed when heights are skipped.

    Raises:
        NotEnoughTrust: `Code.PROOF_INVALID`.
        Refused: `Code.PROOF_INVALID`: it is wrong, whatever is between.
    """
    assert Fraction(1, 3) <= trust_level < 1, "less than 1/3 shows nothing"
    check_order(trusted, block.header, latest_time_ns)
    is_adjacent = block.height == trusted.height + 1
    if is_adjacent and block.header.validators_hash != trusted.next_validators_hash:
        raise _wrong(block.header, "its validators are not those that the header before it names")
    addresses = verified_signers(block)
    if not is_adjacent and not has_more_than(trust_level, addresses, trusted.validators):
        raise NotEnoughTrust(
            Code.PROOF_INVALID,
            f"Too few of the validators of height {trusted.height} signed the block of height {block.height}.",
        )
    return trusted_block(block)


def check_order(trusted: Trusted, header: Header, latest_time_ns: int | None) -> None:
    """Check that a header is of the same chain, and later.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    if header.chain_id != trusted.chain_id:
        raise _wrong(header, f"it is of the ledger {header.chain_id!r}, not of {trusted.chain_id!r}")
    if header.height <= trusted.height:
        raise _wrong(header, f"it does not come after height {trusted.height}")
    # A first block has the genesis' own time.
    if header.time_ns < trusted.time_ns or (header.time_ns == trusted.time_ns and trusted.height):
        raise _wrong(header, f"its time is not after that of height {trusted.height}")
    if latest_time_ns is not None and header.time_ns > latest_time_ns:
        raise _wrong(header, "its time lies in the future")


def is_expired(trusted: Trusted, trust_period_s: float, now_ns: int) -> bool:
    """Whether what is trusted is too old: its validators may have left, and need not fear to lie any more."""
    return trusted.time_ns + int(trust_period_s * NS_PER_S) <= now_ns


def _wrong(header: Header, reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The header of height {header.height} does not follow: {reason}.")
