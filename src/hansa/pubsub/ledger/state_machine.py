"""The state machine of the ledger: a pure function of the blocks.

`finalize_block` takes the state before a block (a `StateView`) and the block, and gives the state's changes
(`BlockEffects`); it reads no clock, no file and no setting. The same rules (`hansa.pubsub.ledger.rules`)
decide in four methods of ABCI:

- CheckTx: one transaction against the committed state, before it may wait (`hansa.pubsub.ledger.waiting`);
- PrepareProposal: waiting transactions one after another, invalid ones left out;
- ProcessProposal: a proposed block, rejected when any of its transactions is invalid;
- FinalizeBlock: the decided block; an invalid transaction gets its code and has no effect.

Whatever goes wrong with a transaction in the first three, a fault of this software too, refuses it and
nothing else, so that no bytes of a stranger end the process. In the last a fault must end it: a member that
went on alone with its own verdict would have another ledger than the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from hansa.core.errors import Refused
from hansa.core.events import LifecycleEvent
from hansa.pubsub.ledger.results import FAULT, RuleBroken
from hansa.pubsub.ledger.rules.misbehavior import punish
from hansa.pubsub.ledger.rules.upgrades import SWITCH, apply_switch, is_switch
from hansa.pubsub.ledger.state import BlockEffects, Overlay, StateView
from hansa.pubsub.ledger.transactions import LedgerTransaction, TransactionReader
from hansa.pubsub.ledger_records import Misbehavior

T = TypeVar("T")


class Block(msgspec.Struct, frozen=True):
    """A proposed or decided block."""

    height: int
    time_ms: int
    """Milliseconds since 1970."""
    transactions: tuple[bytes, ...]
    misbehavior: tuple[Misbehavior, ...] = ()
    """Evidence that the engine has verified; no transaction's verdict depends on it."""


def refusal_of(state: Overlay, raw: bytes, reader: TransactionReader) -> RuleBroken | None:
    """Apply a transaction to an overlay, all of it or nothing, or say why not.

    A fault of ours refuses it too.
    """
    return _verdict(lambda: _apply(state, reader.read(raw, state), reader))


def verdict_of(
    state: Overlay, raw: bytes, reader: TransactionReader
) -> Sequence[LifecycleEvent] | RuleBroken:
    """The events that a transaction commits by its check, or why an overlay does not take it.

    The overlay may be changed, and is good for nothing else afterwards.
    """

    def events() -> Sequence[LifecycleEvent]:
        transaction = reader.read(raw, state)
        kind = transaction.kind
        if kind.events is None:
            _apply(state, transaction, reader)
            return ()
        (step,) = transaction.steps
        kind.check(state, step, reader.context)
        return kind.events(step)

    return _verdict(events)


def _apply(state: Overlay, transaction: LedgerTransaction, reader: TransactionReader) -> None:
    kind = transaction.kind
    if kind.events is not None:
        (step,) = transaction.steps
        kind.check(state, step, reader.context)
        kind.apply(state, step)
        return
    upper = state.upper()
    for step in transaction.steps:
        kind.check(upper, step, reader.context)
        kind.apply(upper, step)
    state.absorb(upper)


def _verdict(check: Callable[[], T]) -> T | RuleBroken:
    """What a check gives, or the first rule that is broken."""
    try:
        return check()
    except RuleBroken as broken:
        return broken
    except Exception as error:  # noqa: BLE001 - no bytes of a stranger may end the process
        fault = FAULT.broken("This member failed to judge the transaction.")
        fault.__cause__ = error
        return fault


def begin_block(
    view: StateView, height: int, time_ms: int, misbehavior: Iterable[Misbehavior], reader: TransactionReader
) -> Overlay:
    """The state in which a block's first transaction is judged: after its evidence, and what its begin does.

    A rule set that ends with this block still begins it, so that its successor judges from the first
    transaction on.
    """
    state = Overlay(view, height, time_ms)
    punish(state, misbehavior)
    for step in reader.rules(state).begin_block:
        step(state)
    return state


class Proposal:
    """A block of this member's that is being filled.

    Args:
        view: The committed state.
        time_ms: Of the block.
        size_max_bytes: Of its transactions.
        reader: Reads them.
        switches: Whether the rules change with it, by `SWITCH`.
    """

    def __init__(
        self,
        view: StateView,
        time_ms: int,
        size_max_bytes: int,
        reader: TransactionReader,
        *,
        switches: bool = False,
    ) -> None:
        self._state = begin_block(view, view.head.height + 1, time_ms, (), reader)
        self._room_bytes = size_max_bytes
        self._reader = reader
        self.transactions: list[bytes] = []
        if switches:
            assert self.has_room(SWITCH), "a block has room for its first transaction"
            apply_switch(self._state)
            self.transactions.append(SWITCH)
            self._room_bytes -= len(SWITCH) + _framing_bytes(len(SWITCH))

    def has_room(self, raw: bytes) -> bool:
        """Whether a transaction fits into what is left of the block's size."""
        return len(raw) + _framing_bytes(len(raw)) <= self._room_bytes

    def add(self, raw: bytes) -> RuleBroken | None:
        """Add a transaction for which there is room, or say why it is not valid here."""
        assert self.has_room(raw), "a proposal keeps within its size"
        refusal = refusal_of(self._state, raw, self._reader)
        if refusal is None:
            self.transactions.append(raw)
            self._room_bytes -= len(raw) + _framing_bytes(len(raw))
        return refusal

    def effects(self) -> BlockEffects:
        """What the block changes that has these transactions, this time and no evidence."""
        assert self.transactions or not self._state.events, "events are those of transactions"
        return self._state.effects([None] * len(self.transactions))


def _framing_bytes(size: int) -> int:
    """What protobuf adds to a transaction in a block: a tag and a varint length."""
    return 1 + max(1, (size.bit_length() + 6) // 7)


def process_proposal(view: StateView, block: Block, reader: TransactionReader) -> BlockEffects | RuleBroken:
    """The effects of a proposed block, all of whose transactions are valid; or the reason to reject it."""
    state, transactions = _begin(view, block, reader)
    for raw in transactions:
        refusal = refusal_of(state, raw, reader)
        if refusal is not None:
            return refusal
    return _effects(view, state, [None] * len(block.transactions))


def finalize_block(view: StateView, block: Block, reader: TransactionReader) -> BlockEffects:
    """The effects of a decided block on the state before it."""
    assert block.height > view.head.height, "blocks are executed in order"
    state, transactions = _begin(view, block, reader)
    refusals: list[Refused | None] = [None] * (len(block.transactions) - len(transactions))
    for raw in transactions:
        try:
            _apply(state, reader.read(raw, state), reader)
            refusals.append(None)
        except Refused as refusal:
            refusals.append(refusal)
    return _effects(view, state, refusals)


def _begin(view: StateView, block: Block, reader: TransactionReader) -> tuple[Overlay, Sequence[bytes]]:
    """The state in which a block's transactions are judged, and these, but for the one that changes rules."""
    state = begin_block(view, block.height, block.time_ms, block.misbehavior, reader)
    if not is_switch(view.ruleset, block.transactions):
        return state, block.transactions
    apply_switch(state)
    return state, block.transactions[1:]


def _effects(view: StateView, state: Overlay, refusals: Sequence[Refused | None]) -> BlockEffects:
    """What a block changes; the same for a proposal and for the decided block that is equal to it."""
    effects = state.effects(refusals)
    assert effects.head.position == view.head.position + len(effects.events), "every event has a position"
    return effects
