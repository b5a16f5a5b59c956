"""A progress bar on a terminal; nothing where the output is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hansa.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress


class ItemProgress:
    """How many items of some work are done, of `total`; None where the total is not known."""

    def __init__(self, title: str, total: int | None, output: Output) -> None:
        self._output = output
        self._bar = _bar() if output.is_live else None
        self._task = self._bar.add_task(title, total=total) if self._bar is not None else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """So many more items are done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)

    def message(self, text: str) -> None:
        """A message, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._output.message(text)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
    )
