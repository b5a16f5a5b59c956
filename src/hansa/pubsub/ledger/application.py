"""The ledger application: the state machine, its committed state, and the block between the two.

    begin     genesis -> committed state at height 0
    finalize  a decided block -> pending effects (in memory)
    commit    pending effects -> committed state (on disk, one transaction)

A crash between `finalize` and `commit` loses the pending effects only: the engine then finds the application one
block behind and hands it that block again. `finalize` always starts from the committed state, so a block that is
finalized twice (the engine restarted, the application did not) has the same effects as once.
"""

from __future__ import annotations

from collections.abc import Sequence

from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.ledger.genesis import read_app_state
from hansa.pubsub.ledger.queries import LedgerQueries
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import (
    Block,
    BlockEffects,
    Overlay,
    apply_transaction,
    execute,
    find_invalid,
    select_transactions,
)
from hansa.pubsub.ledger.verification import TransactionReader


class LedgerApplication:
    """What the engine talks to, free of any protocol."""

    def __init__(self, state: SqliteState) -> None:
        self.state = state
        self._reader = TransactionReader(state.params)
        self._pending: BlockEffects | None = None
        self.queries = LedgerQueries(state, lambda: self._reader)

    def begin(self, app_state: bytes, time_ms: int) -> bytes:
        """Start from a genesis document's `app_state`; the `app_hash` before the first block.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when the document cannot be used.
        """
        self.state.begin(read_app_state(app_state), time_ms)
        self._reader = TransactionReader(self.state.params)
        self._pending = None
        return self.state.head.app_hash

    def check(self, raw: bytes, *, is_recheck: bool) -> bool:
        """Whether a transaction may wait for a block; False when it is one version ahead of what is committed.

        That happens to honest publishers: their member is a block ahead of us. When it is checked again after the
        next block, it has to be in order.

        Raises:
            Refused: the code of the rule that it breaks.
        """
        try:
            apply_transaction(Overlay(self.state), raw, self._reader)
        except Refused as refusal:
            if is_recheck or refusal.code is not Code.EVENT_VERSION_BROKEN:
                raise
            apply_transaction(Overlay(self.state), raw, self._reader, may_be_ahead=True)
            return False
        return True

    def prepare(self, candidates: Sequence[bytes], size_max_bytes: int) -> list[bytes]:
        """The transactions of a block that this member proposes."""
        return select_transactions(self.state, candidates, size_max_bytes, self._reader)

    def judge(self, transactions: Sequence[bytes]) -> Refused | None:
        """Why a proposed block must be rejected; None when it is good."""
        return find_invalid(self.state, transactions, self._reader)

    def finalize(self, block: Block) -> BlockEffects:
        """Execute a decided block; its effects wait for `commit`.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when it is not the next block.
        """
        committed = self.state.head.height
        if block.height <= committed or (committed > 0 and block.height != committed + 1):
            raise Fatal(
                Code.STORE_DAMAGED,
                f"The engine is at block {block.height}, the ledger's state at {committed}. They belong together: "
                "restore both from one moment, or remove the state so that it is rebuilt.",
            )
        self._pending = execute(self.state, block, self._reader)
        return self._pending

    def commit(self) -> None:
        """Persist the finalized block.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`; nothing of the block is written.
        """
        assert self._pending is not None, "a block is finalized before it is committed"
        self.state.persist(self._pending)
        self._pending = None
