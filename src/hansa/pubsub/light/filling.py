"""Gaps in what a member retains are filled from other members, and verified by the light client.

A member that joined with a snapshot, or whose engine had forgotten blocks before they were looked at, lacks
light blocks. Which heights are needed follows from the ledger's own state: each block with events, and the
one after it, which signs it. They are fetched in order, from one member after another, a few a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.captured import CapturedBlocks, Gap
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.chain.blocks import LightBlock, without_invalid_votes
from hansa.pubsub.light.chain.verifying import Trusted, trusted_block
from hansa.pubsub.light.client import LightClient
from hansa.pubsub.light.remote import RemoteMember

PAUSE_S: Final = 60.0
"""Between two looks for gaps, and after a failure."""
STEP_PAUSE_S: Final = 0.05
HEIGHTS_PER_LOOK: Final = 500
FOREVER_S: Final = 1e10
"""The present set of validators is our own engine's, so the past is verified however old it is."""

log = structlog.get_logger("hansa.pubsub")


class GapFilling:
    """Fills gaps.

    Args:
        capture: What is retained.
        bus: The ledger.
        http: Reaches members.
        others: The other members.
        genesis: What is trusted to begin with.
        clock: For pauses.
        step_pause_s: After each light block.
    """

    def __init__(
        self,
        capture: Capture,
        bus: BusReads,
        http: HttpClient,
        others: Callable[[], Sequence[Member]],
        genesis: Trusted,
        clock: Clock,
        step_pause_s: float = STEP_PAUSE_S,
    ) -> None:
        self._capture = capture
        self._bus = bus
        self._http = http
        self._others = others
        self._genesis = genesis
        self._clock = clock
        self._step_pause_s = step_pause_s

    async def run(self) -> None:
        """Fill gaps, until cancelled."""
        while True:
            try:
                await self.fill()
            except HansaError as error:
                log.info("light_blocks_not_filled", code=error.code, reason=error.message)
            await self._clock.sleep(PAUSE_S)

    async def fill(self) -> None:
        """Fill what the other members have.

        Raises:
            HansaError: nobody could give the next light block.
        """
        for gap in await self._capture.read(CapturedBlocks.gaps):
            heights = await self._needed(gap)
            while heights:
                for height in heights:
                    await self._fetch(height)
                    if self._step_pause_s:
                        await self._clock.sleep(self._step_pause_s)
                last = heights[-1]
                await self._capture.read(lambda blocks, gap=gap, last=last: blocks.end_gap(gap, last))  # type: ignore[misc]
                gap = Gap(last + 1, gap.last)  # noqa: PLW2901 - what is left of it
                heights = await self._needed(gap) if gap.first <= gap.last else []
            await self._capture.read(lambda blocks, gap=gap: blocks.end_gap(gap, gap.last))  # type: ignore[misc]

    async def _needed(self, gap: Gap) -> list[int]:
        """Heights of a gap whose light blocks are needed, in order; some of them, when there are many."""
        stored = await self._bus.checkpoints(max(gap.first - 2, 0), HEIGHTS_PER_LOOK)
        heights = {height for one in stored for height in (one.height, one.height + 1)}
        return sorted(height for height in heights | {1} if gap.first <= height <= gap.last)

    async def _fetch(self, height: int) -> None:
        newest = await self._capture.read(lambda blocks: blocks.newest(height))
        if newest is not None and newest.height == height:
            return
        trusted = self._genesis if newest is None else trusted_block(newest)
        block: LightBlock | None = None
        failure: HansaError = Refused(Code.NOT_FOUND, "There is no other member to ask for light blocks.")
        for member in self._others():
            remote = RemoteMember(member.endpoint, self._http, self._genesis.chain_id)
            try:
                block = await LightClient(trusted, remote, (), self._clock, FOREVER_S).advance(height)
                break
            except HansaError as error:
                failure = error
        if block is None:
            raise failure
        retained = without_invalid_votes(block)
        await self._capture.read(lambda blocks: blocks.write([retained]))
