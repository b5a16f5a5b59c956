"""Rules about any text of the project: pages, code, manifests.

Each takes one file and yields what it does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from tests.tidy.source import Source, Violation

FILE_SIZE_MAX_BYTES: Final = 262_144

MARKS: Final = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
MACHINE_PATHS: Final = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work)/[\w.]+")
REGISTRY_HOSTS: Final = re.compile(
    r"\b(?:(?:test\.)?pypi\.(?:org|python\.org)|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
    r"|proxy\.golang\.org|sum\.golang\.org)\b"
    r"|--(?:extra-)?index-url|https?://[^\s\"')>]+/(?:simple|pypi)/"
)
PROSE_COLUMNS_MAX: Final = 110
TOKEN_COLUMNS_MAX: Final = 60
TOOL_NOTE: Final = re.compile(r"\s*#\s*(?:noqa|type: ignore|fmt: ).*$")
"""What is written for a tool stands on its line, however long that becomes."""
FENCE: Final = re.compile(r"^\s*(?:```|~~~)")
AVOIDED_ROW: Final = re.compile(r"^\|\s*([^|]+?)\s*\|\s*([^|]+?)\s*\|", re.MULTILINE)


def leftover_marks(source: Source) -> Iterator[Violation]:
    """Notes to self that should have become code, an issue or nothing."""
    for number, line in enumerate(source.lines, 1):
        for match in MARKS.finditer(line):
            yield source.wrong(
                "leftover", number, f"{match[0]}: do it now, or open an issue and name it in a sentence"
            )


def machine_paths(source: Source) -> Iterator[Violation]:
    """Places that exist on one machine only."""
    for number, line in enumerate(source.lines, 1):
        for match in MACHINE_PATHS.finditer(line):
            yield source.wrong(
                "machine-path", number, f"{match[0]}: no other machine has this; take it as a parameter"
            )


def registry_hosts(source: Source) -> Iterator[Violation]:
    """Hosts of package registries; which one is used is the business of whoever builds."""
    for number, line in enumerate(source.lines, 1):
        for match in REGISTRY_HOSTS.finditer(line):
            yield source.wrong(
                "registry-host",
                number,
                f"{match[0]}: pip, uv and go know their registries from their own settings",
            )


def file_size(source: Source) -> Iterator[Violation]:
    """Blobs, which stay in the history for ever."""
    if len(source.data) > FILE_SIZE_MAX_BYTES:
        yield source.wrong(
            "file-size",
            1,
            f"{len(source.data):,} bytes, {FILE_SIZE_MAX_BYTES:,} at most: generate it, or leave it out",
        )


def scripts_are_executable(source: Source) -> Iterator[Violation]:
    """A script that cannot be run, or a file that pretends to be one."""
    is_script = source.data.startswith(b"#!")
    if is_script != source.is_executable:
        problem = "has a #! line but is not executable" if is_script else "is executable but has no #! line"
        yield source.wrong("permissions", 1, problem)


def line_ends(source: Source) -> Iterator[Violation]:
    """Line ends that differ between editors."""
    if source.text is None or source.text == "":
        return
    if "\r" in source.text and not source.path.endswith(".crlf"):
        yield source.wrong("line-ends", 1, "carriage returns: write lines with \\n alone")
    if not source.text.endswith("\n"):
        yield source.wrong("line-ends", len(source.lines), "no newline at the end of the file")


def one_title(source: Source) -> Iterator[Violation]:
    """A page has one title, and begins with it."""
    if not source.is_markdown:
        return
    titles = [number for number, line in prose_lines(source) if line.startswith("# ")]
    first = next((number for number, line in prose_lines(source) if line.strip()), 0)
    if len(titles) != 1 or titles[0] != first:
        yield source.wrong(
            "title", first or 1, f"{len(titles)} titles: begin the page with its one `# Title`"
        )


def prose_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Numbered lines of a page outside code blocks."""
    is_code = False
    for number, line in enumerate(source.lines, 1):
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield number, line


def words_to_avoid(glossary: str) -> dict[str, str]:
    """The glossary's table of words to avoid: lower-case word to what to say instead."""
    _, _, rest = glossary.partition("## Words to avoid")
    table = rest.partition("\n## ")[0]
    return {
        word.strip().lower(): instead
        for words, instead in AVOIDED_ROW.findall(table)
        for word in words.split(",")
        if word.strip(" -") and words != "Avoid"
    }


def avoided_words(source: Source, avoided: Mapping[str, str]) -> Iterator[Violation]:
    """Words that the glossary asks to avoid, in pages and in the comments and docstrings of code."""
    if source.path == "docs/glossary.md" or not avoided:
        return
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, avoided)) + r")\b", re.IGNORECASE)
    prose: Iterable[tuple[int, str]]
    if source.is_markdown:
        prose = prose_lines(source)
    elif source.is_python:
        prose = source.prose
    else:
        return
    for number, line in prose:
        for match in pattern.finditer(re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)):
            instead = avoided[match[0].lower()]
            yield source.wrong("wording", number, f"{match[0]!r}: say {instead} (docs/glossary.md)")


def prose_length(source: Source) -> Iterator[Violation]:
    """Comments and docstrings that are wider than code may be.

    An address that nothing can break stays whole.
    """
    if not source.is_python:
        return
    for number, text in source.prose:
        if TOOL_NOTE.match(text):
            continue
        line = TOOL_NOTE.sub("", source.lines[number - 1])
        if len(line) > PROSE_COLUMNS_MAX and not any(
            len(token) > TOKEN_COLUMNS_MAX for token in line.split()
        ):
            yield source.wrong(
                "prose-length", number, f"{len(line)} columns, {PROSE_COLUMNS_MAX} at most: break the line"
            )


TEXT_RULES: Final = (
    leftover_marks,
    machine_paths,
    registry_hosts,
    file_size,
    scripts_are_executable,
    line_ends,
    one_title,
    prose_length,
)
