"""The catalogue store: SQLite on the event loop, one writer, stored bytes served as they are.

Reads answer inline from a connection of their own, in microseconds; a list that no index serves is answered in a
worker thread on a further connection, so that it cannot hold up anyone else. In memory there is one connection for
everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import apsw

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Fatal, HansaError, Unavailable
from hansa.core.limits import Limits
from hansa.store.database import Synchronous, connect, migrate, translated
from hansa.store.query import Parameter, Plan, compile_query
from hansa.store.records import Change, Entity, Page, Query
from hansa.store.schema import MIGRATIONS
from hansa.store.transaction import ENTITY_COLUMNS, Transaction, entity_of
from hansa.store.writer import Writer

SLOW_LISTS_MAX: Final = 2
"""Lists without an index that run at once."""
SLOW_LISTS_WAITING_MAX: Final = 64
IDS_PER_STATEMENT_MAX: Final = 500


class Store:
    """The entities of a marketplace and the feed of what happened to them. Open it with `Store.open`."""

    def __init__(self, path: Path | None, clock: Clock, limits: Limits, synchronous: Synchronous) -> None:
        self._clock = clock
        self._file = path
        self._path = str(path) if path is not None else "The store in memory"
        self._write = connect(path, synchronous=synchronous)
        self._read = self._write
        self._writer = Writer(self._write, self._path, limits.writes_waiting_max)
        self._slow = asyncio.Semaphore(SLOW_LISTS_MAX)
        self._slow_waiting = 0
        self._slow_connections: list[apsw.Connection] = []
        self._heard = asyncio.Event()
        self._last_change = 0

    @classmethod
    async def open(
        cls,
        path: Path | None,
        clock: Clock,
        limits: Limits,
        *,
        synchronous: Synchronous = "full",
        migrations: Sequence[str] = MIGRATIONS,
    ) -> Self:
        """Open a store, made when it is not there; without `path`, in memory.

        Raises:
            Fatal: `Code.STORE_NEWER`, `Code.STORE_DAMAGED` or `Code.DISK_FULL`.
        """
        try:
            with translated(str(path)):
                store = cls(path, clock, limits, synchronous)
                migrate(store._write, store._path, migrations)
                if path is not None:
                    store._read = connect(path, read_only=True)
                ((store._last_change,),) = store.fetch("SELECT ifnull(max(seq), 0) FROM change")
        except apsw.CantOpenError as error:
            raise Fatal(Code.STORE_DAMAGED, f"{path} cannot be opened: check its folder and permissions.") from error
        except Unavailable as error:
            raise Fatal(error.code, error.message) from error
        return store

    async def close(self) -> None:
        """Commit what waits for its commit, and close the file."""
        self._writer.flush()
        for connection in {self._read, *self._slow_connections, self._write}:
            connection.close()

    # -- reading ----------------------------------------------------------------------------------------------

    def fetch(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> list[tuple[Any, ...]]:
        """Run SQL that reads; for modules of `hansa.store` alone."""
        with translated(self._path):
            return self._read.execute(sql, parameters).fetchall()

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier."""
        rows = self.fetch(f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id = ?", (entity_id,))  # noqa: S608 - a constant
        return entity_of(rows[0]) if rows else None

    async def entities(self, entity_ids: Sequence[str]) -> dict[str, Entity]:
        """Those of the entities that are here, by identifier."""
        found: dict[str, Entity] = {}
        for start in range(0, len(entity_ids), IDS_PER_STATEMENT_MAX):
            part = tuple(entity_ids[start : start + IDS_PER_STATEMENT_MAX])
            marks = ", ".join("?" * len(part))
            for row in self.fetch(f"SELECT {ENTITY_COLUMNS} FROM entity WHERE id IN ({marks})", part):  # noqa: S608 - placeholders only
                found[row[0]] = entity_of(row)
        return found

    async def list(self, query: Query) -> Page:
        """A page of the entities of one type, oldest first where the query asks for no order.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many lists without an index are waiting.
        """
        plan = compile_query(query)
        if plan.is_indexed or self._file is None:
            return _page(self._read, plan, self._path)
        if self._slow_waiting >= SLOW_LISTS_WAITING_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many searches without an index are waiting.")
        self._slow_waiting += 1
        try:
            async with self._slow:
                connection = self._slow_connections.pop() if self._slow_connections else connect(self._file, read_only=True)
                try:
                    return await asyncio.to_thread(_page, connection, plan, self._path)
                finally:
                    self._slow_connections.append(connection)
        finally:
            self._slow_waiting -= 1

    async def scan(
        self,
        types: Sequence[str] = (),
        *,
        own_only: bool = False,
        public_only: bool = True,
        after_id: str = "",
        limit: int = 500,
    ) -> tuple[Entity, ...]:
        """Up to `limit` entities in the order of their identifiers, from after one on: the page of a full walk."""
        conditions, values = ["id > ?"], [after_id]
        if types:
            conditions.append(f"type IN ({', '.join('?' * len(types))})")
            values += types
        if own_only:
            conditions.append("origin IS NULL")
        if public_only:
            conditions.append("public = 1")
        rows = self.fetch(
            f"SELECT {ENTITY_COLUMNS} FROM entity WHERE {' AND '.join(conditions)} ORDER BY id LIMIT ?",  # noqa: S608 - placeholders only
            (*values, limit),
        )
        return tuple(map(entity_of, rows))

    async def counts(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (type, is ours, is public)."""
        rows = self.fetch("SELECT type, own, public, sum(count) FROM entity_count GROUP BY type, own, public")
        return {(type_name, bool(own), bool(public)): count for type_name, own, public, count in rows if count}

    async def changes(self, after: int, limit: int) -> tuple[Change, ...]:
        """The feed after a row."""
        rows = self.fetch(
            "SELECT seq, time, entity_id, type, operation, origin FROM change WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return tuple(Change(*row) for row in rows)

    async def last_change(self) -> int:
        """Number of the newest row of the feed; 0 before the first."""
        return self._last_change

    async def wait_for_change(self, after: int) -> None:
        """Return as soon as the feed has a row beyond `after`."""
        while self._last_change <= after:
            await self._heard.wait()

    async def cursor(self, name: str) -> int:
        """Where a cursor stands; 0 when it has not moved yet."""
        rows = self.fetch("SELECT position FROM cursor WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    @property
    def writes_waiting(self) -> int:
        """Transactions that wait for their turn or their commit."""
        return self._writer.waiting

    # -- writing ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction; leaving it waits until it is durable, an exception undoes it.

        Raises:
            Unavailable: `Code.OVERLOADED` or `Code.DISK_FULL`; then nothing was written.
        """
        group = await self._writer.begin()
        transaction = Transaction(self._write, self._path, rfc3339(self._clock.now()))
        try:
            yield transaction
        except BaseException:
            if transaction.failure is not None:
                self._writer.fail(transaction.failure)
            self._writer.end(keep=False)
            raise
        if transaction.failure is not None:
            self._writer.fail(transaction.failure)
        self._writer.end(keep=transaction.failure is None)
        await asyncio.shield(group)
        self._hear(transaction.last_change)

    def _hear(self, last_change: int) -> None:
        if last_change > self._last_change:
            self._last_change = last_change
            self._heard.set()
            self._heard = asyncio.Event()


def _page(connection: apsw.Connection, plan: Plan, path: str) -> Page:
    with translated(path):
        rows: list[tuple[Any, ...]] = connection.execute(plan.page.sql, plan.page.parameters).fetchall()
        total: Any = connection.execute(plan.total.sql, plan.total.parameters).get
    return Page(tuple(body for _, body in rows), tuple(identifier for identifier, _ in rows), total)
