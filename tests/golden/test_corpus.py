"""Every version and every interpreter gives the recorded verdicts and hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from hansa.pubsub.ledger.results import FAULT
from hansa.pubsub.ledger.rules import RULES
from tests.golden.corpus import Corpus, differences, read_corpus

TOP: Final = Path(__file__).parents[2]
OTHER_VERSIONS: Final = ("3.12", "3.13", "3.14")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus()


def test_the_corpus_comes_out_as_it_was_recorded(corpus: Corpus) -> None:
    assert list(differences(corpus)) == []


def test_the_corpus_is_large_and_breaks_every_rule(corpus: Corpus) -> None:
    numbers = [transaction.number for block in corpus.blocks for transaction in block.transactions]
    assert len(numbers) >= 2000
    assert numbers.count(0) >= 300
    assert set(numbers) == {0, *(rule.number for rule in RULES if rule is not FAULT)}


@pytest.mark.parametrize("version", OTHER_VERSIONS)
@pytest.mark.timeout(300)
def test_another_interpreter_gives_the_same(version: str) -> None:
    interpreter = interpreter_of(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} on this machine")
    environment = TOP / ".venv" / f"golden-{version}"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--allow-existing", "--python", interpreter, environment)
    python = environment / "bin" / "python"
    requirements = TOP / "requirements" / "runtime.txt"
    run(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", requirements)
    shown = run(python, "-m", "tests.golden.corpus")
    assert shown.startswith(f"Python {version}.")
    assert shown.endswith("transactions: as recorded\n")


def interpreter_of(version: str) -> Path | None:
    """An interpreter of a version that can be run: on the path, or where a version manager keeps its own."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    managed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*"))
    for candidate in (
        *(folder / "bin" / "python" for folder in managed),
        *(f / f"python{version}" for f in folders),
    ):
        if (
            candidate.is_file()
            and subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0
        ):
            return candidate
    return None


def run(*command: str | Path) -> str:
    """What a command prints; it has to succeed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TOP), str(TOP / "src")))}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=TOP, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
