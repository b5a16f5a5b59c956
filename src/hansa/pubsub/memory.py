"""The bus in one process: the real state machine without an engine, for unit tests and simulation.

A `MemoryLedger` is the ledger of a whole league; every member's `MemoryBus` is a handle on it. Each accepted
transaction is a block of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_bus import LedgerBus, refused_submission
from hansa.pubsub.ledger_reads import ledger_status, params_of
from hansa.pubsub.ledger_records import LedgerStatus

T = TypeVar("T")


class MemoryLedger:
    """A league's ledger, in memory."""

    def __init__(
        self,
        members: Sequence[Member],
        clock: Clock,
        limits: Limits | None = None,
        *,
        params: LedgerParams | None = None,
        commit_delay_s: float = 0.0,
        rulesets: Mapping[str, Ruleset] = RULESETS,
    ) -> None:
        """Begin a ledger of these members.

        Args:
            members: The registry.
            clock: Of the blocks' times, and of `commit_delay_s`.
            limits: Limits of the handles.
            params: The ledger's own limits; by default those of the handles, as far as it has them.
            commit_delay_s: How long a submission waits for its block.
            rulesets: Those by which it can judge, by name.
        """
        self.clock = clock
        self.limits = limits or Limits()
        self.commit_delay_s = commit_delay_s
        self.signal = Signal(clock)
        self.application = LedgerApplication(SqliteState(MEMORY), rulesets)
        self.reader = LedgerReader(self.application.state.connection)
        genesis = AppState(tuple(members), params or params_of(self.limits))
        self.application.init_chain(msgspec.json.encode(genesis), self._time_ms())

    def bus(self) -> MemoryBus:
        """A member's handle."""
        return MemoryBus(self)

    def submit(self, transaction: bytes) -> None:
        """Make a block of one transaction.

        Raises:
            Refused: the code of the rule that the transaction breaks; then there is no block.
        """
        self.application.check_tx(transaction, self._time_ms())
        height = self.application.state.head.height + 1
        time_ms = max(self._time_ms(), self.application.state.head.time_ms)
        self.application.finalize_block(Block(height, time_ms, (transaction,)))
        self.application.commit()
        self.signal.notify()

    def close(self) -> None:
        """Free the memory."""
        self.application.state.close()

    def _time_ms(self) -> int:
        return epoch_ms(self.clock)


class MemoryBus(LedgerBus):
    """One member's handle on a `MemoryLedger`."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(ledger.clock, ledger.limits, Signal(ledger.clock))
        self._ledger = ledger
        self._signal = ledger.signal
        self.is_connected = True
        """False: as if this member's engine were down; everything is `Unavailable`."""

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger. See `Bus.ledger`."""
        head = await self._read(LedgerReader.head)
        return ledger_status(
            head,
            catching_up=False,
            peers=len(self._ledger.application.state.members) - 1,
        )

    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        self._check_connected()
        return work(self._ledger.reader)

    async def _submit(self, transaction: bytes) -> None:
        self._check_connected()
        if self._ledger.commit_delay_s > 0:
            await self._clock.sleep(self._ledger.commit_delay_s)
            self._check_connected()
        try:
            self._ledger.submit(transaction)
        except RuleBroken as broken:
            raise refused_submission(broken.code, broken.message, broken.wait_ms) from broken

    def _check_connected(self) -> None:
        if not self.is_connected:
            raise Unavailable(Code.UNAVAILABLE, "The ledger cannot be reached.")
