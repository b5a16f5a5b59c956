"""Group commit: many coroutines write, one commit makes them durable.

Transactions run one after the other on the one writing connection, each in a savepoint, so that one that fails
takes nothing else with it. The first of a group begins the SQLite transaction; what other coroutines write during
the same turn of the event loop joins it; then it is committed. Everyone in the group is released after that commit,
or gets its error. With `synchronous=FULL` the commit is where the disk is waited for, so under load the wait is
shared.

States: *idle* (no group), *open* (a group without a running transaction: its commit is due at the end of this turn
of the loop), *running* (a transaction has the connection, others queue for their turn). A transaction that waits
for something else than the store while it runs holds up every other: its body should not.

Failure: an error of SQLite within a transaction undoes that transaction, unless SQLite itself has already undone
the whole group (it may, when the disk is full); then the whole group gets the error. Nobody is told that a write is
durable before the commit returned.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType

import apsw

from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.store.attributes import AttributePath
from hansa.store.database import as_ours
from hansa.store.transaction import Transaction


class Writer:
    """The turn-taking on the writing connection."""

    def __init__(
        self, connection: apsw.Connection, path: str, waiting_max: int, committed: Callable[[int], None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._waiting_max = waiting_max
        self._committed = committed
        self._turns: deque[asyncio.Future[None]] = deque()
        self._owner: asyncio.Task[object] | None = None
        self._is_running = False
        self._is_closed = False
        self._group: asyncio.Future[HansaError | None] | None = None
        self._group_size = 0
        self._group_last_change = 0

    @property
    def waiting(self) -> int:
        """Transactions that run, or wait for their turn or their commit."""
        return self._group_size + len(self._turns)

    async def begin(self) -> asyncio.Future[HansaError | None]:
        """Wait for a turn and open a savepoint. The future is done after the group's commit, with its error.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait; `Code.DISK_FULL`; `Code.UNAVAILABLE`.
        """
        assert not self._is_running or self._owner is not asyncio.current_task(), (
            "a transaction within a transaction would wait for itself"
        )
        if self.waiting >= self._waiting_max:
            raise Unavailable(Code.OVERLOADED, "Too many writes are waiting; try again shortly.")
        if self._is_running:
            await self._turn()
        if self._is_closed:
            self._pass_turn()
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        self._is_running = True
        self._owner = asyncio.current_task()
        try:
            if self._group is None:
                self._connection.execute("BEGIN IMMEDIATE")
                self._group = asyncio.get_running_loop().create_future()
            self._connection.execute("SAVEPOINT one")
        except apsw.Error as error:
            self._pass_turn()
            raise as_ours(error, self._path) from error
        self._group_size += 1
        return self._group

    def keep(self, last_change: int) -> None:
        """The running transaction is complete: it will be committed with its group."""
        self._group_last_change = max(self._group_last_change, last_change)
        try:
            self._connection.execute("RELEASE one")
        except apsw.Error as error:
            self._finish(error)
        self._pass_turn()

    def undo(self, reason: BaseException) -> None:
        """The running transaction is void, and the whole group if SQLite has undone it already."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO one")
                self._connection.execute("RELEASE one")
                self._group_size -= 1
            else:
                self._finish(reason)
        except apsw.Error as error:
            self._finish(error)
        self._pass_turn()

    async def close(self) -> None:
        """Let the running transaction end and commit; whoever comes later is refused."""
        if self._is_running:
            await self._turn()
        self._is_closed = True
        if self._group is not None:
            self._commit()
        self._pass_turn()

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_turn()
            raise

    def _pass_turn(self) -> None:
        self._owner = None
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                self._is_running = True
                turn.set_result(None)
                return
        self._is_running = False
        if self._group is not None:
            asyncio.get_running_loop().call_soon(self._commit_if_open, self._group)

    def _commit_if_open(self, group: asyncio.Future[HansaError | None]) -> None:
        if group is self._group and not self._is_running:
            self._commit()

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the group has to hear it
            self._finish(error)
        else:
            self._finish(None)

    def _finish(self, reason: BaseException | None) -> None:
        """End the group, with the reason why nothing of it was written or None when it is durable."""
        group, last_change = self._group, self._group_last_change
        self._group, self._group_size, self._group_last_change = None, 0, 0
        if reason is None:
            self._committed(last_change)
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if group is not None:
            group.set_result(None if reason is None else _told(reason, self._path))


def _told(reason: BaseException, path: str) -> HansaError:
    known = as_ours(reason, path) if isinstance(reason, apsw.Error) else reason
    if isinstance(known, HansaError):
        return known
    return Unavailable(Code.UNAVAILABLE, "The write was undone because the store failed; try again.")


class TransactionScope:
    """What `Store.transaction` gives: a transaction from entering to the durable commit on leaving."""

    def __init__(
        self,
        writer: Writer,
        connection: apsw.Connection,
        path: str,
        clock: Clock,
        indexed_paths: tuple[AttributePath, ...],
    ) -> None:
        self._writer = writer
        self._connection = connection
        self._path = path
        self._clock = clock
        self._indexed_paths = indexed_paths

    async def __aenter__(self) -> Transaction:
        self._group = await self._writer.begin()
        self._transaction = Transaction(
            self._connection, self._path, rfc3339(self._clock.now()), self._indexed_paths
        )
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        transaction = self._transaction
        transaction.is_open = False
        reason = transaction.failure or error
        if reason is not None:
            self._writer.undo(reason)
            if error is None:
                raise reason
            return
        self._writer.keep(transaction.last_change)
        # Cancelling one that waits must not cancel the others' commit.
        failure = self._group.result() if self._group.done() else await asyncio.shield(self._group)
        if failure is not None:
            raise failure
