"""Of an engine what decides about waiting: its mempool and its blocks, over the ABCI methods of one member.

First in, first out; every transaction is rechecked after a block; a block is made while the mempool holds
anything, or the application hash has changed. Block time is the time at which the block before was decided.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from hansa.core.clock import ManualClock
from hansa.core.members import Member
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.messages import PACKAGE, Request, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.pruning import PruningRules
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from tests.contract.origins import NOW

BLOCK_SIZE_MAX_BYTES = 390_000
BLOCK_S = 0.04


class AdjustableClock(ManualClock):
    """A clock that is set."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.moment = NOW

    def now(self) -> datetime:
        """What it was set to."""
        return self.moment


class EngineInProcess:
    """An engine of a league of one, with its application."""

    def __init__(
        self, members: list[Member], params: LedgerParams | None = None, blocks_retained: int = 0
    ) -> None:
        self.clock = AdjustableClock()
        self.application = LedgerApplication(SqliteState(MEMORY))
        self.abci = AbciMethods(
            self.application, self.clock, structlog.get_logger(), PruningRules(blocks_retained)
        )
        self.mempool: list[bytes] = []
        self.first_retained = 0
        """Height below which the application lets blocks be pruned; 0: none."""
        self.blocks: list[list[bytes]] = []
        self._decided_s = NOW.timestamp()
        self._hash_changed = False
        genesis = msgspec.json.encode(AppState(tuple(members), params or LedgerParams()))
        self.application.init_chain(genesis, int(NOW.timestamp()) * 1000)

    def ask(self, name: str, message: str, **fields: Any) -> Any:
        """A request to the application, and its answer."""
        request = Request(**{name: message_class(f"{PACKAGE}.{message}")(**fields)})
        answer = self.abci.answer(Request.FromString(request.SerializeToString()))
        return getattr(answer, name)

    def submit(self, raw: bytes) -> Any:
        """Submit a transaction; the answer of CheckTx."""
        answer = self.ask("check_tx", "RequestCheckTx", tx=raw)
        if answer.code == 0 and raw not in self.mempool:
            self.mempool.append(raw)
        return answer

    def pass_s(self, seconds: float) -> None:
        """Let time pass without a block."""
        self.clock.moment += timedelta(seconds=seconds)

    def block(self) -> list[bytes]:
        """Make a block; its transactions."""
        transactions = self.propose()
        self.decide(transactions)
        return transactions

    def propose(self) -> list[bytes]:
        """The transactions of a block that this member proposes."""
        height, time = len(self.blocks) + 1, _timestamp(self._decided_s)
        proposal = self.ask(
            "prepare_proposal",
            "RequestPrepareProposal",
            txs=self.mempool,
            max_tx_bytes=BLOCK_SIZE_MAX_BYTES,
            time=time,
            height=height,
        )
        return [bytes(raw) for raw in proposal.txs]

    def decide(self, transactions: list[bytes]) -> None:
        """Decide and commit a block of these, whoever proposed it; and recheck what waits."""
        height, time = len(self.blocks) + 1, _timestamp(self._decided_s)
        fields: dict[str, Any] = {"txs": transactions, "time": time, "height": height}
        assert self.ask("process_proposal", "RequestProcessProposal", **fields).status == 1
        before = self.application.state.head.app_hash
        results = self.ask("finalize_block", "RequestFinalizeBlock", **fields).tx_results
        assert all(result.code == 0 for result in results)
        self.first_retained = int(self.ask("commit", "RequestCommit").retain_height)
        self._hash_changed = self.application.state.head.app_hash != before
        self.pass_s(BLOCK_S)
        self._decided_s = self.clock.now().timestamp()
        self.blocks.append(transactions)
        waiting = [raw for raw in self.mempool if raw not in transactions]
        self.mempool = [
            raw for raw in waiting if self.ask("check_tx", "RequestCheckTx", tx=raw, type=1).code == 0
        ]

    def run(self, blocks_max: int = 100) -> int:
        """Make blocks while there is a reason for one; the number of empty ones that were no proof block."""
        empty = 0
        for _ in range(blocks_max):
            is_proof = self._hash_changed
            if not self.mempool and not is_proof:
                return empty
            empty += not self.block() and not is_proof
        raise AssertionError("blocks without end")


def _timestamp(seconds: float) -> dict[str, int]:
    whole = int(seconds)
    return {"seconds": whole, "nanos": int((seconds - whole) * 1e9)}
