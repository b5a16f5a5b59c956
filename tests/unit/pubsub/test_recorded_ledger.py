"""A ledger that was recorded once gives the same hashes and the same verdicts for ever.

`recorded_ledger.json` holds a genesis, blocks with valid and invalid transactions, and what the state machine
made of them when it was recorded. A change that alters any of it would split a league whose members run
different versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

from hansa.core.errors import Code
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block

RECORDING: Final = Path(__file__).with_name("recorded_ledger.json")


class RecordedBlock(msgspec.Struct, frozen=True):
    """A block and its outcome."""

    height: int
    time_ms: int
    transactions: tuple[str, ...]
    codes: tuple[Code | None, ...]
    """Why each transaction was refused; None when it took effect."""
    app_hash: str
    """After the block; hex."""


class RecordedLedger(msgspec.Struct, frozen=True):
    """A ledger from its genesis on."""

    app_state: str
    time_ms: int
    app_hash: str
    blocks: tuple[RecordedBlock, ...]


@pytest.fixture(scope="module")
def recorded() -> RecordedLedger:
    return msgspec.json.decode(RECORDING.read_bytes(), type=RecordedLedger)


def test_a_recorded_ledger_replays_to_the_same_hashes_and_verdicts(
    recorded: RecordedLedger, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    application = LedgerApplication(SqliteState(path))
    assert application.init_chain(recorded.app_state.encode(), recorded.time_ms).hex() == recorded.app_hash
    for block in recorded.blocks:
        transactions = tuple(text.encode() for text in block.transactions)
        effects = application.finalize_block(Block(block.height, block.time_ms, transactions))
        application.commit()
        assert tuple(refusal and refusal.code for refusal in effects.refusals) == block.codes
        assert application.state.head.app_hash.hex() == block.app_hash
    application.state.close()
    reopened = SqliteState(path)
    assert reopened.head.app_hash.hex() == recorded.blocks[-1].app_hash
    reopened.close()


def test_a_recorded_block_is_accepted_or_rejected_as_it_was(recorded: RecordedLedger) -> None:
    application = LedgerApplication(SqliteState(MEMORY))
    application.init_chain(recorded.app_state.encode(), recorded.time_ms)
    for block in recorded.blocks:
        transactions = tuple(text.encode() for text in block.transactions)
        rejection = application.process_proposal(transactions)
        first_code = next((code for code in block.codes if code is not None), None)
        assert (rejection and rejection.code) == first_code
        application.finalize_block(Block(block.height, block.time_ms, transactions))
        application.commit()
    application.state.close()


def test_the_recording_has_every_code_that_a_transaction_can_be_refused_with(
    recorded: RecordedLedger,
) -> None:
    codes = {code for block in recorded.blocks for code in block.codes if code is not None}
    assert codes == {code for code in Code if code.startswith(("event-", "transaction-"))}
