"""What the operators' pages say of exit statuses, settings and metrics is what the code has."""

from __future__ import annotations

import re
import tomllib
from typing import Final

import pytest

from hansa.core.errors import EXIT_STATUS, Code
from hansa.node.settings.schema import BY_KEY
from tests.docs.pages import code_blocks, page, pages, prose, table_rows
from tests.docs.test_readme import typed

OPERATORS: Final = tuple(path for path in pages() if path.startswith("docs/operators/"))
NOT_OF_A_START: Final = frozenset(
    {
        Code.BACKUP_INVALID,
        Code.FORBIDDEN,
        Code.INVALID,
        Code.LEDGER_FORKED,
        Code.PROOF_INVALID,
        Code.UNAUTHENTICATED,
        Code.UNAVAILABLE,
        Code.UPGRADE_NEEDED,
    }
)
"""Codes with an exit status of their own that `hansa serve` does not end with."""
CURED_BY_WAITING: Final = frozenset({Code.DISK_FULL, Code.CLOCK_WRONG, Code.ENGINE_FAILED})
WRONG_COMMAND_LINE: Final = 2
FOR_OPERATORS: Final = ("replication", "peers", "resync", "import", "audit export")
"""Commands that a marketplace answers to an operator's token alone."""


def causes() -> dict[int, str]:
    """The table of failed starts: exit status and code."""
    rows = table_rows(page("docs/operators/recover.md"))
    return {int(row[0]): row[1].strip("`") for row in rows if row[0].isdigit()}


def test_every_cause_of_a_failed_start_is_in_the_table() -> None:
    expected = {number: code.value for code, number in EXIT_STATUS.items() if code not in NOT_OF_A_START}
    assert {number: code for number, code in causes().items() if Code(code) not in NOT_OF_A_START} == expected


def test_a_service_is_not_started_again_where_that_is_no_use() -> None:
    (listed,) = re.findall(
        r"^RestartPreventExitStatus=(.+)$", page("docs/operators/install.md"), re.MULTILINE
    )
    hopeless = {
        number
        for code, number in EXIT_STATUS.items()
        if code not in NOT_OF_A_START and code not in CURED_BY_WAITING
    }
    assert {*map(int, listed.split())} == hopeless | {WRONG_COMMAND_LINE}


@pytest.mark.parametrize("path", OPERATORS)
def test_no_page_promises_for_later_what_there_is(path: str) -> None:
    """A page that says what a release lacks is outdated by the release that brings it."""
    text = prose(page(path))
    assert re.findall(r"this version does not have|not have yet|not yet supported", text) == []


@pytest.mark.parametrize("path", [*OPERATORS, "docs/commands.md"])
def test_every_line_that_needs_a_token_has_one(path: str) -> None:
    lines = [" ".join(words) for words in typed(path)]
    shown = [one for one in lines if one.removeprefix("hansa ").startswith(FOR_OPERATORS)]
    assert [one for one in shown if "--token" not in one] == []


@pytest.mark.parametrize("path", OPERATORS)
def test_every_line_of_settings_on_a_page_can_be_written_into_the_file(path: str) -> None:
    named = {key for block in code_blocks(page(path), "toml") for key in tomllib.loads(block)}
    assert named <= BY_KEY.keys()
