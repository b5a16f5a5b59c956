"""The ledger of a simulated league: one chain of blocks, which each member executes at a time of its own.

A transaction that a member submits is judged by that member's state, travels, waits, and is in one of the
next blocks, as with an engine: as long as anything waits anywhere, blocks are made, empty ones, too, for a
proposal may leave out what waits. A submission can be lost without a word, or reported as failed and be
committed all the same. Members that lag have a ledger application of their own; all others share one, which
costs less and is the same by the determinism of the state machine (`tests/golden`).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

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
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_bus import LedgerBus, refused_submission
from hansa.pubsub.ledger_reads import ledger_status, params_of
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.sim.world.loop import SimulationLoop

BLOCK_SIZE_MAX_BYTES: Final = 1_000_000

T = TypeVar("T")


class LedgerCopy:
    """The state of the ledger at some members."""

    def __init__(self, genesis: bytes, time_ms: int, clock: Clock) -> None:
        self.application = LedgerApplication(SqliteState(MEMORY))
        self.application.init_chain(genesis, time_ms)
        self.reader = LedgerReader(self.application.state.connection)
        self.signal = Signal(clock)
        self.decided: deque[Block] = deque()
        """Blocks that it has not executed yet."""
        self.lag_s = 0.0
        """How long after the league it executes a block."""
        self.due_s = 0.0
        """When it executes the last block that it knows of."""
        self.after_block: list[Callable[[], None]] = []
        """What is done once, as soon as the next block is executed."""

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """The transactions that wait for a block here."""
        queues = self.application.waiting
        return tuple(one.raw for figures in queues.figures() for one in queues.queue(figures.did))

    def execute(self) -> None:
        """Execute the next block."""
        block = self.decided.popleft()
        self.application.finalize_block(block)
        self.application.commit()
        self.signal.notify()
        acts, self.after_block = self.after_block, []
        for act in acts:
            act()


class SimulatedLedger:
    """The chain of a league.

    Args:
        members: Those of the genesis.
        loop: Has the timers.
        clock: Of the blocks.
        limits: Of the handles, and the league's as far as they have them.
        drawn: For what is lost.
        lagging: DIDs of the members that may lag.
    """

    def __init__(
        self,
        members: Sequence[Member],
        loop: SimulationLoop,
        clock: Clock,
        limits: Limits,
        drawn: random.Random,
        lagging: Sequence[str],
    ) -> None:
        self._loop = loop
        self.clock = clock
        self.limits = limits
        self._drawn = drawn
        defaults = params_of(limits)
        params = LedgerParams(
            event_size_max_bytes=defaults.event_size_max_bytes,
            events_per_transaction_max=defaults.events_per_transaction_max,
            transaction_size_max_bytes=defaults.transaction_size_max_bytes,
        )
        genesis = msgspec.json.encode(AppState(tuple(members), params))
        self.main = LedgerCopy(genesis, self._time_ms(), clock)
        self._copies = {did: LedgerCopy(genesis, self._time_ms(), clock) for did in lagging}
        self._arrived: list[bytes] = []
        """What has come for the next block."""
        self._is_block_due = False
        self.block_s = 0.05
        """From the first waiting transaction to its block."""
        self.loss = 0.0
        """Share of submissions that are lost without a word."""
        self.unknown = 0.0
        """Share of submissions that are reported as failed, whatever becomes of them."""
        self.disconnected: set[str] = set()
        """DIDs of members whose engines are down."""

    def copy_of(self, did: str) -> LedgerCopy:
        """The state at a member."""
        return self._copies.get(did, self.main)

    def lag(self, did: str, seconds: float) -> None:
        """Let a member execute blocks so much later than the league."""
        if did in self._copies:
            self._copies[did].lag_s = seconds

    def heal(self) -> None:
        """Let everything be well from now on."""
        self.loss = self.unknown = 0.0
        self.block_s = 0.05
        self.disconnected.clear()
        self.main.after_block.clear()
        for copy in self._copies.values():
            copy.lag_s = 0.0
            copy.after_block.clear()

    @property
    def is_well(self) -> bool:
        """Whether every member reaches it, and what is submitted arrives."""
        return not (self.disconnected or self.loss or self.unknown)

    @property
    def is_idle(self) -> bool:
        """Whether no transaction waits, and all members have executed all blocks."""
        heights = {copy.application.state.head.height for copy in (self.main, *self._copies.values())}
        return not self._arrived and not self._held() and len(heights) == 1

    def hashes(self) -> set[bytes]:
        """The application hashes of all copies: one, when nothing is wrong and all are idle."""
        return {copy.application.state.head.app_hash for copy in (self.main, *self._copies.values())}

    def bus(self, did: str, is_running: Callable[[], bool]) -> SimulatedBus:
        """A handle for one process of a member."""
        return SimulatedBus(self, did, is_running)

    def submit(self, did: str, transaction: bytes) -> None:
        """Take a transaction from a member.

        Raises:
            RuleBroken: It breaks a rule, by that member's state.
            Unavailable: The outcome is unknown.
        """
        if self._drawn.random() >= self.loss:  # what an engine has lost waits nowhere
            self.copy_of(did).application.check_tx(transaction, self._time_ms())
            self._loop.call_later(self._drawn.uniform(0.001, 0.02), self._arrive, transaction)
        if self._drawn.random() < self.unknown:
            raise Unavailable(Code.UNAVAILABLE, "The engine did not say what became of it.")

    def _arrive(self, transaction: bytes) -> None:
        with suppress(RuleBroken):  # it waits here already, or breaks a rule of the newest state
            self.main.application.check_tx(transaction, self._time_ms())
        if transaction not in self._arrived:
            self._arrived.append(transaction)
        self._have_block_made()

    def _held(self) -> tuple[bytes, ...]:
        """What waits in the engines of members that have executed all blocks."""
        copies = [copy for copy in (self.main, *self._copies.values()) if not copy.decided]
        return tuple(dict.fromkeys(raw for copy in copies for raw in copy.waiting))

    def _have_block_made(self) -> None:
        if not self._is_block_due:
            self._is_block_due = True
            self._loop.call_later(self.block_s, self._make_block)

    def _make_block(self) -> None:
        self._is_block_due = False
        application = self.main.application
        candidates = tuple(dict.fromkeys((*self._arrived, *self._held())))
        self._arrived.clear()
        time_ms = max(self._time_ms(), application.state.head.time_ms)
        transactions = application.prepare_proposal(candidates, time_ms, BLOCK_SIZE_MAX_BYTES)
        if not transactions and not self._held():
            return
        block = Block(application.state.head.height + 1, time_ms, tuple(transactions))
        for copy in (self.main, *self._copies.values()):
            copy.decided.append(block)
            copy.due_s = max(copy.due_s, self._loop.time() + copy.lag_s)
            if copy is self.main:
                copy.execute()
            else:
                self._loop.call_at(copy.due_s, self._execute_late, copy)
        if self._held():
            self._have_block_made()

    def _execute_late(self, copy: LedgerCopy) -> None:
        copy.execute()
        if self._held():
            self._have_block_made()

    def close(self) -> None:
        """Free the memory."""
        for copy in (self.main, *self._copies.values()):
            copy.application.state.close()

    def _time_ms(self) -> int:
        return epoch_ms(self.clock)


class SimulatedBus(LedgerBus):
    """The bus of one process of a member."""

    def __init__(self, ledger: SimulatedLedger, did: str, is_running: Callable[[], bool]) -> None:
        self._copy = ledger.copy_of(did)
        super().__init__(ledger.clock, ledger.limits, self._copy.signal)
        self._ledger = ledger
        self._did = did
        self._is_running = is_running

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger. See `Bus.ledger`."""
        return ledger_status(await self._read(LedgerReader.head), catching_up=False, peers=1)

    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        self._check_connected()
        return work(self._copy.reader)

    async def _submit(self, transaction: bytes) -> None:
        self._check_connected()
        try:
            self._ledger.submit(self._did, transaction)
        except RuleBroken as broken:
            raise refused_submission(broken.code, broken.message, broken.wait_ms) from broken

    def _check_connected(self) -> None:
        if self._did in self._ledger.disconnected or not self._is_running():
            raise Unavailable(Code.UNAVAILABLE, "The ledger cannot be reached.")
