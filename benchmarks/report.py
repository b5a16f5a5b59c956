"""The result of a benchmark, as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from benchmarks.figures import megabytes, milliseconds, rate

Unit = Literal["per second", "seconds", "bytes", "ratio", "count"]

FORMATS: Final[dict[str, Callable[[float], str]]] = {
    "per second": rate,
    "seconds": milliseconds,
    "bytes": lambda value: megabytes(value) if value >= 100_000 else f"{value:,.0f} B",
    "ratio": lambda value: f"{value:.3f}",
    "count": lambda value: f"{value:,.0f}",
}


class Figure(msgspec.Struct, frozen=True):
    """One number. Ratios and rates are medians over the rounds."""

    label: str
    value: float
    unit: Unit

    @property
    def text(self) -> str:
        """As it is written in the table."""
        return "-" if math.isnan(self.value) else FORMATS[self.unit](self.value)


class Row(msgspec.Struct, frozen=True):
    """Everything measured about one thing."""

    name: str
    figures: tuple[Figure, ...]


class Table(msgspec.Struct, frozen=True):
    """Rows that have the same labels."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The table as text."""
        labels = list(dict.fromkeys(figure.label for row in self.rows for figure in row.figures))
        grid = [["", *labels]]
        for row in self.rows:
            cells = {figure.label: figure.text for figure in row.figures}
            grid.append([row.name, *(cells.get(label, "") for label in labels)])
        widths = [max(len(line[column]) for line in grid) for column in range(len(labels) + 1)]
        yield ""
        yield self.title
        yield "-" * max(len(self.title), sum(widths) + 2 * len(labels))
        for line in grid:
            numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
            yield "  ".join([line[0].ljust(widths[0]), *numbers]).rstrip()
        for note in self.notes:
            yield f"  {note}"
