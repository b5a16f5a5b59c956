"""The project keeps its own rules. The rules themselves are tested in test_rules.py."""

from __future__ import annotations

import ast
import tomllib
from functools import cache

import pytest

from hansa.core.interpreter import loading
from tests.conftest import CHECKOUT
from tests.tidy.code_rules import CODE_RULES, package_size, unused_modules
from tests.tidy.exemptions import EXEMPTIONS, RATCHETS, Ratchet
from tests.tidy.name_rules import NAME_RULES, repeated_classes, unused_definitions
from tests.tidy.source import IGNORED_FOLDERS, IGNORED_PATHS, Source, Violation, project_files
from tests.tidy.text_rules import TEXT_RULES, avoided_words, words_to_avoid


@cache
def files() -> tuple[Source, ...]:
    return tuple(project_files(CHECKOUT))


def entry_points() -> frozenset[str]:
    """Modules that are started, not imported: the scripts of pyproject.toml."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return frozenset(target.partition(":")[0] for target in project["scripts"].values())


def page_templates() -> tuple[str, ...]:
    """Templates of the portal, which use names of the product."""
    return tuple(
        source.text or ""
        for source in files()
        if source.path.startswith("src/hansa/portal/") and not source.is_python
    )


@cache
def violations() -> tuple[Violation, ...]:
    """Everything that some rule does not allow, exempted or not."""
    avoided = words_to_avoid((CHECKOUT / "docs" / "glossary.md").read_text())
    broken_rules: list[Violation] = []
    with loading():
        for source in files():
            for text_rule in TEXT_RULES:
                broken_rules.extend(text_rule(source))
            broken_rules.extend(avoided_words(source, avoided))
            if source.is_python:
                for code_rule in (*CODE_RULES, *NAME_RULES):
                    broken_rules.extend(code_rule(source))
        broken_rules.extend(unused_modules(list(files()), entry_points()))
        broken_rules.extend(package_size(list(files())))
        broken_rules.extend(repeated_classes(files()))
        broken_rules.extend(unused_definitions(files(), page_templates()))
    return tuple(sorted(broken_rules))


def unexempted() -> list[Violation]:
    return [
        violation
        for violation in violations()
        if not any(exemption.covers(violation) for exemption in EXEMPTIONS)
    ]


def test_the_project_keeps_its_rules() -> None:
    broken = [
        str(violation)
        for violation in unexempted()
        if not any(ratchet.covers(violation) for ratchet in RATCHETS)
    ]
    assert not broken, "\n".join(
        ["", *broken, f"{len(broken)} in all. CONTRIBUTING.md says how to be exempted."]
    )


@pytest.mark.parametrize("ratchet", RATCHETS, ids=lambda ratchet: f"{ratchet.rule}-{ratchet.path}")
def test_what_is_not_kept_yet_becomes_no_worse(ratchet: Ratchet) -> None:
    covered = [str(violation) for violation in unexempted() if ratchet.covers(violation)]
    assert len(covered) <= ratchet.at_most, "\n".join(
        ["", *covered, f"{len(covered)} in all, at most {ratchet.at_most}"]
    )


def test_every_exemption_is_needed_and_has_a_reason() -> None:
    stale = [
        f"{exemption.rule} in {exemption.path}"
        for exemption in EXEMPTIONS
        if not any(exemption.covers(violation) for violation in violations())
    ]
    assert not stale, f"these exempt nothing; remove them: {stale}"
    assert all(len(exemption.reason.split()) >= 3 for exemption in EXEMPTIONS)


def test_what_the_walk_leaves_out_is_what_version_control_ignores() -> None:
    ignored = (CHECKOUT / ".gitignore").read_text().splitlines()
    for name in (IGNORED_FOLDERS - {".git"}) | IGNORED_PATHS:
        assert {f"{name}/", f"/{name}/", name} & set(ignored), f"{name} is not in .gitignore"


def test_every_python_file_can_be_parsed() -> None:
    modules = [source for source in files() if source.is_python]
    assert len(modules) > 20
    assert all(isinstance(source.tree, ast.Module) for source in modules)
