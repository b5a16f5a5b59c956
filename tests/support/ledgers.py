"""A ledger of three members, without an engine."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.errors import Code
from hansa.core.events import EntityVersion
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin

TIME_MS = 1_767_225_600_000
PARAMS = LedgerParams(
    event_size_max_bytes=2048,
    events_per_transaction_max=5,
    transaction_size_max_bytes=8192,
    issuer_events_per_s=1,
    issuer_bytes_per_s=1000,
    issuer_burst_s=100,
    issuer_bytes_per_day=103_000,
)


class Ledger:
    """An application with two active members, and blocks for it."""

    def __init__(self, path: Path | str = MEMORY, params: LedgerParams = PARAMS) -> None:
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen", "Ed25519")
        self.riga = Origin("riga", status="suspended")
        self.genesis = AppState((self.lubeck.member, self.bergen.member, self.riga.member), params)
        self.application = LedgerApplication(SqliteState(path))
        self.application.init_chain(msgspec.json.encode(self.genesis), TIME_MS)

    @property
    def state(self) -> SqliteState:
        return self.application.state

    def block(self, *transactions: bytes) -> Block:
        height = self.state.head.height + 1
        return Block(height, TIME_MS + 1000 * height, transactions)

    def prepared(self, *candidates: bytes, size_max_bytes: int = 400_000) -> list[bytes]:
        return self.application.prepare_proposal(candidates, self.block().time_ms, size_max_bytes)

    def commit(self, *transactions: bytes) -> list[Code | None]:
        effects = self.application.finalize_block(self.block(*transactions))
        self.application.commit()
        return [None if refusal is None else refusal.code for refusal in effects.refusals]

    def vote(self, *transactions: bytes) -> None:
        """Judge a block as a proposal, and commit it: as a member does that is up to date."""
        assert self.application.process_proposal(self.block(*transactions)) is None
        self.commit(*transactions)


def forged(origin: Origin, signer: Origin, *contents: bytes) -> bytes:
    """A batch in a member's name that another one signed."""
    return origin.batch(*contents, signer=BatchSigner(signer.key, origin.did, ManualClock()))


def gap(ledger: Ledger, version: int) -> bytes:
    link = ledger.lubeck.describe("gap").hashlink
    entity = EntityVersion(ledger.lubeck.key_of("gap"), "ProductOffering", version)
    return ledger.lubeck.event("gap", entity=entity, previous=link)
