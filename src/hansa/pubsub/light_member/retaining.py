"""The light blocks that a light member has verified: for receipts, for others, and to begin with again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.captured import CapturedBlocks, LedgerEvidence
from hansa.pubsub.light.chain.blocks import LightBlock, without_invalid_votes
from hansa.pubsub.light.chain.verifying import Trusted
from hansa.pubsub.light.making import ReceiptMaker, Receipts
from hansa.pubsub.light.proxy import LightCall

POLL_S: Final = 0.1
THINNED_EVERY: Final = 1000
"""Light blocks, between two looks at how many there are."""

T = TypeVar("T")


class HasEvidence(Protocol):
    """What knows of contradictions."""

    evidence: tuple[LedgerEvidence, ...]
    """What others signed or made up against what was verified here."""


class RetainedBlocks:
    """The file of light blocks, used in a thread of its own.

    Args:
        blocks: The file.
        clock: For pauses.
        blocks_max: How many light blocks are retained; beyond it the oldest are thinned out.
    """

    def __init__(self, blocks: CapturedBlocks, clock: Clock, blocks_max: int) -> None:
        self._blocks = blocks
        self._clock = clock
        self._blocks_max = blocks_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="light-blocks")
        self._since_thinned = 0

    async def read(self, work: Callable[[CapturedBlocks], T]) -> T:
        """What `work` reads of, or writes to, the file."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._blocks)

    async def retain(self, block: LightBlock) -> None:
        """Retain a light block that was verified.

        Raises:
            Fatal: the file cannot be written.
        """
        retained = without_invalid_votes(block)
        await self.read(lambda blocks: blocks.write([retained]))
        self._since_thinned += 1
        if self._since_thinned >= THINNED_EVERY:
            self._since_thinned = 0
            await self.read(lambda blocks: blocks.thin_out(self._blocks_max))

    async def wait_for(self, app_hash: bytes, timeout_s: float) -> LightBlock:
        """The light block whose header has an application hash that the newest state has.

        Raises:
            Unavailable: it is not there in time.
        """
        until_s = self._clock.monotonic() + timeout_s
        while True:
            block = await self.read(lambda blocks: blocks.signing(app_hash))
            if block is not None:
                return block
            if self._clock.monotonic() >= until_s:
                raise Unavailable(Code.UNAVAILABLE, "The block that signs the newest state is not there yet.")
            await self._clock.sleep(POLL_S)

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown(wait=True)
        self._blocks.close()


class LightMemberService(Receipts):
    """What others read of a light member: receipts, and light blocks that it has verified.

    Args:
        bus: The ledger, as strangers read it.
        retained: The light blocks.
        trust: What was verified, and what contradicts it.
        genesis: What every verifier of a receipt trusts.
    """

    def __init__(self, bus: BusReads, retained: RetainedBlocks, trust: HasEvidence, genesis: Trusted) -> None:
        super().__init__(ReceiptMaker(bus, retained, genesis))
        self._retained = retained
        self._trust = trust
        self.caches: tuple[HasFigures, ...] = ()
        """None: what is verified is written."""

    @property
    def evidence(self) -> tuple[LedgerEvidence, ...]:
        """What contradicts what was verified."""
        return self._trust.evidence

    async def run(self) -> None:
        """Nothing: the blocks come with what is followed."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Close the file."""
        self._retained.close()

    async def light_result(self, call: LightCall) -> bytes:
        """None: it is the engine's, and there is none."""
        raise Unavailable(Code.UNAVAILABLE, f"This member has no engine that answers {call.method}.")

    async def light_blocks(self, after: int, limit: int) -> tuple[LightBlock, ...]:
        """Light blocks that are retained, after a height, in order."""
        return await self._retained.read(lambda blocks: blocks.after(after, limit))
