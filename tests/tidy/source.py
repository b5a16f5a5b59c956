"""What the tidy rules look at: the files of the project, and what is wrong with one of them."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

IGNORED_FOLDERS: Final = frozenset(
    {
        ".git",
        ".venv",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".import_linter_cache",
        "dist",
        "build",
    }
)
"""Folders that hold nothing of the project; version control ignores them too, or is one of them."""

IGNORED_PATHS: Final = frozenset(
    {"league", "src/hansa/pubsub/engine/bin", "src/hansa/pubsub/ledger/abci.binpb"}
)
"""The same for single places: what the demo and the build leave."""

STRUCTURE: Final = frozenset(
    {tokenize.NL, tokenize.COMMENT, tokenize.ENCODING, tokenize.INDENT, tokenize.DEDENT}
)
"""Tokens that begin and end no statement."""


class Violation(msgspec.Struct, frozen=True, order=True):
    """One thing that a rule does not allow."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message} [{self.rule}]"


class Source:
    """One file of the project, by its path from the top of the checkout."""

    def __init__(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self.path = path
        self.data = data
        self.is_executable = bool(mode & 0o100)

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        """A file with that text, for testing a rule."""
        return cls(path, text.encode())

    @property
    def area(self) -> str:
        """The top folder it lies in: `src`, `tests`, …; empty for a file at the top."""
        return self.path.partition("/")[0] if "/" in self.path else ""

    @property
    def is_python(self) -> bool:
        """Whether it is a Python module."""
        return self.path.endswith(".py")

    @property
    def is_markdown(self) -> bool:
        """Whether it is a page of documentation."""
        return self.path.endswith(".md")

    @cached_property
    def text(self) -> str | None:
        """Its text; None for a binary file."""
        try:
            return None if b"\0" in self.data else self.data.decode()
        except UnicodeDecodeError:
            return None

    @cached_property
    def lines(self) -> list[str]:
        """Its lines; none for a binary file."""
        return (self.text or "").splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree; the rules ask only for that of a Python module."""
        assert self.is_python
        return ast.parse(self.text or "", self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of its syntax tree, those above before those below."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> dict[str, str]:
        """Local name to dotted name, for everything that the module imports anywhere."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    @cached_property
    def prose(self) -> tuple[tuple[int, str], ...]:
        """Numbered lines of comments and of strings that stand as statements, as docstrings do."""
        assert self.is_python
        lines: list[tuple[int, str]] = []
        previous = tokenize.NEWLINE
        for token in tokenize.generate_tokens(io.StringIO(self.text or "").readline):
            if token.type == tokenize.COMMENT:
                lines.append((token.start[0], token.string))
            elif token.type == tokenize.STRING and previous == tokenize.NEWLINE:
                lines.extend(enumerate(token.string.splitlines(), token.start[0]))
            if token.type not in STRUCTURE:
                previous = token.type
        return tuple(lines)

    def dotted(self, node: ast.expr) -> str | None:
        """The full name that an expression refers to, through the module's imports.

        `datetime.datetime.now`.
        """
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.dotted(node.value)
            return f"{owner}.{node.attr}" if owner else None
        return None

    def wrong(self, rule: str, line: int, message: str) -> Violation:
        """A violation in this file."""
        return Violation(self.path, line, rule, message)


def project_files(top: Path) -> Iterator[Source]:
    """Every file of the project, in order of paths."""

    def walk(folder: Path) -> Iterator[Source]:
        for entry in sorted(folder.iterdir()):
            path = entry.relative_to(top).as_posix()
            if entry.is_symlink() or path in IGNORED_PATHS or entry.suffix == ".egg-info":
                continue
            if entry.is_dir():
                if entry.name not in IGNORED_FOLDERS:
                    yield from walk(entry)
            elif entry.is_file() and path != ".git":
                yield Source(path, entry.read_bytes(), entry.stat().st_mode)

    return walk(top)
