"""SQL as the domain tables write it: portable, with `?` for parameters. For modules of `hansa.store` alone.

The statements of `hansa.store.tables` keep to what SQLite (3.39) and PostgreSQL (15) both run with the same
meaning: `coalesce`, `ON CONFLICT (columns) DO UPDATE SET … = excluded.…`, `RETURNING`, `IS DISTINCT FROM`,
every column of a result aggregated or grouped by, truth values as the integers 0 and 1, times as text, keys
as bytes. An implementation translates the parameters where its driver numbers them. The tables themselves,
with their triggers, are each engine's own (`hansa.store.sqlite.database.schema`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

Parameter = str | int | float | bytes | None
Row = tuple[Any, ...]

VALUES_PER_STATEMENT_MAX: Final = 500
"""Engines bound the number of parameters of a statement."""


class SqlRead(Protocol):
    """What runs statements that read."""

    async def fetch(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """The rows of a SELECT.

        Raises:
            Unavailable: the store cannot be read.
            Fatal: the data are damaged.
        """


class SqlWrite(SqlRead, Protocol):
    """What runs statements within a transaction; `fetch` reads what the transaction wrote."""

    async def execute(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run a statement that writes; its rows, where it says RETURNING.

        Raises:
            Unavailable: the store cannot be written; this is final for the transaction.
        """

    async def execute_many(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        """Run a statement that writes once for each tuple of parameters.

        Raises:
            Unavailable: the store cannot be written; this is final for the transaction.
        """


class Readable(Protocol):
    """A store or a transaction."""

    @property
    def sql(self) -> SqlRead:
        """The domain tables."""


def statements_for(
    select: str, values: Sequence[Parameter], before: tuple[Parameter, ...] = ()
) -> Iterator[tuple[str, tuple[Parameter, ...]]]:
    """The SELECTs and their parameters for many values of a column, as few as the bound on parameters allows.

    The numbers of parameters are powers of two, the last value being named several times, so that SQLite
    translates few different statements.

    Args:
        select: The SELECT, up to the name of the column that must have one of the values.
        values: Of that column.
        before: Parameters that come before them.
    """
    for start in range(0, len(values), VALUES_PER_STATEMENT_MAX):
        part = values[start : start + VALUES_PER_STATEMENT_MAX]
        count = min(1 << (len(part) - 1).bit_length(), VALUES_PER_STATEMENT_MAX)
        repeated = (part[-1],) * (count - len(part))
        yield f"{select} IN ({placeholders(count)})", (*before, *part, *repeated)


def insert(table: str, columns: Sequence[str]) -> str:
    """The INSERT of one row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placeholders(len(columns))})"  # noqa: S608 - names of ours


def upsert(table: str, columns: Sequence[str], key: Sequence[str], *others: str) -> str:
    """The INSERT of a row that replaces what another one of the same key has in its other columns.

    Args:
        table: Its name.
        columns: Those of the row.
        key: Those that are unique together.
        others: Assignments for columns that the row does not name, as `attempts = 0`.
    """
    replaced = [f"{column} = excluded.{column}" for column in columns if column not in key]
    return f"{insert(table, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join((*replaced, *others))}"


def placeholders(count: int) -> str:
    """So many parameters, for a list of values."""
    return ", ".join("?" * count)
