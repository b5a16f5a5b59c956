"""What the README and the other pages ask their reader to type exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import Any

import pytest
import typer.main

from hansa.cli.app import app
from tests.conftest import CHECKOUT
from tests.docs.pages import commands, page, pages

COMMANDS: Any = typer.main.get_command(app).commands  # type: ignore[attr-defined]
MAKEFILE = (CHECKOUT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))


def typed(path: str) -> list[list[str]]:
    """Command lines of a page, word by word.

    What a shell would fill in is a word, what it pipes on is left out.
    """
    lines = [re.sub(r"\$\([^)]*\)|\$\w+", "FILLED-IN", " ".join(words)) for words in commands(page(path))]
    parts = [shlex.split(part) for line in lines for part in re.split(r" [|>] ", line)[:1]]
    return [words for words in parts if words]


def test_the_readme_shows_the_two_commands_first() -> None:
    lines = [words for words in commands(page("README.md")) if words[0] == "make"]
    assert lines[:2] == [["make", "demo"], ["make", "test"]]


def test_the_readme_says_what_it_is_in_a_few_lines_before_anything_else() -> None:
    title, first = page("README.md").split("\n\n", 2)[:2]
    assert title == "# Hansa"
    assert 3 <= len(first.splitlines()) <= 6


@pytest.mark.parametrize("path", pages())
def test_every_make_target_that_a_page_names_exists(path: str) -> None:
    named = {words[1] for words in typed(path) if words[0] == "make" and len(words) > 1}
    named |= set(re.findall(r"`make ([a-z-]+)", page(path)))
    assert named <= TARGETS


@pytest.mark.parametrize("path", pages())
def test_every_hansa_command_that_a_page_shows_is_understood(path: str) -> None:
    """Each command line is taken apart by the parser of the command line itself, and not run."""
    for words in typed(path):
        if words[0].rpartition("/")[2] == "hansa" and words[1:] != ["--help"]:
            assert words[1] in COMMANDS, f"{' '.join(words)}: there is no such command"
            assert COMMANDS[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("path", pages())
def test_every_hansa_command_in_the_prose_exists(path: str) -> None:
    named = set(re.findall(r"`(?:\.venv/bin/)?hansa ([a-z]+)", page(path)))
    assert named <= set(COMMANDS)


def test_the_readme_names_the_python_that_the_project_asks_for() -> None:
    required = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"Python {required.removeprefix('>=')}" in page("README.md")


def test_the_changelog_has_the_version_that_the_code_has() -> None:
    import hansa

    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == hansa.__version__
    assert f"## [{hansa.__version__}]" in page("CHANGELOG.md")


def test_the_licence_is_the_one_that_the_project_names() -> None:
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
