"""Group commit: many coroutines write, one commit makes them durable.

Transactions run one after the other on the one writing connection, each in a savepoint, so that one that fails
takes nothing else with it. The first of a group begins the SQLite transaction; what other coroutines write during
the same turn of the event loop joins it, and the next turn commits. Everyone in the group is released after that
commit, or gets its error. With `synchronous=FULL` the commit is where the disk is waited for, so under load the
wait is shared.
"""

from __future__ import annotations

import asyncio
from collections import deque

import apsw

from hansa.core.errors import Code, HansaError, Unavailable
from hansa.store.database import translated


class Writer:
    """The turn-taking on the writing connection."""

    def __init__(self, connection: apsw.Connection, path: str, waiting_max: int) -> None:
        self._connection = connection
        self._path = path
        self._waiting_max = waiting_max
        self._turns: deque[asyncio.Future[None]] = deque()
        self._is_busy = False
        self._in_group = 0
        self._group: asyncio.Future[None] | None = None
        self._commit_handle: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """Transactions that wait for their turn or their commit."""
        return self._in_group + len(self._turns)

    async def begin(self) -> asyncio.Future[None]:
        """Wait for a turn and open a savepoint; the future of the group's commit.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait, `Code.DISK_FULL`.
        """
        if self.waiting >= self._waiting_max:
            raise Unavailable(Code.OVERLOADED, "Too many writes are waiting; try again shortly.")
        if self._is_busy:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_turn()
                raise
        self._is_busy = True
        try:
            with translated(self._path):
                if self._group is None:
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._group = asyncio.get_running_loop().create_future()
                self._connection.execute("SAVEPOINT one")
        except HansaError:
            self._pass_turn()
            raise
        self._in_group += 1
        return self._group

    def end(self, *, keep: bool) -> None:
        """Keep or undo what the running transaction wrote, and let the next one in."""
        try:
            if self._group is not None:
                with translated(self._path):
                    if not keep:
                        self._connection.execute("ROLLBACK TO one")
                    self._connection.execute("RELEASE one")
        except HansaError as error:
            self.fail(error)
            raise
        finally:
            self._pass_turn()

    def fail(self, error: HansaError) -> None:
        """Undo the whole group: SQLite may have rolled it back by itself, as it does when the disk is full."""
        self._finish(error)

    def flush(self) -> None:
        """Commit now what is waiting for its commit."""
        assert not self._is_busy, "a transaction is open"
        if self._group is not None:
            self._commit()

    def _pass_turn(self) -> None:
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._is_busy = False
        if self._group is not None and self._commit_handle is None:
            self._commit_handle = asyncio.get_running_loop().call_soon(self._commit_if_idle)

    def _commit_if_idle(self) -> None:
        self._commit_handle = None
        if not self._is_busy and self._group is not None:
            self._commit()

    def _commit(self) -> None:
        try:
            with translated(self._path):
                self._connection.execute("COMMIT")
        except HansaError as error:
            self._finish(error)
            return
        self._finish(None)

    def _finish(self, error: HansaError | None) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        group, self._group, self._in_group = self._group, None, 0
        if group is None or group.done():
            return
        if error is None:
            group.set_result(None)
        else:
            group.set_exception(error)
            group.exception()  # read once, so that a group nobody waits for is no warning
