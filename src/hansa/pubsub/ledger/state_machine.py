"""The state machine of the ledger: a pure function of the blocks.

`finalize_block` takes the state before a block (a `StateView`) and the block, and gives the state's changes
(`BlockEffects`); it reads no clock, no file and no setting. The same rules (`hansa.pubsub.ledger.rules`)
decide in four methods of ABCI:

- CheckTx: one transaction against the committed state, before it may wait in the mempool;
- PrepareProposal: the waiting transactions one after another, invalid ones left out;
- ProcessProposal: a proposed block, rejected when any of its transactions is invalid;
- FinalizeBlock: the decided block; an invalid transaction gets its code and has no effect.

Whatever goes wrong with a transaction in the first three, a fault of this software too, refuses it and
nothing else, so that no bytes of a stranger end the process. In the last a fault must end it: a member that
went on alone with its own verdict would have another ledger than the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hansa.core.errors import Refused
from hansa.pubsub.ledger.results import FAULT, RuleBroken
from hansa.pubsub.ledger.state import BlockEffects, Overlay, StateView
from hansa.pubsub.ledger.transactions import TransactionReader


class Block(msgspec.Struct, frozen=True):
    """A proposed or decided block."""

    height: int
    time_ms: int
    """Milliseconds since 1970."""
    transactions: tuple[bytes, ...]


def apply_transaction(state: Overlay, raw: bytes, reader: TransactionReader) -> None:
    """Apply a transaction to an overlay: all of it or nothing.

    Args:
        state: Changed when the transaction is valid, else not.
        raw: The transaction.
        reader: Reads it.

    Raises:
        RuleBroken: the first rule that the transaction breaks.
    """
    transaction = reader.read(raw, state)
    upper = state.upper()
    for step in transaction.steps:
        transaction.kind.check(upper, step, reader.context)
        transaction.kind.apply(upper, step)
    state.absorb(upper)


def check_tx(view: StateView, raw: bytes, now_ms: int, reader: TransactionReader) -> None:
    """Check whether a transaction would be valid in the next block.

    Args:
        view: The committed state.
        raw: The transaction.
        now_ms: This member's clock. The next block's time is not known yet; it lags behind by up to the
            time since the last one.
        reader: Reads it.

    Raises:
        RuleBroken: the first rule that the transaction breaks.
    """
    head = view.head
    refusal = _refusal(Overlay(view, head.height + 1, max(head.time_ms, now_ms)), raw, reader)
    if refusal is not None:
        raise refusal


def _refusal(state: Overlay, raw: bytes, reader: TransactionReader) -> RuleBroken | None:
    """Apply a transaction to an overlay, or say why not; a fault of ours refuses it too."""
    try:
        apply_transaction(state, raw, reader)
    except RuleBroken as broken:
        return broken
    except Exception as error:  # noqa: BLE001 - no bytes of a stranger may end the process
        fault = FAULT.broken("This member failed to judge the transaction.")
        fault.__cause__ = error
        return fault
    return None


def prepare_proposal(
    view: StateView, candidates: Sequence[bytes], time_ms: int, size_max_bytes: int, reader: TransactionReader
) -> list[bytes]:
    """The candidates that are valid in one block of that time, in their order, within its size."""
    state = Overlay(view, view.head.height + 1, time_ms)
    selected: list[bytes] = []
    size_bytes = 0
    for raw in candidates:
        framed_bytes = len(raw) + _framing_bytes(len(raw))
        if size_bytes + framed_bytes > size_max_bytes:
            continue
        if _refusal(state, raw, reader) is not None:
            continue  # CheckTx reports the reason to the submitter when the transaction is checked again
        selected.append(raw)
        size_bytes += framed_bytes
    assert size_bytes <= size_max_bytes, "a proposal keeps within its size"
    return selected


def _framing_bytes(size: int) -> int:
    """What protobuf adds to a transaction in a block: a tag and a varint length."""
    return 1 + max(1, (size.bit_length() + 6) // 7)


def process_proposal(view: StateView, block: Block, reader: TransactionReader) -> RuleBroken | None:
    """The reason to reject a proposed block; None when there is none."""
    state = Overlay(view, block.height, block.time_ms)
    refusals = (_refusal(state, raw, reader) for raw in block.transactions)
    return next((refusal for refusal in refusals if refusal is not None), None)


def finalize_block(view: StateView, block: Block, reader: TransactionReader) -> BlockEffects:
    """The effects of a decided block on the state before it."""
    before = view.head
    assert block.height > before.height, "blocks are executed in order"
    state = Overlay(view, block.height, block.time_ms)
    refusals: list[Refused | None] = []
    for raw in block.transactions:
        try:
            apply_transaction(state, raw, reader)
            refusals.append(None)
        except Refused as refusal:
            refusals.append(refusal)
    effects = state.effects(refusals)
    assert effects.head.position == before.position + len(effects.events), "every event has a position"
    return effects
