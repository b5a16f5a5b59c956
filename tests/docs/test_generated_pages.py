"""Pages that follow from the code are those that the code gives, and say something about everything."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

from hansa.cli.app import app
from hansa.node.settings.schema import SCHEMA
from tests.conftest import CHECKOUT
from tools.document import PAGES, all_commands

COMMANDS: dict[str, Any] = dict(all_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_up_to_date(path: str) -> None:
    assert (CHECKOUT / path).read_text() == PAGES[path](), "run: .venv/bin/python -m tools.document"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_an_example(name: str) -> None:
    assert len((COMMANDS[name].help or "").split()) >= 3
    assert (COMMANDS[name].epilog or "").startswith(f"Example: hansa {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_has_a_meaning(name: str) -> None:
    silent = [each.name for each in COMMANDS[name].params if not each.help]
    assert not silent


def test_every_command_can_answer_in_json() -> None:
    silent = [
        name
        for name, command in COMMANDS.items()
        if not any("--json" in each.opts for each in command.params)
    ]
    assert not silent


@pytest.mark.parametrize("setting", SCHEMA, ids=lambda setting: setting.key)
def test_every_setting_has_a_meaning_and_a_row(setting: Any) -> None:
    assert len(setting.description) >= 10
    assert f"| `{setting.key}` | `{setting.variable}` |" in (CHECKOUT / "docs" / "settings.md").read_text()
