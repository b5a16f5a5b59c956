"""A league in memory whose validators sign every state: what receipts are made of, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from hansa.core.clock import ManualClock
from hansa.pubsub.engine import GenesisValidator, genesis_document
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.pubsub.light.capturing import Capture
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.making import ReceiptMaker
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import NOW, Origin
from tests.support.light_chain import CHAIN_ID, Signer, light_block
from tests.support.light_engine import LightEngine


class ProvedLeague:
    """Two origins, a ledger, and validators who sign one block more than it has."""

    def __init__(self, signers: Sequence[Signer] | None = None, chain_id: str = CHAIN_ID) -> None:
        self.signers = list(signers or [Signer(f"v{number}") for number in range(4)])
        self.chain_id = chain_id
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        members = (self.lubeck.member, self.bergen.member)
        params = LedgerParams()
        self.clock = ManualClock(NOW)
        self.ledger = MemoryLedger(members, self.clock, params=params)
        self.genesis = genesis_document(
            chain_id,
            NOW - timedelta(days=3000),
            [
                GenesisValidator(str(at), one.validator.public_key, one.validator.power)
                for at, one in enumerate(self.signers)
            ],
            msgspec.to_builtins(AppState(members, params)),
        )
        self.trusted, self.keys = read_trusted_genesis(self.genesis)
        by_address = {one.validator.address: one for one in self.signers}
        self.signers = [by_address[one.address] for one in self.trusted.validators.validators]
        self.engine = LightEngine([])
        self.bus = self.ledger.bus()
        self.capture = Capture(self.engine, CapturedBlocks(":memory:"), ManualClock(NOW), 100_000)
        self.maker = ReceiptMaker(self.bus, self.capture, self.trusted)
        self._sign()

    def commit(self, origin: Origin, *contents: bytes, next_signers: Sequence[Signer] | None = None) -> None:
        """One batch in one block, and the block that signs the state."""
        self.ledger.submit(origin.batch(*contents))
        self._sign(next_signers)

    def skip(self, heights: int, next_signers: Sequence[Signer] | None = None) -> None:
        """Blocks without transactions."""
        for _ in range(heights):
            head = self.ledger.application.state.head
            from hansa.pubsub.ledger.state_machine import Block

            self.ledger.application.finalize_block(Block(head.height + 1, head.time_ms + 1, ()))
            self.ledger.application.commit()
            self._sign(next_signers)

    def _sign(self, next_signers: Sequence[Signer] | None = None) -> None:
        head = self.ledger.application.state.head
        height = head.height + 1
        following = list(next_signers or self.signers)
        self.engine.blocks[height] = light_block(
            height, self.signers, next_validators=following, chain_id=self.chain_id, app_hash=head.app_hash
        )
        self.signers = following
