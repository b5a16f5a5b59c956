"""Every version, every interpreter and every allowed dependency gives the recorded verdicts and hashes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import pytest

from hansa.pubsub.ledger.results import FAULT, TRANSACTION_RULES
from hansa.pubsub.ledger.rules.rulesets import RULESETS
from tests.golden.corpus import LEDGERS, RECORDED, REFUSALS, SEALED, Corpus, differences, read_corpus
from tests.golden.environments import (
    VERSIONS,
    PackagesMissing,
    Resolution,
    available_versions,
    locked_environment,
    resolved_environment,
    run,
)

REPLAY: Final = ("-m", "tests.golden.corpus")
AS_RECORDED: Final = "transactions: as recorded"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus()


def test_the_corpus_comes_out_as_it_was_recorded(corpus: Corpus) -> None:
    assert list(differences(corpus)) == []


@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: path.stem)
def test_every_version_replays_the_ledgers_that_were_recorded(path: Path) -> None:
    """When this fails, the ledgers of leagues cannot be replayed either: the rules need an upgrade path."""
    ledger = read_corpus(path)
    assert list(differences(ledger)) == []
    assert len(ledger.blocks) >= 100


def test_the_recorded_ledger_has_what_a_league_has() -> None:
    ledger = read_corpus(LEDGERS[0])
    assert all(transaction.number == 0 for block in ledger.blocks for transaction in block.transactions)
    assert any(block.powers for block in ledger.blocks), "a validator lost its power"
    assert any(not block.transactions for block in ledger.blocks), "there are empty blocks"
    parameters = json.loads(ledger.genesis.app_state)["params"]
    assert parameters.keys() >= {"heartbeat_s", "issuer_burst_s", "event_ahead_max_s"}


def test_the_recorded_refusals_come_out_as_they_were_recorded() -> None:
    assert list(differences(read_corpus(REFUSALS))) == []


def test_the_recorded_sealed_events_come_out_as_they_were_recorded() -> None:
    """Those that say nothing else, beside those that do, and keys for which they are sealed."""
    sealed = read_corpus(SEALED)
    assert list(differences(sealed)) == []
    assert numbers_of(sealed).count(0) >= 15
    assert len(numbers_of(sealed)) - numbers_of(sealed).count(0) >= 10


def test_the_corpus_is_large(corpus: Corpus) -> None:
    numbers = numbers_of(corpus)
    assert len(numbers) >= 2000
    assert numbers.count(0) >= 300


@pytest.mark.parametrize("ruleset", RULESETS)
def test_what_is_recorded_breaks_every_rule(ruleset: str) -> None:
    """A rule that is added needs a transaction that breaks it: in `tests.golden.refused`, in its own file."""
    reached: set[int] = set()
    for path in RECORDED:
        recorded = read_corpus(path)
        if json.loads(recorded.genesis.app_state)["ruleset"] == ruleset:
            reached.update(numbers_of(recorded))
    kinds = RULESETS[ruleset].kinds
    rules = {
        rule.number: rule.meaning
        for rule in (*TRANSACTION_RULES, *(rule for kind in kinds for rule in kind.rules))
        if rule is not FAULT
    }
    never = {number: meaning for number, meaning in rules.items() if number not in reached}
    assert not never, "no recorded transaction breaks these rules"
    assert reached == {0, *rules}


def numbers_of(corpus: Corpus) -> list[int]:
    """The verdicts of all transactions."""
    return [transaction.number for block in corpus.blocks for transaction in block.transactions]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.timeout(300)
def test_every_interpreter_gives_the_same(version: str) -> None:
    if version not in available_versions():
        pytest.skip(f"there is no Python {version} on this machine")
    try:
        python = locked_environment(version)
    except PackagesMissing as error:
        pytest.skip(f"the packages of Python {version} cannot be fetched: {error}")
    replayed = run(python, *REPLAY)
    assert replayed.startswith(f"Python {version}.")
    assert replayed.count(AS_RECORDED) == len(RECORDED)


@pytest.mark.skipif("CI" not in os.environ, reason="only continuous integration must have several Pythons")
def test_two_interpreters_are_there_at_least() -> None:
    assert len(available_versions()) >= 2, "install a second supported Python: the corpus compares them"


@pytest.mark.parametrize(
    ("resolution", "which"), [("lowest-direct", 0), ("highest", -1)], ids=["lowest", "newest"]
)
@pytest.mark.timeout(300)
def test_the_lowest_and_the_newest_dependencies_give_the_same(resolution: Resolution, which: int) -> None:
    version = available_versions()[which]
    try:
        python, packages = resolved_environment(version, resolution)
    except PackagesMissing as error:
        pytest.skip(f"the {resolution} packages cannot be fetched: {error}")
    replayed = run(python, *REPLAY)
    assert replayed.count(AS_RECORDED) == len(RECORDED), packages
