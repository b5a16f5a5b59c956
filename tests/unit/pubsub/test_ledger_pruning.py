"""Which of its blocks the engine may forget: never what is young, or not captured yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.pruning import RETAIN_ALL, Pruning, PruningRules
from hansa.pubsub.light.captured import CapturedBlocks, Progress
from tests.support.ledgers import Ledger


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """Sixty blocks, one a second, of which every second one has an event."""
    made = Ledger(params=LedgerParams())
    for number in range(60):
        if number % 2:
            made.commit(made.lubeck.batch(*made.lubeck.events(1)))
        else:
            made.commit()
    return made


def test_everything_is_retained_unless_the_operator_says_otherwise(ledger: Ledger) -> None:
    assert Pruning(RETAIN_ALL).first_retained(ledger.state) == 0


def test_the_last_blocks_are_retained(ledger: Ledger) -> None:
    assert Pruning(PruningRules(20)).first_retained(ledger.state) == 41
    assert Pruning(PruningRules(1000)).first_retained(ledger.state) == 0


def test_blocks_that_are_younger_than_evidence_may_be_are_retained(ledger: Ledger) -> None:
    assert Pruning(PruningRules(10, retained_min_s=30)).first_retained(ledger.state) in {28, 29}
    assert Pruning(PruningRules(10, retained_min_s=10_000)).first_retained(ledger.state) == 0


def test_blocks_that_are_not_captured_are_retained(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "light.db"
    rules = PruningRules(10, light_blocks=path)
    assert Pruning(rules).first_retained(ledger.state) == 0
    captured = CapturedBlocks(path)
    assert Pruning(rules).first_retained(ledger.state) == 0
    captured.write((), Progress(33, b"a", b"v"))
    assert Pruning(rules).first_retained(ledger.state) == 33
    captured.write((), Progress(60, b"a", b"v"))
    assert Pruning(rules).first_retained(ledger.state) == 51
    captured.close()
    path.write_bytes(b"damaged" * 1000)
    assert Pruning(rules).first_retained(ledger.state) == 0
