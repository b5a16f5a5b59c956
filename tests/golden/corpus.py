"""Recorded blocks, with what every version and every interpreter must make of them.

    corpus.jsonl.xz     transactions, valid and not; recorded anew when the rules change on purpose
    ledger-3.jsonl.xz   the ledger of a league under the rules `hansa-ledger/3`: every later version must be
                        able to replay it to the same hashes, so it is never recorded again
    ledger-4.jsonl.xz   the same under `hansa-ledger/4`, with governance (`tests.golden.governed`)
    sealed-4.jsonl.xz   sealed events and keys for key agreement (`tests.golden.sealed`); never recorded again
    refusals-4.jsonl.xz what breaks the rules of `hansa-ledger/4`, all of them, beside valid transactions
                        (`tests.golden.refused`); never recorded again

`python -m tests.golden.corpus` replays them and prints one line for each; it needs nothing of the test suite,
so that any interpreter can run it. `tests.golden.record` makes the others.
"""

from __future__ import annotations

import hashlib
import lzma
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import Misbehavior

CORPUS: Final = Path(__file__).with_name("corpus.jsonl.xz")
LEDGERS: Final = tuple(Path(__file__).with_name(f"ledger-{number}.jsonl.xz") for number in (3, 4))
"""One for each version of the rules, oldest first."""
REFUSALS: Final = Path(__file__).with_name("refusals-4.jsonl.xz")
SEALED: Final = Path(__file__).with_name("sealed-4.jsonl.xz")
RECORDED: Final = (CORPUS, *LEDGERS, REFUSALS, SEALED)


class Genesis(msgspec.Struct, frozen=True):
    """The first line."""

    app_state: str
    time_ms: int
    validators: dict[str, int]
    """Voting power by public key; hex."""
    app_hash: str
    """Before the first block; hex."""


class RecordedTransaction(msgspec.Struct, frozen=True, array_like=True):
    """A transaction and its verdict."""

    name: str
    """What is right or wrong with it, for messages."""
    raw: str
    """Its bytes, each as the character of that number."""
    number: int
    """ABCI result code; 0 when it took effect."""


class RecordedBlock(msgspec.Struct, frozen=True):
    """A further line: one block."""

    height: int
    time_ms: int
    transactions: tuple[RecordedTransaction, ...]
    app_hash: str
    """After the block; hex."""
    misbehavior: tuple[Misbehavior, ...] = ()
    """Evidence that came with the block."""
    powers: dict[str, int] = {}
    """The validators' changes, by address."""


class Corpus(msgspec.Struct, frozen=True):
    """All of it."""

    genesis: Genesis
    blocks: tuple[RecordedBlock, ...]

    @property
    def count(self) -> int:
        """Transactions in it."""
        return sum(len(block.transactions) for block in self.blocks)


def read_corpus(path: Path = CORPUS) -> Corpus:
    """The corpus of a file."""
    first, *lines = lzma.decompress(path.read_bytes()).splitlines()
    blocks = tuple(msgspec.json.decode(line, type=RecordedBlock) for line in lines)
    return Corpus(msgspec.json.decode(first, type=Genesis), blocks)


def write_corpus(corpus: Corpus, path: Path = CORPUS) -> None:
    """Write a file that `read_corpus` reads."""
    lines = [msgspec.json.encode(one) for one in (corpus.genesis, *corpus.blocks)]
    path.write_bytes(lzma.compress(b"\n".join(lines), preset=9))


def differences(corpus: Corpus) -> Iterator[str]:
    """Replay a corpus; what comes out otherwise than it was recorded."""
    application = LedgerApplication(SqliteState(MEMORY))
    genesis = corpus.genesis
    app_hash = application.init_chain(genesis.app_state.encode(), genesis.time_ms, genesis.validators)
    if app_hash.hex() != genesis.app_hash:
        yield "the application hash of the genesis"
    for block in corpus.blocks:
        raw = tuple(transaction.raw.encode("latin-1") for transaction in block.transactions)
        decided = Block(block.height, block.time_ms, raw, block.misbehavior)
        is_valid = all(transaction.number == 0 for transaction in block.transactions)
        if (application.process_proposal(decided) is None) != is_valid:
            yield f"block {block.height}: the verdict of ProcessProposal"
        effects = application.finalize_block(decided)
        if {one.address: one.power for one in effects.validators} != block.powers:
            yield f"block {block.height}: the validators"
        for transaction, refusal in zip(block.transactions, effects.refusals, strict=True):
            number = refusal.rule.number if isinstance(refusal, RuleBroken) else 0
            if number != transaction.number:
                yield f"block {block.height}, {transaction.name}: {number} instead of {transaction.number}"
        application.commit()
        if application.state.head.app_hash.hex() != block.app_hash:
            yield f"block {block.height}: the application hash"
    application.state.close()


def main() -> int:
    """Replay everything; the exit status says whether all of it came out as it was recorded."""
    status = 0
    for path in RECORDED:
        recorded = read_corpus(path)
        wrong = list(differences(recorded))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        result = "as recorded" if not wrong else f"{len(wrong)} differences, first: {wrong[0]}"
        python = platform.python_version()
        sys.stdout.write(f"Python {python}: {path.name} {digest}, {recorded.count} transactions: {result}\n")
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
