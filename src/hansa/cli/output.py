"""What a command writes, and where: data to stdout, messages to stderr, one JSON document with `--json`.

On a terminal nothing but printable characters is written, wherever a text comes from: a name or a reason of
another party moves no cursor, sets no title and turns no text around. In a file or pipe a text is what it is.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hansa.cli.durations import duration_text
from hansa.core.errors import HansaError, Unavailable

if TYPE_CHECKING:
    from rich.table import Table

ENTRY_MIN_COLUMNS: Final = 20
"""A narrower text is not folded below itself."""
GAP: Final = "  "
"""Between the items of a line."""
WAIT_SHOWN_MIN_S: Final = 60.0
"""Shorter waits are not told: whoever types a command again has waited."""
PLAIN_WIDTH: Final = 200
"""Width of a table where the output is no terminal, in characters: wide enough that no line is folded."""


class Output:
    """Where a command writes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @property
    def is_live(self) -> bool:
        """Whether messages go to a terminal that can show progress."""
        return sys.stderr.isatty() and not self.as_json

    @property
    def width(self) -> int | None:
        """Columns of the terminal that data goes to; None where it goes elsewhere."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def heading(self, line: str) -> None:
        """The names of columns: above data on a terminal; with the messages where a program reads data."""
        (self.data if sys.stdout.isatty() else self.message)(line)

    def data(self, line: str) -> None:
        """A line of data."""
        sys.stdout.write((plain(line) if sys.stdout.isatty() else line) + "\n")
        sys.stdout.flush()

    def items(self, label: str, items: Sequence[str]) -> None:
        """A label and items behind it in one line; on a terminal in the lines that they need, none broken."""
        columns, line = self.width or sys.maxsize, label
        for number, item in enumerate(items):
            if number and len(line) + len(GAP) + len(item) > columns:
                self.data(line)
                line = " " * len(label)
            line += GAP + item
        self.data(line)

    def document(self, content: Any, *, is_indented: bool = True) -> None:
        """A JSON document, or one line of JSON."""
        encoded = msgspec.json.encode(content)
        self.data((msgspec.json.format(encoded, indent=2) if is_indented else encoded).decode())

    def message(self, text: str) -> None:
        """A line for the user, on stderr."""
        sys.stderr.write(folded(text) + "\n")
        sys.stderr.flush()

    def error(self, error: HansaError) -> None:
        """The message of an error, and how long to wait where that is long; with `--json`, on stdout too."""
        self.message(error.message)
        if isinstance(error, Unavailable) and error.retry_after_s > WAIT_SHOWN_MIN_S:
            self.message(f"It may be possible in {duration_text(error.retry_after_s)}.")
        if self.as_json:
            self.document({"error": {"code": str(error.code), "message": error.message}}, is_indented=False)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
        """A table of data."""
        from rich.console import Console

        is_terminal = sys.stdout.isatty()
        console = Console(file=sys.stdout, width=None if is_terminal else PLAIN_WIDTH, highlight=False)
        console.print(table_of(headings, rows, title))

    def facts(self, facts: Mapping[str, str]) -> None:
        """Names and values, one a line."""
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self.entry(f"{name:<{width}}  ", value)

    def entry(self, label: str, text: str) -> None:
        """A label, and a text behind it, which is folded below itself on a terminal."""
        columns = self.width
        if columns is None or columns <= len(label) + ENTRY_MIN_COLUMNS:
            self.data(f"{label}{text}".rstrip())
            return
        lines = textwrap.wrap(text, columns - len(label), break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            self.data(f"{' ' * len(label) if number else label}{line}".rstrip())


def folded(text: str) -> str:
    """A message, folded between words where it goes to a terminal."""
    if not sys.stderr.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    lines = (
        textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False) or [""]
        for line in plain(text).splitlines()
    )
    return "\n".join(part for each in lines for part in each)


def plain(text: str) -> str:
    """A text of which a terminal shows every character, in lines."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in text)


def table_of(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> Table:
    """A table; columns of numbers are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, heading in enumerate(headings):
        is_numeric = bool(rows) and all(is_number(row[index]) for row in rows)
        table.add_column(Text(heading), justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def is_number(text: str) -> bool:
    """Whether a cell holds a number, or the mark of an unknown one."""
    return text in {"", "-"} or text.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()
