"""Reading the project's pages: links, headings, tables, code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.tidy.source import project_files

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@cache
def pages() -> tuple[str, ...]:
    """Paths of all pages from the top of the checkout."""
    return tuple(source.path for source in project_files(CHECKOUT) if source.is_markdown)


@cache
def page(path: str) -> str:
    """A page's text."""
    return (CHECKOUT / path).read_text()


def prose(text: str) -> str:
    """A page without its code blocks."""
    return FENCED.sub("", text)


def links(text: str) -> list[str]:
    """Targets of a page's links."""
    return LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """Names under which a page's headings can be linked, as the usual renderers make them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(prose(text))
    }


def code_blocks(text: str, *languages: str) -> list[str]:
    """Contents of a page's code blocks in one of these languages."""
    return [content for language, content in FENCED.findall(text) if language in languages]


def commands(text: str) -> Iterator[list[str]]:
    """Command lines that a page asks its reader to type, as words.

    Comments and continued lines are resolved.
    """
    for block in code_blocks(text, "console", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").split("#")[0].split()
            if words:
                yield words


def table_rows(text: str) -> list[list[str]]:
    """Cells of all table rows of a page, headings and rules left out."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [row for row in rows if not set("".join(row)) <= set("-: ")]


def resolve(path: str, target: str) -> tuple[Path, str]:
    """The file and the anchor that a relative link in a page leads to."""
    file, _, anchor = target.partition("#")
    return (CHECKOUT / path).parent / file if file else CHECKOUT / path, anchor
