"""The domain tables of the store in memory: their portable SQL on a private database, which can be copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import apsw

from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.database.schema import MIGRATIONS

_MAIN: Final = "main"


class MemoryTables:
    """Runs statements (`hansa.store.sql.SqlWrite`)."""

    def __init__(self, image: bytes | None = None) -> None:
        """Make new tables, or a copy of others from their image."""
        self._connection = apsw.Connection(":memory:")
        if image is None:
            for migration in MIGRATIONS:
                self._connection.execute(migration)
        else:
            self._connection.deserialize(_MAIN, image)

    async def fetch(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """The rows of a SELECT."""
        return self._connection.execute(sql, parameters).fetchall()

    async def execute(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        """Run a statement that writes."""
        return self._connection.execute(sql, parameters).fetchall()

    async def execute_many(self, sql: str, runs: Sequence[tuple[Parameter, ...]]) -> None:
        """Run a statement that writes once for each tuple of parameters."""
        self._connection.executemany(sql, runs)

    def copied(self) -> MemoryTables:
        """The same tables once more."""
        return MemoryTables(self._connection.serialize(_MAIN))

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()
