"""The table of attacks in docs/conformance.md names tests that are there."""

from __future__ import annotations

import re
from typing import Final

from tests.conftest import CHECKOUT
from tests.docs.pages import page, table_rows

TESTS: Final = CHECKOUT / "tests" / "unit"


def rows() -> list[list[str]]:
    part = page("docs/conformance.md").partition("## Attacks on identity\n")[2].partition("\n## ")[0]
    return table_rows(part)[1:]


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
