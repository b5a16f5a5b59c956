"""The rules about names, packages and prose, shown failing and passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest

from tests.conftest import CHECKOUT
from tests.tidy import code_rules, name_rules, text_rules
from tests.tidy.dialect import TERMS, replacement, terms_of
from tests.tidy.exemptions import Ratchet
from tests.tidy.source import Source, Violation

MODULE = "src/hansa/store/feed.py"


def messages(rule: Callable[[Source], Iterator[Violation]], text: str, path: str = MODULE) -> list[str]:
    return [violation.message for violation in rule(Source.of(path, dedent(text)))]


WITH_DIALECT = (
    "found = rows()",
    "def told(error): ...",
    "def f(*, wanted): ...",
    "class KeptRows: ...",
    "class C:\n    def __init__(self):\n        self._asked_at_s = 0",
    "for given in rows: ...",
    "with open(path) as standing: ...",
    "ROWS_KEPT_MAX = 3",
    "class Served: ...",
    "dead, letters = 1, 2",
)
WITHOUT_DIALECT = (
    "matches = rows()",
    "print(other.found, told(1), wanted=3)",
    "class ServedResource: ...",
    "dead_letters_max = 3",
    "def not_found(): ...",
    "profound = keptness = 1",
    "def finalize_block(): ...",
)


@pytest.mark.parametrize("text", WITH_DIALECT)
def test_a_name_with_a_word_of_ours_is_refused(text: str) -> None:
    assert len(messages(name_rules.dialect, text)) == 1


@pytest.mark.parametrize("text", WITHOUT_DIALECT)
def test_a_name_of_the_field_is_accepted(text: str) -> None:
    assert messages(name_rules.dialect, text) == []


def test_the_name_of_a_module_is_a_name_too() -> None:
    assert messages(name_rules.dialect, "x = 1", "src/hansa/store/kept_rows.py")
    assert messages(name_rules.dialect, "found = 1", "tests/unit/store/test_feed.py") == []


def test_a_refused_name_comes_with_what_to_say() -> None:
    (message,) = messages(name_rules.dialect, "bell = 1")
    assert message == "bell: for 'bell' the field says signal (docs/glossary.md)"
    assert replacement("ResultRows") is None


def test_the_glossary_has_the_words_that_are_refused() -> None:
    glossary = (CHECKOUT / "docs" / "glossary.md").read_text()
    assert terms_of(glossary) == [(term.say, ", ".join(term.old).replace('"', "")) for term in TERMS]


@pytest.mark.parametrize(
    "text",
    [
        'log.info("a listener fails", listener=1)',
        'log.warning(f"failed_{code}")',
        "self._logger.error(message)",
        'logger.debug("Failed")',
        'log.log(level, "it failed")',
    ],
)
def test_a_log_event_that_is_a_sentence_is_refused(text: str) -> None:
    assert len(messages(name_rules.log_events, text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        'log.info("listener_failed", listener=1)',
        'log.log(level, "step_retried")',
        'console.error("It failed")',
    ],
)
def test_a_log_event_in_snake_case_is_accepted(text: str) -> None:
    assert messages(name_rules.log_events, text) == []


def unused(*files: tuple[str, str], templates: tuple[str, ...] = ()) -> list[str]:
    sources = [Source.of(path, dedent(text)) for path, text in files]
    return [
        violation.message.partition(" is used")[0]
        for violation in name_rules.unused_definitions(sources, templates)
    ]


def test_a_definition_that_only_tests_use_is_refused() -> None:
    product = """
        LIMIT = 3
        def read(): ...
        class Feed:
            def follow(self): return self.follow()
        """
    test = "from hansa.store.feed import LIMIT, Feed, read\nread(LIMIT); Feed().follow()\n"
    assert unused((MODULE, product), ("tests/unit/test_feed.py", test)) == [
        "the constant LIMIT",
        "the function read",
        "the class Feed",
        "the method follow",
    ]


def test_a_definition_that_the_product_or_its_tools_use_is_accepted() -> None:
    product = "LIMIT = 3\ndef read(): return LIMIT\nclass Feed:\n    def __len__(self): return 0\n"
    tool = "from hansa.store.feed import Feed as Source, read\nread(Source())\n"
    assert unused((MODULE, product), ("tools/feed.py", tool)) == []


def test_what_a_template_or_a_decorator_uses_is_accepted() -> None:
    assert unused((MODULE, "def title(): ...\n"), templates=("{{ page.title() }}",)) == []
    assert unused((MODULE, "@app.command()\ndef serve(): ...\n")) == []
    assert unused((MODULE, "class C:\n    @property\n    def size(self): ...\n")) == [
        "the class C",
        "the method size",
    ]


def test_two_public_classes_of_one_name_are_refused() -> None:
    one, other = (Source.of(f"src/hansa/{name}.py", "class Answer: ...\nclass _Row: ...\n") for name in "ab")
    assert [violation.path for violation in name_rules.repeated_classes([one, other])] == ["src/hansa/b.py"]


def test_a_package_of_thirteen_modules_is_too_large() -> None:
    def violations(count: int) -> list[str]:
        names = ["__init__", "__main__", *(f"m{number}" for number in range(count))]
        sources = [Source.of(f"src/hansa/store/{name}.py", "") for name in names]
        return [violation.path for violation in code_rules.package_size(sources)]

    assert violations(12) == []
    assert violations(13) == ["src/hansa/store/__init__.py"]


def prose(text: str) -> list[int]:
    return [violation.line for violation in text_rules.prose_length(Source.of(MODULE, text))]


def test_prose_is_no_wider_than_code() -> None:
    words = "word " * 22
    assert prose(f'"""A docstring.\n\n{words}\n"""\n# {words}\n') == [5]
    assert prose(f'"""A docstring.\n\n{words}x\n"""\nx = 1  # {words}\n') == [3, 5]
    assert prose(f'x = "{words} in a string"\n') == []


def test_an_address_and_a_note_for_a_tool_are_left_whole() -> None:
    address = "https://example.org/" + "a" * 100
    assert prose(f"# see {address}\n") == []
    assert prose(f'x = "{"y" * 90}"  # noqa: S608 - it is a constant of this module\n') == []
    assert prose(f'x = "{"y" * 120}"  # fmt: skip\n') == []


def test_a_ratchet_counts_its_rule_in_its_files_alone() -> None:
    ratchet = Ratchet("dialect", "src/hansa/store/*", 3)
    assert ratchet.covers(Violation("src/hansa/store/sqlite/store.py", 1, "dialect", "found: …"))
    assert not ratchet.covers(Violation("src/hansa/store/sqlite/store.py", 1, "log-event", "…"))
    assert not ratchet.covers(Violation("src/hansa/core/keys.py", 1, "dialect", "found: …"))
