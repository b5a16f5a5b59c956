"""Group commit: many coroutines write, one commit makes them durable.

Transactions run one after the other on the one writing connection (`hansa.store.sqlite.commit.write_lock`).
The first of a group begins the SQLite transaction; what other coroutines write joins it, until a turn of the
event loop passes in which nobody has joined, or the group is full; then it is committed, with the counts that
the whole group changed. Everyone in the group is released after that commit, or gets its error. With
`synchronous=FULL` the commit is where the disk is waited for, so under load the wait is shared. The commit of
more than a few is done by a thread: meanwhile the loop reads, checks and answers other requests, and those
who wait for their turn take it together as soon as the thread is done. That is why a group is full at a
number that many clients reach: half of them get ready while the other half is committed. Handing over a small
group would take longer than its commit.

Who only creates an entity under an identifier made just now needs nothing from SQLite until the commit. So it
waits for no
turn: it *joins* the group that is open, even while the one before is being committed, or while a transaction
    runs. Its numbers are given away and it is a member within one step of the loop; so whatever is committed
    later has higher numbers in the feed, and a reader of the feed misses nothing.

One that fails takes nothing else with it. There is no savepoint for that: SQLite would copy every page that a
transaction touches, which costs as much as the writing itself, and a transaction that has written hardly ever
fails. Instead each member of a group notes its statements. Rows that it inserts wait for the others'
(`hansa.store.sqlite.commit.group`); when it fails before they were inserted, they are left out. When one
fails after SQLite has written for it, the whole group is rolled back and the statements of the others are run
once more, in their order: on the same state, by the only writer, they do the same.

States: *idle* (no group), *open* (a group without a running transaction: its commit is due unless it grows),
    *running* (a transaction, or the commit in its thread, has the connection; others queue for their turn).
    While a group is committed, the next one is already open to those who join; SQLite begins it when the
    connection is free. A transaction that waits for something else than the store while it runs holds up
    every other: its body should not.

Failure: an error of SQLite within a transaction undoes that transaction. When SQLite has thereby undone the
    whole group (it does when the disk is full), the others' statements are run again too; when they fail, the
    whole group gets the error. Nobody is told that a write is durable before the commit returned.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Final

import apsw
import msgspec

from hansa.core.batching import BATCH_SIZE_MAX, BatchGrowth
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.store.index.extraction import Indexes
from hansa.store.sqlite.commit.group import Changes, CollectionCache, CommitGroup, RowNumbers
from hansa.store.sqlite.commit.thread import CommitThread
from hansa.store.sqlite.commit.transaction import SqliteTransaction
from hansa.store.sqlite.commit.write_lock import WriteLock
from hansa.store.sqlite.connection import as_ours
from hansa.store.sqlite.index_tail import IndexTail
from hansa.store.sqlite.totals import Delta, Totals

THREAD_MEMBERS_MIN: Final = 4
"""From so many on, a group is committed in a thread."""
GROUP_MEMBERS_MAX: Final = BATCH_SIZE_MAX
"""A group of so many is committed at once when a thread does it: meanwhile the loop gets the next one ready."""


Member = tuple[Changes, "asyncio.Future[HansaError | None]"]
"""What a transaction wrote, and who waits for its commit."""

_within: ContextVar[TransactionScope | None] = ContextVar("transaction", default=None)
"""The transaction that a task has begun last."""


class GroupWriter:
    """The turn-taking on the writing connection."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        waiting_max: int,
        totals: Totals,
        tail: IndexTail,
        opening: Callable[[], None],
        commit: Callable[[], None],
        committed: Callable[[int, Iterable[str]], None],
        *,
        has_thread: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = CommitThread(commit, self._loop) if has_thread else None
        self._connection = connection
        self._path = path
        self._waiting_max = waiting_max
        self._totals = totals
        self._tail = tail
        self._opening = opening
        self._commit_durably = commit
        self._committed = committed
        self._turns = WriteLock(self._freed, self._room)
        self._owner: TransactionScope | None = None
        self._is_closed = False
        self.known = CollectionCache()
        self._numbers = RowNumbers(connection)
        self._group: CommitGroup | None = None
        self._is_due = False
        # Full groups are committed at once, where that is of use: growth alone decides here.
        self._growth = BatchGrowth(size_max=sys.maxsize)
        self._members: list[Member] = []
        """Of the group that is open."""
        self._committing: list[Member] = []
        """Of the one before it."""

    @property
    def waiting(self) -> int:
        """Transactions that run, or wait for their turn or their commit."""
        return len(self._members) + len(self._committing) + len(self._turns)

    @property
    def is_within(self) -> bool:
        """Whether whoever asks is within the running transaction."""
        return self._owner is not None and _within.get() is self._owner

    async def begin(self, scope: TransactionScope) -> CommitGroup:
        """Wait for a turn; the group to write in.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait; `Code.DISK_FULL`; `Code.UNAVAILABLE`.
        """
        assert not self.is_within, "a transaction within a transaction would wait for itself"
        self._check_room()
        await self._turns.take()
        if self._is_closed:
            self._turns.release()
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        self._owner = scope
        _within.set(scope)
        try:
            group = self._gathering()
            self._begin(group)
        except apsw.Error as error:
            self._release()
            raise as_ours(error, self._path) from error
        return group

    def _gathering(self) -> CommitGroup:
        """The group that is open."""
        if self._group is None:
            self.known.shrink(id for written, _ in self._committing for id in written.ids)
            self._group = CommitGroup(self._connection, self.known, self._numbers)
        return self._group

    def gathering(self) -> CommitGroup:
        """The same for one who only creates and waits for no turn, since nothing has to be read for it.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait; `Code.UNAVAILABLE` at closing.
        """
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        self._check_room()
        return self._gathering()

    def join(self, written: Changes, committed: asyncio.Future[HansaError | None]) -> None:
        """What was created in the open group is complete. The future is done after its commit, with its error."""
        self._add(written, committed)
        if not (self._turns.is_taken or self._turns.is_called):
            self._freed()

    def keep(self, written: Changes) -> asyncio.Future[HansaError | None]:
        """The running transaction is complete. The future is done after the commit of its group, with its error."""
        committed: asyncio.Future[HansaError | None] = self._loop.create_future()
        self._add(written, committed)
        self._release()
        return committed

    def _add(self, written: Changes, committed: asyncio.Future[HansaError | None]) -> None:
        assert self._group is not None, "whoever has written has done so in a group"
        self._members.append((written, committed))
        self._group.tail.update(written.tail)

    def undo(self, void: Changes, *, has_run: bool) -> None:
        """The running transaction is void: bring back the state before it."""
        group = self._group
        assert group is not None, "a transaction runs in a group"
        group.drop(void)
        is_undone = not self._connection.in_transaction  # SQLite may have done so itself
        try:
            if has_run and not is_undone:
                self._connection.execute("ROLLBACK")
            if has_run or is_undone:
                self._connection.execute("BEGIN IMMEDIATE")
                group.repeat(written for written, _ in self._members)
        except apsw.Error as error:
            self._end_group()
            self._finish(error)
        else:
            self._release()

    async def close(self) -> None:
        """Let the running transaction end and commit; whoever comes later is refused."""
        await self._turns.take()
        self._is_closed = True
        if self._group is not None:
            self._commit(is_last=True)
        else:
            self._turns.release()
        if self._thread is not None:
            self._thread.close()

    def _release(self) -> None:
        """A transaction is over."""
        self._owner = None
        if self._thread is not None and len(self._members) >= GROUP_MEMBERS_MAX:
            self._commit()
        else:
            self._turns.release()

    def _room(self) -> int:
        """How many more the group takes."""
        return max(1, GROUP_MEMBERS_MAX - len(self._members))

    def _freed(self) -> None:
        """Nobody has the connection or waits for it."""
        if self._group is None:
            return
        if self._thread is not None and len(self._members) >= GROUP_MEMBERS_MAX:
            self._turns.is_taken = True
            self._commit()
        elif not self._is_due:
            self._is_due = True
            self._growth.restart(0)
            self._loop.call_soon(self._commit_unless_growing)

    def _commit_unless_growing(self) -> None:
        """Commit, unless others have joined during this turn of the loop: then more may join during the next."""
        self._is_due = False
        if self._group is None or self._turns.is_taken or self._turns.is_called:
            return
        if self._growth.is_growing(len(self._members)):
            self._is_due = True
            self._loop.call_soon(self._commit_unless_growing)
        else:
            self._turns.is_taken = True
            self._commit()

    def _insert(self, group: CommitGroup) -> None:
        """Insert what waits. Those because of whom that fails leave the group with their error."""
        with suppress(apsw.Error):
            group.flush()
        if not group.is_spoilt:
            return
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")
        failed = group.repeat_possible([written for written, _ in self._members])
        for place, error in failed.items():
            if self._members[place][0].tail_after is not None:
                raise error  # where the tail of the index begins is a premise of all others
            _tell(self._members[place][1], _told(error, self._path))
        self._members = [one for place, one in enumerate(self._members) if place not in failed]

    def _commit(self, *, is_last: bool = False) -> None:
        """Commit, for one who has the connection."""
        assert self._group is not None, "there is a group to commit"
        deltas: list[Delta] = []
        try:
            self._begin(self._group)
            self._insert(self._group)
            deltas += (delta for written, _ in self._members for delta in written.deltas)
            for (collection, own, public, status), count in self._totals.changed(deltas).items():
                self._connection.execute(
                    "INSERT INTO entity_count VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count",
                    (collection, own, public, msgspec.json.encode(status).decode(), count),
                )
            self._end_group()
            if self._thread is not None and len(self._committing) >= THREAD_MEMBERS_MIN and not is_last:
                self._thread.start(partial(self._committed_by_thread, deltas))
                return
            self._commit_durably()
        except Exception as error:  # noqa: BLE001 - whatever it is, the group has to hear it
            self._end_group()
            self._finish(error)
        else:
            self._note_durable(deltas)

    def _begin(self, group: CommitGroup) -> None:
        if not group.has_begun:
            self._opening()
            group.begin(self._tail)

    def _end_group(self) -> None:
        """Whoever comes from now on is a member of the next group."""
        if self._group is not None:
            self._group, self._committing, self._members = None, self._members, []

    def _check_room(self) -> None:
        if self.waiting >= self._waiting_max:
            raise Unavailable(Code.OVERLOADED, "Too many writes are waiting.")

    def _committed_by_thread(self, deltas: list[Delta], reason: BaseException | None) -> None:
        if reason is None:
            self._note_durable(deltas)
        else:
            self._finish(reason)

    def _note_durable(self, deltas: list[Delta]) -> None:
        last_change = max((written.last_change for written, _ in self._committing), default=0)
        self._totals.apply(deltas, last_change)
        for written, _ in self._committing:
            if written.tail_after is not None:
                self._tail.cut(written.tail_after)
            self._tail.follow(written.tail)
        self._finish(None, last_change)

    def _finish(self, reason: BaseException | None, last_change: int = 0) -> None:
        """End the group, with the reason why nothing of it was written or None when it is durable, and pass the turn on.

        Who waits for the connection goes before those who wait for this commit, so that the next one begins
        early.
        """
        self._owner = None
        members, self._committing = self._committing, []
        if reason is None:
            self._committed(last_change, (id for written, _ in members for id in written.ids))
        else:
            self.known.forget(id for written, _ in members for id in written.ids)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            # A gap in the numbers does no harm: it remains where others have taken some after these, or
            # nobody can read.
            if self._group is None:
                with suppress(apsw.Error):
                    self._numbers = RowNumbers(self._connection)
        self._turns.release()
        told = None if reason is None else _told(reason, self._path)
        for _, committed in members:
            _tell(committed, told)


def _tell(committed: asyncio.Future[HansaError | None], told: HansaError | None) -> None:
    if not committed.done():  # who waited may have been cancelled
        committed.set_result(told)


def _told(reason: BaseException, path: str) -> HansaError:
    known = as_ours(reason, path) if isinstance(reason, apsw.Error) else reason
    if isinstance(known, HansaError):
        return known
    return Unavailable(Code.UNAVAILABLE, "The write was undone because the store failed.")


class TransactionScope:
    """What `Store.transaction` gives: a transaction from entering to the durable commit on leaving."""

    def __init__(self, writer: GroupWriter, path: str, clock: Clock, indexes: Indexes) -> None:
        self._writer = writer
        self._path = path
        self._clock = clock
        self._indexes = indexes

    async def __aenter__(self) -> SqliteTransaction:
        group = await self._writer.begin(self)
        self._transaction = SqliteTransaction(group, self._path, self._clock, self._indexes)
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        transaction = self._transaction
        transaction.is_open = False
        _within.set(None)
        reason = transaction.failure or error
        if reason is not None:
            self._writer.undo(transaction.written, has_run=transaction.has_run)
            if error is None:
                raise reason
            return
        failure = await self._writer.keep(transaction.written)
        if failure is not None:
            raise failure
