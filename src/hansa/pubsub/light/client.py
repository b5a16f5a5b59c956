"""A light client: follows the engine's chain through members, none of whom it has to believe.

It trusts a set of validators (of the genesis, or of a light block that it has verified) for the *trust
period*: validators who have left can be punished no more, so what they sign later counts for nothing. One
member, the primary, gives light blocks; a block that too few of the trusted validators signed is reached over
blocks between (bisection). Then the others, the witnesses, are asked for the same height. One with another
block that is validly signed too, from what was trusted before, shows that the ledger has *forked*: both are
retained and nothing is trusted further. One with another block that does not hold up is noted as a liar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.verifying import NS_PER_S, NotEnoughTrust, Trusted, is_expired, verified

TRUST_PERIOD_S: Final = 14 * 86_400.0
"""Less than evidence of misbehavior is punished for (21 days)."""
CLOCK_DRIFT_S: Final = 10.0
STEPS_MAX: Final = 128
FORGERIES_MAX: Final = 64


class LightProvider(Protocol):
    """A member that gives light blocks. All methods raise `Refused` or `Unavailable`."""

    endpoint: str

    async def light_block(self, height: int | None = None) -> LightBlock:
        """The light block of a height, or the newest."""

    async def light_block_after(self, height: int) -> LightBlock | None:
        """The first light block after a height that the member retains."""


class ForkEvidence(msgspec.Struct, frozen=True):
    """Two valid light blocks of one height."""

    one: LightBlock
    other: LightBlock
    witness: str
    """Who gave the other one."""


class LightClient:
    """Follows a chain.

    Args:
        trusted: The genesis, or what follows from a light block that is known by other means.
        primary: Gives light blocks.
        witnesses: Contradict it, if it lies.
        clock: For the trust period.
        trust_period_s: How long validators are trusted.
    """

    def __init__(
        self,
        trusted: Trusted,
        primary: LightProvider,
        witnesses: Sequence[LightProvider],
        clock: Clock,
        trust_period_s: float = TRUST_PERIOD_S,
    ) -> None:
        self.trusted = trusted
        self._primary = primary
        self._witnesses = list(witnesses)
        self._clock = clock
        self._trust_period_s = trust_period_s
        self.fork: ForkEvidence | None = None
        self.forgeries: list[ForkEvidence] = []
        """Blocks of witnesses that did not hold up, each beside the one that did."""

    async def advance(self, height: int | None = None) -> LightBlock:
        """Verify the light block of a height after the trusted one, or the newest, and trust it.

        Raises:
            Refused: `Code.PROOF_INVALID`: what the primary says does not hold; `Code.LEDGER_FORKED`.
            Unavailable: the primary does not answer, or the trust period is over (`Code.UNAVAILABLE`): a
                newer block has to be learned by other means.
        """
        if self.fork is not None:
            raise _forked(self.fork)
        if self.trusted.height and is_expired(self.trusted, self._trust_period_s, self._now_ns()):
            raise Unavailable(
                Code.UNAVAILABLE,
                f"What is trusted, block {self.trusted.height}, is older than the trust period. Compare a newer block with "
                "members by other means.",
            )
        target = await self._primary.light_block(height)
        if target.height == self.trusted.height and target.header.hash == self.trusted.hash:
            return target
        trusted = await self._bisect(self._primary, target)
        await self._compare(target)
        self.trusted = trusted
        return target

    async def _bisect(self, provider: LightProvider, target: LightBlock) -> Trusted:
        """What is trusted after a light block, over blocks between where necessary."""
        trusted, waiting = self.trusted, [target]
        latest_ns = self._now_ns() + int(CLOCK_DRIFT_S * NS_PER_S)
        for _ in range(STEPS_MAX):
            try:
                trusted = verified(trusted, waiting[-1], latest_time_ns=latest_ns)
            except NotEnoughTrust:
                waiting.append(await _between(provider, trusted.height, waiting[-1].height))
                continue
            waiting.pop()
            if not waiting:
                return trusted
        raise Refused(Code.PROOF_INVALID, f"{provider.endpoint} leads to no block in {STEPS_MAX} steps.")

    async def _compare(self, target: LightBlock) -> None:
        """Compare a block with those of the witnesses, all at once: none of them holds up the others."""
        witnesses = tuple(self._witnesses)
        others = await asyncio.gather(*(_block_of(witness, target.height) for witness in witnesses))
        for witness, other in zip(witnesses, others, strict=True):
            if other is None or other.header.hash == target.header.hash:
                continue
            evidence = ForkEvidence(target, other, witness.endpoint)
            try:
                await self._bisect(witness, other)
            except HansaError:
                if len(self.forgeries) < FORGERIES_MAX:
                    self.forgeries.append(evidence)
                self._witnesses.remove(witness)
                continue
            self.fork = evidence
            raise _forked(self.fork)

    def _now_ns(self) -> int:
        return int(self._clock.now().timestamp() * NS_PER_S)


async def _block_of(witness: LightProvider, height: int) -> LightBlock | None:
    """A witness' block; None when it is away, or has not come so far."""
    try:
        return await witness.light_block(height)
    except HansaError:
        return None


async def _between(provider: LightProvider, low: int, high: int) -> LightBlock:
    """A light block between two heights, near the middle; one that the provider still has."""
    middle = (low + high) // 2
    if middle <= low:
        raise Refused(Code.PROOF_INVALID, f"The validators of height {high} do not follow from those before.")
    try:
        return await provider.light_block(middle)
    except Refused as error:
        if error.code is not Code.NOT_FOUND:
            raise
    block = await provider.light_block_after(middle)
    if block is None or block.height >= high:
        block = await provider.light_block_after(low)
    if block is None or not low < block.height < high:
        raise Refused(
            Code.PROOF_INVALID, f"{provider.endpoint} has no block between heights {low} and {high}."
        )
    return block


def _forked(fork: ForkEvidence) -> Refused:
    return Refused(
        Code.LEDGER_FORKED,
        f"Two different blocks of height {fork.one.height} are validly signed; {fork.witness} has the other one.",
    )
