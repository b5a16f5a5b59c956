"""What this member retains of the engine's chain, and what others read of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpClient
from hansa.core.members import Member
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture, EngineCalls
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.comparing import CheckpointComparison
from hansa.pubsub.light.filling import GapFilling
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.making import ReceiptMaker
from hansa.pubsub.light.proxy import LightCall, LightProxy

RECEIPTS_AT_ONCE_MAX: Final = 4
RECEIPTS_WAITING_MAX: Final = 64


class LightService:
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
        self._maker = ReceiptMaker(bus, self.capture, trusted)
        self._filling = GapFilling(self.capture, bus, http, others, trusted, clock)
        self.comparison = CheckpointComparison(self.capture, http, others, clock)
        self._slots = asyncio.Semaphore(RECEIPTS_AT_ONCE_MAX)
        self._waiting = 0

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

    async def of_entity(self, name: str, *, is_latest: bool = False, known_height: int = 0) -> bytes:
        """The receipt of an entity's last event, or of an event. See `ReceiptMaker.of_entity`."""
        return await self._in_turn(
            lambda: self._maker.of_entity(name, is_latest=is_latest, known_height=known_height)
        )

    async def of_history(self, name: str, after_version: int = 0, known_height: int = 0) -> bytes:
        """The receipt of all events of an entity. See `ReceiptMaker.of_history`."""
        return await self._in_turn(lambda: self._maker.of_history(name, after_version, known_height))

    async def of_absence(self, key: str, known_height: int = 0) -> bytes:
        """The receipt of what is claimed on a key. See `ReceiptMaker.of_absence`."""
        return await self._in_turn(lambda: self._maker.of_absence(key, known_height))

    async def of_member(self, did: str, known_height: int = 0) -> bytes:
        """The receipt of a member's keys and endpoints. See `ReceiptMaker.of_member`."""
        return await self._in_turn(lambda: self._maker.of_member(did, known_height))

    async def _in_turn(self, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        if self._waiting >= RECEIPTS_AT_ONCE_MAX + RECEIPTS_WAITING_MAX:
            raise Unavailable(Code.UNAVAILABLE, "Too many receipts are being made.")
        self._waiting += 1
        try:
            async with self._slots:
                return await make()
        finally:
            self._waiting -= 1
