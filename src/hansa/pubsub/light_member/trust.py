"""What a light member trusts: a light block, from which every later one is verified.

It begins with the newest block that was verified and retained before; else with the one that the operator
compared by other means (`joining.json`), whose hash is known; else with the genesis. It is trusted for the
trust period: validators that have left can be punished no more, so after it nothing that they sign counts,
and the operator has to compare a newer block by other means again.

A fork (two valid headers of one height) is retained with both headers. It stays: only a block after it that
the operator has compared by other means ends it, because no computation decides which history the members
will go on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from hansa.core.canonical import canonical_json
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.pubsub.light.captured import BlockRetention, CapturedBlocks, LedgerEvidence
from hansa.pubsub.light.chain.blocks import LightBlock, verified_signers, without_invalid_votes
from hansa.pubsub.light.chain.forms import light_block_fields
from hansa.pubsub.light.chain.rpc_form import time_text
from hansa.pubsub.light.chain.verifying import NS_PER_S, Trusted, is_expired, trusted_block
from hansa.pubsub.light.client import TRUST_PERIOD_S, ForkEvidence, LightClient
from hansa.pubsub.light.comparing import FORGERY, FORK
from hansa.pubsub.light_member.followed import FollowedMember

_DAY_S: Final = 86_400.0

log = structlog.get_logger("hansa.pubsub")


class PinnedBlock(msgspec.Struct, frozen=True):
    """A block that the operator has compared by other means."""

    height: int
    hash: str
    """Of its header; hex."""


class TrustedBlock(msgspec.Struct, frozen=True):
    """What is trusted now, for the status."""

    height: int
    """0 for the genesis."""
    time: str
    age_s: float
    """By this machine's clock."""
    expires_in_s: float
    """Until the trust period is over."""


class ChainTrust:
    """Follows the chain of one league. Used on one event loop.

    Args:
        genesis: What follows from the league's genesis.
        pinned: What the operator has compared; None: nothing but the genesis.
        retained: What was verified before.
        clock: For the trust period.
        trust_period_s: How long a block is trusted.
    """

    def __init__(
        self,
        genesis: Trusted,
        pinned: PinnedBlock | None,
        retained: BlockRetention,
        clock: Clock,
        trust_period_s: float = TRUST_PERIOD_S,
    ) -> None:
        self._trusted = genesis
        self._pinned = pinned
        self._retained = retained
        self._clock = clock
        self._trust_period_s = trust_period_s
        self._has_begun = False
        self.block: LightBlock | None = None
        """The newest light block that was verified; None before the first."""
        self.evidence: tuple[LedgerEvidence, ...] = ()
        """What others signed or made up against what was verified here."""

    @property
    def height(self) -> int:
        """Of the trusted block; 0 for the genesis."""
        return self._trusted.height

    @property
    def trusted(self) -> TrustedBlock:
        """What is trusted now."""
        age_s = self._clock.now().timestamp() - self._trusted.time_ns / NS_PER_S
        return TrustedBlock(
            *(self._trusted.height, time_text(self._trusted.time_ns), round(age_s, 3)),
            round(self._trust_period_s - age_s, 3),
        )

    @property
    def fork(self) -> LedgerEvidence | None:
        """Evidence of a fork after which the operator has trusted no block."""
        since = self._pinned.height if self._pinned is not None else 0
        return next((one for one in self.evidence if one.kind == FORK and one.height > since), None)

    @property
    def is_expired(self) -> bool:
        """Whether the trust period is over."""
        return is_expired(self._trusted, self._trust_period_s, self._now_ns())

    @property
    def problem(self) -> HansaError | None:
        """Why nothing more can be verified; None while it can."""
        fork = self.fork
        if fork is not None:
            return Refused(
                Code.LEDGER_FORKED,
                f"The ledger has forked at height {fork.height:,}: two different blocks are validly signed. Nothing after it is "
                "believed until the members have decided; docs/operators/light-members.md says what to do.",
            )
        if self._has_begun and self.is_expired:
            return Unavailable(
                Code.UNAVAILABLE,
                f"The trusted block, {self.height:,} of {time_text(self._trusted.time_ns)}, is older than the trust period of "
                f"{self._trust_period_s / _DAY_S:.0f} days. Compare a newer block with members by other means, and "
                "state it with `hansa league trust`.",
            )
        return None

    async def begin(self, sources: Sequence[FollowedMember]) -> None:
        """Find out what is trusted to begin with, if that is not known yet.

        Raises:
            Unavailable: the block that the operator has compared can be had of nobody.
            Refused: `Code.CONFLICT`: what was retained here is another history than that block's.
            Fatal: the file of light blocks cannot be read.
        """
        if self._has_begun:
            return
        self.evidence = await self._retained.read(CapturedBlocks.evidence)
        newest, pinned = await self._retained.read(CapturedBlocks.newest), self._pinned
        if pinned is not None:
            same = await self._retained.read(lambda blocks: blocks.block(pinned.height))
            if same is not None and same.header.hash.hex() != pinned.hash.lower():
                raise Refused(
                    Code.CONFLICT,
                    f"Block {pinned.height:,} was verified here before, and is another one than the operator trusts.",
                )
        if pinned is not None and (newest is None or newest.height < pinned.height):
            newest = await self._pinned_block(pinned, sources)
            await self._retained.retain([without_invalid_votes(newest)])
        if newest is not None:
            self._trust(newest)
        self._has_begun = True

    async def _pinned_block(self, pinned: PinnedBlock, sources: Sequence[FollowedMember]) -> LightBlock:
        """The light block that the operator has compared, from whoever has it."""
        for source in sources:
            try:
                block = await source.light_block(pinned.height)
                if block.header.hash.hex() != pinned.hash.lower():
                    raise Refused(
                        Code.PROOF_INVALID,
                        f"Its block {pinned.height:,} is another one than the operator trusts.",
                    )
                verified_signers(block)
            except HansaError as error:
                source.note_failure(error)
                continue
            if block.header.chain_id == self._trusted.chain_id:
                return block
        raise Unavailable(
            Code.UNAVAILABLE, f"No followed member gives block {pinned.height:,}, which the operator trusts."
        )

    async def advance(
        self, source: FollowedMember, witnesses: Sequence[FollowedMember], height: int
    ) -> LightBlock:
        """Verify the light block of a height from a source, compare it with the witnesses', and trust it.

        Raises:
            Refused: `Code.PROOF_INVALID`: it does not follow; `Code.NOT_FOUND`: there is none;
                `Code.LEDGER_FORKED`.
            Unavailable: the source does not answer, or the trust period is over.
            Fatal: the file of light blocks cannot be written.
        """
        if self.block is not None and height == self.block.height:
            return self.block
        problem = self.problem
        if problem is not None:
            raise problem
        client = LightClient(self._trusted, source, witnesses, self._clock, self._trust_period_s)
        try:
            block = await client.advance(height)
        finally:
            await self._note_contradictions(client, witnesses)
        await self._retained.retain([without_invalid_votes(block)])
        self._trust(block)
        return block

    def _trust(self, block: LightBlock) -> None:
        self._trusted, self.block = trusted_block(block), block

    async def _note_contradictions(self, client: LightClient, witnesses: Sequence[FollowedMember]) -> None:
        by_endpoint = {source.endpoint: source for source in witnesses}
        for forgery in client.forgeries:
            by_endpoint[forgery.witness].note_failure(
                Refused(Code.PROOF_INVALID, f"Its block {forgery.other.height:,} does not follow from ours.")
            )
            await self._retain_evidence(FORGERY, forgery)
        if client.fork is not None:
            await self._retain_evidence(FORK, client.fork)

    async def _retain_evidence(self, kind: str, evidence: ForkEvidence) -> None:
        body = canonical_json(
            {"ours": light_block_fields(evidence.one), "theirs": light_block_fields(evidence.other)}
        )
        record = LedgerEvidence(kind, evidence.one.height, evidence.witness, body)
        if await self._retained.read(lambda blocks: blocks.add_evidence(record)):
            log.error(
                "checkpoints_differ",
                kind=kind,
                height=record.height,
                member=record.source,
                ours=evidence.one.header.hash.hex(),
                theirs=evidence.other.header.hash.hex(),
            )
            self.evidence = (*self.evidence, record)

    def _now_ns(self) -> int:
        return int(self._clock.now().timestamp() * NS_PER_S)
