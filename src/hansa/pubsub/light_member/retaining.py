"""The light blocks that a light member has verified: for receipts, for others, and to begin with again."""

from __future__ import annotations

import asyncio
from typing import Protocol

from hansa.core.cache import HasFigures
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.captured import BlockRetention, LedgerEvidence
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.verifying import Trusted
from hansa.pubsub.light.making import ReceiptMaker, Receipts
from hansa.pubsub.light.proxy import LightCall


class HasEvidence(Protocol):
    """What knows of contradictions."""

    evidence: tuple[LedgerEvidence, ...]
    """What others signed or made up against what was verified here."""


class LightMemberService(Receipts):
    """What others read of a light member: receipts, and light blocks that it has verified.

    Args:
        bus: The ledger, as strangers read it.
        retained: The light blocks.
        trust: What was verified, and what contradicts it.
        genesis: What every verifier of a receipt trusts.
    """

    def __init__(self, bus: BusReads, retained: BlockRetention, trust: HasEvidence, genesis: Trusted) -> None:
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
