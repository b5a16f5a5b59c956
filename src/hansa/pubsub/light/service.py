"""What this member retains of the engine's chain, and what others read of it."""

from __future__ import annotations

from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.pubsub.light.blocks import LightBlock
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture, EngineCalls
from hansa.pubsub.light.proxy import LightCall, LightProxy


class LightService:
    """Captures light blocks, and answers strangers.

    Args:
        engine: This member's own.
        blocks: The file of what is retained.
        clock: For pauses, and for how old an answer may be.
        blocks_max: How many light blocks are retained.
    """

    def __init__(self, engine: EngineCalls, blocks: CapturedBlocks, clock: Clock, blocks_max: int) -> None:
        self.capture = Capture(engine, blocks, clock, blocks_max)
        self._proxy = LightProxy(engine, self.capture, clock)

    @property
    def caches(self) -> tuple[HasFigures, ...]:
        """For the metrics."""
        return (self._proxy.cache,)

    async def run(self) -> None:
        """Capture, until cancelled."""
        await self.capture.run()

    def close(self) -> None:
        """Close the file."""
        self.capture.close()

    async def light_result(self, call: LightCall) -> bytes:
        """The result of a call of the engine's RPC. See `LightProxy.result`."""
        return await self._proxy.result(call)

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        """Light blocks that are retained, after a height, in order."""
        return await self.capture.read(lambda blocks: blocks.after(after, limit))
