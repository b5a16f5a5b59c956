"""The table of attacks in docs/conformance.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
TESTS: Final = CHECKOUT / "tests" / "unit"


def rows() -> list[list[str]]:
    page = (CHECKOUT / "docs" / "conformance.md").read_text()
    table = page.partition("## Attacks on identity\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_attack_has_a_test_that_is_there() -> None:
    wanting = []
    for attack, refusal, tests in rows():
        named = re.findall(r"`([^`:]+)::([a-z0-9_]+)`", tests)
        assert refusal, attack
        assert len(named) == tests.count("`") // 2 > 0, attack
        wanting += [
            f"{attack}: {name}"
            for file, name in named
            if f"def {name}(" not in ((TESTS / file).read_text() if (TESTS / file).exists() else "")
        ]
    assert wanting == []
    assert len(rows()) >= 35
