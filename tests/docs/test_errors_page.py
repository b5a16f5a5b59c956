"""docs/errors.md lists every code, with the status that callers and shells get."""

from __future__ import annotations

import re

import pytest

from hansa.core.error_meanings import MEANINGS
from hansa.core.errors import EXIT_STATUS, HTTP_STATUS, Code, HansaError
from hansa.pubsub.ledger.rules import RULES
from tests.docs.pages import page, table_rows


def documented() -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in table_rows(page("docs/errors.md")) if row[0].startswith("`")}


def test_every_code_is_documented_once_and_nothing_else_is() -> None:
    rows = [row[0] for row in table_rows(page("docs/errors.md")) if row[0].startswith("`")]
    assert len(rows) == len(set(rows))
    assert {row.strip("`") for row in rows} == {code.value for code in Code}


@pytest.mark.parametrize("code", Code)
def test_the_documented_statuses_are_those_of_the_code(code: Code) -> None:
    _, http, meaning, exit_status = documented()[code]
    error = HansaError(code, "for its statuses")
    assert (int(http), int(exit_status)) == (error.http_status, error.exit_status)
    assert len(meaning) > 20


def test_every_rule_of_the_ledger_is_documented_with_its_number() -> None:
    rows = [row for row in table_rows(page("docs/errors.md")) if row[0].isdigit()]
    rules = sorted(RULES, key=lambda rule: rule.number)
    assert rows == [[str(rule.number), f"`{rule.code}`", rule.meaning] for rule in rules]


@pytest.mark.parametrize("code", HTTP_STATUS)
def test_the_page_and_the_portal_give_a_code_the_same_meaning(code: Code) -> None:
    assert re.sub(r" \(\[[^)]*\)\)", "", documented()[code][2]) == MEANINGS[code]


def test_no_two_causes_of_a_failed_start_share_an_exit_status() -> None:
    causes = [
        code for code in EXIT_STATUS if code not in {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.INVALID}
    ]
    assert len({EXIT_STATUS[code] for code in causes}) == len(causes)
    assert not {0, 1, 2} & {EXIT_STATUS[code] for code in causes}


def test_a_wrong_value_on_a_command_line_ends_as_an_unknown_option_does() -> None:
    assert EXIT_STATUS[Code.INVALID] == 2
