"""Members compare checkpoints: the header of every hundredth block, which has the application hash.

Two different headers of a height are evidence that somebody lies. When both are signed by more than 2/3 of a
set that more than 1/3 of our validators belong to, validators have signed twice and the ledger has *forked*;
else the member that sent the other one has made it up. Either is retained (`hansa.pubsub.light.captured`),
logged, and a condition of the marketplace's health until an operator has looked at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from hansa.core.canonical import canonical_json
from hansa.core.clock import Clock
from hansa.core.errors import HansaError, Refused
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.pubsub.light.captured import CapturedBlocks, LedgerEvidence
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.chain.blocks import LightBlock, has_more_than, verified_signers
from hansa.pubsub.light.chain.forms import light_block_fields
from hansa.pubsub.light.chain.verifying import TRUST_LEVEL
from hansa.pubsub.light.remote import RemoteMember

EVERY_BLOCKS: Final = 100
PAUSE_S: Final = 15.0
"""Between two looks at how high the ledger is."""
AT_ONCE_MAX: Final = 4

FORK: Final = "fork"
FORGERY: Final = "forged-header"

log = structlog.get_logger("hansa.pubsub")


class CheckpointComparison:
    """Compares this member's checkpoints with those of the others.

    Args:
        capture: Our own light blocks.
        http: Reaches members.
        members: The others.
        clock: For pauses.
        every_blocks: Between two checkpoints.
    """

    def __init__(
        self,
        capture: Capture,
        http: HttpClient,
        members: Callable[[], Sequence[Member]],
        clock: Clock,
        every_blocks: int = EVERY_BLOCKS,
    ) -> None:
        self._capture = capture
        self._http = http
        self._members = members
        self._clock = clock
        self._every_blocks = every_blocks
        self._compared: dict[str, int] = {}
        """Height of the last checkpoint that was compared, by DID."""
        self.evidence: tuple[LedgerEvidence, ...] = ()

    async def run(self) -> None:
        """Compare, until cancelled."""
        self.evidence = await self._capture.read(CapturedBlocks.evidence)
        while True:
            try:
                await self.compare()
            except HansaError as error:
                log.info("checkpoints_not_compared", code=error.code, reason=error.message)
            await self._clock.sleep(PAUSE_S)

    async def compare(self) -> None:
        """Compare the newest checkpoint with every member that has not been compared with yet.

        Raises:
            HansaError: our own cannot be read.
        """
        progress = await self._capture.read(CapturedBlocks.progress)
        height = (progress.height - 1) // self._every_blocks * self._every_blocks
        waiting = [one for one in self._members() if self._compared.get(one.did, 0) < height]
        if height <= 0 or not waiting:
            return
        ours = await self._capture.light_block(height)
        slots = asyncio.Semaphore(AT_ONCE_MAX)

        async def compare_with(member: Member) -> None:
            async with slots:
                await self._compare_with(member, ours)

        await asyncio.gather(*map(compare_with, waiting))

    async def _compare_with(self, member: Member, ours: LightBlock) -> None:
        remote = RemoteMember(member.endpoint, self._http)
        try:
            theirs = await remote.light_block(ours.height)
        except HansaError as error:
            # Whoever is away, or has not come so far, is compared with later.
            log.debug("checkpoint_not_read", member=member.name, code=error.code)
            return
        self._compared[member.did] = ours.height
        if theirs.header.hash == ours.header.hash:
            return
        kind = FORK if is_fork(ours, theirs) else FORGERY
        body = canonical_json({"ours": light_block_fields(ours), "theirs": light_block_fields(theirs)})
        evidence = LedgerEvidence(kind, ours.height, member.did, body)
        is_new = await self._capture.read(lambda blocks: blocks.add_evidence(evidence))
        if is_new:
            log.error(
                "checkpoints_differ",
                kind=kind,
                height=ours.height,
                member=member.did,
                ours=ours.header.hash.hex(),
                theirs=theirs.header.hash.hex(),
            )
            self.evidence = (*self.evidence, evidence)


def is_fork(ours: LightBlock, theirs: LightBlock) -> bool:
    """Whether validators that we trust have signed both."""
    if theirs.header.chain_id != ours.header.chain_id:
        return False
    try:
        addresses = verified_signers(theirs)
    except Refused:
        return False
    return has_more_than(TRUST_LEVEL, addresses, ours.validators)


def evidence_text(evidence: Sequence[LedgerEvidence], names: Callable[[str], str]) -> str | None:
    """What an operator reads about evidence; None without any."""
    if not evidence:
        return None
    last = evidence[-1]
    judged = "validly signed" if last.kind == FORK else "not validly signed"
    return (
        f"{len(evidence)} checkpoints of other members differ from ours; the last is that of height {last.height} at "
        f"{names(last.source)}, and is {judged}"
    )
