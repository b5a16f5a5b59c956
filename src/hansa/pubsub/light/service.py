"""What this member retains of the engine's chain, and what others read of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.captured import CapturedBlocks, LedgerEvidence
from hansa.pubsub.light.capturing import Capture, EngineCalls
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.comparing import CheckpointComparison
from hansa.pubsub.light.filling import GapFilling
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.making import ReceiptMaker, Receipts
from hansa.pubsub.light.proxy import LightCall, LightProxy


class LightService(Receipts):
    """Captures light blocks, and answers strangers.

    Args:
        engine: This member's own.
        bus: The ledger, as strangers read it.
        blocks: The file of what is retained.
        genesis: Of the league; the file.
        http: Reaches members.
        others: The other members.
        clock: For pauses, and for how old an answer may be.
        blocks_max: How many light blocks are retained.
    """

    def __init__(
        self,
        engine: EngineCalls,
        bus: BusReads,
        blocks: CapturedBlocks,
        genesis: bytes,
        http: HttpClient,
        others: Callable[[], Sequence[Member]],
        clock: Clock,
        blocks_max: int,
    ) -> None:
        self.capture = Capture(engine, blocks, clock, blocks_max)
        self._proxy = LightProxy(engine, self.capture, clock)
        trusted, _ = read_trusted_genesis(genesis)
        super().__init__(ReceiptMaker(bus, self.capture, trusted))
        self._filling = GapFilling(self.capture, bus, http, others, trusted, clock)
        self.comparison = CheckpointComparison(self.capture, http, others, clock)

    @property
    def evidence(self) -> tuple[LedgerEvidence, ...]:
        """What of other members' checkpoints differs from ours."""
        return self.comparison.evidence

    @property
    def caches(self) -> tuple[HasFigures, ...]:
        """For the metrics."""
        return (self._proxy.cache,)

    async def run(self) -> None:
        """Capture, compare, and fill gaps, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.capture.run())
            tasks.create_task(self.comparison.run())
            tasks.create_task(self._filling.run())

    def close(self) -> None:
        """Close the file."""
        self.capture.close()

    async def light_result(self, call: LightCall) -> bytes:
        """The result of a call of the engine's RPC. See `LightProxy.result`."""
        return await self._proxy.result(call)

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        """Light blocks that are retained, after a height, in order."""
        return await self.capture.read(lambda blocks: blocks.after(after, limit))
