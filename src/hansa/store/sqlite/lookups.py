"""Looks up many values with few statements: SQLite bounds how many parameters one has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

VALUES_PER_STATEMENT_MAX: Final = 500

Execute = Callable[[str, tuple[Any, ...]], Iterable[Any]]
"""What runs SQL and gives its rows."""


def rows_with(
    execute: Execute, select: str, values: Sequence[object], before: tuple[object, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of a SELECT, up to the name of the column that has to have one of some values.

    Args:
        execute: Runs it.
        select: The SELECT.
        values: Of the column.
        before: Parameters that come before them.
    """
    for start in range(0, len(values), VALUES_PER_STATEMENT_MAX):
        part = tuple(values[start : start + VALUES_PER_STATEMENT_MAX])
        yield from execute(f"{select} IN ({', '.join('?' * len(part))})", (*before, *part))
