"""Who writes on the one connection, and when a group is committed; the package describes the whole."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Final, Protocol

import apsw
import msgspec

from hansa.core.batching import BATCH_SIZE_MAX, BatchGrowth
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.store.index.extraction import Indexes
from hansa.store.sql import Parameter
from hansa.store.sqlite.changes import Delta
from hansa.store.sqlite.commit import added_rows
from hansa.store.sqlite.commit.added_rows import Run
from hansa.store.sqlite.commit.group import Changes, CollectionCache, CommitGroup, RowNumbers
from hansa.store.sqlite.commit.reference_index import ReferenceTail
from hansa.store.sqlite.commit.thread import CommitThread
from hansa.store.sqlite.commit.transaction import SqliteTransaction
from hansa.store.sqlite.commit.write_lock import WriteLock
from hansa.store.sqlite.database.connection import as_ours
from hansa.store.sqlite.index_tail import IndexTail
from hansa.store.sqlite.totals import Totals

THREAD_MEMBERS_MIN: Final = 4
"""A group of so many members or more is committed in a thread."""
GROUP_MEMBERS_MAX: Final = BATCH_SIZE_MAX
"""A full group. With a thread it is committed at once: meanwhile the loop prepares the next one."""

_PUT_COUNT: Final = (
    "INSERT INTO entity_count VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count"
)
_SELECT_PENDING: Final = "SELECT id FROM entity WHERE pending IS NOT NULL"


class CommitDurably(Protocol):
    """Commits, in whichever thread."""

    def __call__(self, runs: Sequence[Run] = ()) -> None:
        """Commit what SQLite has begun or, where it has begun nothing, these statements alone.

        Raises what SQLite raises.
        """


Member = tuple[Changes, "asyncio.Future[HansaError | None]"]
"""What a transaction wrote, and the future that is completed after its commit, with its error."""

_current: ContextVar[TransactionScope | None] = ContextVar("transaction", default=None)
"""The transaction that a task has begun last."""


class GroupWriter:
    """Lets transactions write one after the other, and commits their groups."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        waiting_max: int,
        totals: Totals,
        index_tail: IndexTail,
        reference_tail: ReferenceTail,
        before_begin: Callable[[], None],
        commit: CommitDurably,
        on_commit: Callable[[int, Iterable[str]], None],
        *,
        has_thread: bool,
    ) -> None:
        """A writer without a group.

        Args:
            connection: The one that writes.
            path: Of the file, for messages.
            waiting_max: More members and transactions that wait are refused.
            totals: Follow every commit.
            index_tail: Follows every commit.
            reference_tail: Follows every write.
            before_begin: Called before SQLite begins a transaction.
            commit: Commits durably.
            on_commit: Called after each commit, with the newest row of the feed (0: none was written) and the
                identifiers of the entities that were written.
            has_thread: Commits of many members run in a thread.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = CommitThread(self._loop) if has_thread else None
        self._connection = connection
        self._path = path
        self._waiting_max = waiting_max
        self._totals = totals
        self._index_tail = index_tail
        self._reference_tail = reference_tail
        self._before_begin = before_begin
        self._commit_durably = commit
        self._on_commit = on_commit
        self._write_lock = WriteLock(self._on_free_lock, self._room)
        self._owner: TransactionScope | None = None
        self._is_closed = False
        added_rows.prepare(connection)
        self.collections = CollectionCache()
        self.collections.pending.update(entity_id for (entity_id,) in connection.execute(_SELECT_PENDING))
        self._numbers = RowNumbers(connection)
        self._group: CommitGroup | None = None
        self._is_commit_scheduled = False
        # Full groups are committed at once, where that is of use: growth alone decides here.
        self._growth = BatchGrowth(size_max=sys.maxsize)
        self._members: list[Member] = []
        """Of the group that is open."""
        self._committing: list[Member] = []
        """Of the one before it."""

    @property
    def last_entity(self) -> int:
        """The number of the newest entity, also where its commit is under way."""
        return self._numbers.last[0]

    @property
    def waiting(self) -> int:
        """Transactions and creates that run, or wait for the lock or their commit."""
        return len(self._members) + len(self._committing) + len(self._write_lock)

    @property
    def is_within(self) -> bool:
        """Whether the caller is within the running transaction."""
        return self._owner is not None and _current.get() is self._owner

    async def begin(self, scope: TransactionScope) -> CommitGroup:
        """Wait for the write lock; the group to write in.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait; `Code.DISK_FULL`; `Code.UNAVAILABLE`.
        """
        assert not self.is_within, "a transaction within a transaction would wait for itself"
        self._check_room()
        await self._write_lock.acquire()
        if self._is_closed:
            self._write_lock.release()
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        self._owner = scope
        _current.set(scope)
        try:
            group = self._opened_group()
            self._begin_group(group)
        except apsw.Error as error:
            self._end_transaction()
            raise as_ours(error, self._path) from error
        return group

    def _opened_group(self) -> CommitGroup:
        """The open group; a new one where there is none."""
        if self._group is None:
            self.collections.shrink(id for changes, _ in self._committing for id in changes.entity_ids)
            self._group = CommitGroup(self._connection, self.collections, self._numbers, self._reference_tail)
        return self._group

    def group_for_create(self) -> CommitGroup:
        """The open group for a create, which waits for no lock, since nothing has to be read for it.

        Raises:
            Unavailable: `Code.OVERLOADED` when too many wait; `Code.UNAVAILABLE` at closing.
        """
        if self._is_closed:
            raise Unavailable(Code.UNAVAILABLE, "The catalogue store is closing.")
        self._check_room()
        return self._opened_group()

    def add_create(self, changes: Changes, committed: asyncio.Future[HansaError | None]) -> None:
        """A create in the open group is complete; the future is completed after the commit."""
        self._add_member(changes, committed)
        if not (self._write_lock.is_locked or self._write_lock.has_woken):
            self._on_free_lock()

    def complete(self, changes: Changes) -> asyncio.Future[HansaError | None]:
        """The running transaction is complete. The future is completed after its commit, with its error."""
        committed: asyncio.Future[HansaError | None] = self._loop.create_future()
        self._add_member(changes, committed)
        self._end_transaction()
        return committed

    def _add_member(self, changes: Changes, committed: asyncio.Future[HansaError | None]) -> None:
        assert self._group is not None, "what was written is in a group"
        self._members.append((changes, committed))
        self._group.tail_rows.update(changes.index_rows)

    def undo(self, changes: Changes, *, has_run: bool) -> asyncio.Future[HansaError | None] | None:
        """The running transaction is void: restore the state before it.

        Args:
            changes: What it wrote.
            has_run: SQLite has executed something for it.

        Returns:
            Is completed after the commit of what it may have read, with its error; None: that is durable.
        """
        group = self._group
        assert group is not None, "a transaction runs in a group"
        group.discard(changes)
        is_undone = not self._connection.in_transaction  # SQLite may have done so itself
        try:
            if has_run and not is_undone:
                self._connection.execute("ROLLBACK")
            if has_run or is_undone:
                self._connection.execute("BEGIN IMMEDIATE")
                group.replay(others for others, _ in self._members)
        except apsw.Error as error:
            read: asyncio.Future[HansaError | None] = self._loop.create_future()
            read.set_result(_as_hansa_error(error, self._path) if self._members else None)
            self._close_group()
            self._release_members(error)
            return read
        if self._members:
            return self.complete(group.new_changes())
        self._end_transaction()
        return None

    async def close(self) -> None:
        """Let the running transaction end and commit; everything that follows is refused."""
        await self._write_lock.acquire()
        self._is_closed = True
        if self._group is not None:
            self._commit(is_last=True)
        else:
            self._write_lock.release()
        if self._thread is not None:
            self._thread.close()

    def _end_transaction(self) -> None:
        """A transaction has ended."""
        assert self._write_lock.is_locked, "a transaction holds the lock to its end"
        self._owner = None
        if self._thread is not None and len(self._members) >= GROUP_MEMBERS_MAX:
            self._commit()
        else:
            self._write_lock.release()

    def _room(self) -> int:
        """How many more members the group has room for."""
        return max(1, GROUP_MEMBERS_MAX - len(self._members))

    def _on_free_lock(self) -> None:
        """Nobody holds the lock or waits for it."""
        if self._group is None:
            return
        if self._thread is not None and len(self._members) >= GROUP_MEMBERS_MAX:
            self._write_lock.acquire_free()
            self._commit()
        elif not self._is_commit_scheduled:
            self._is_commit_scheduled = True
            self._growth.restart(0)
            self._loop.call_soon(self._commit_unless_growing)

    def _commit_unless_growing(self) -> None:
        """Commit, unless others have joined during this turn of the loop: more may join in the next."""
        self._is_commit_scheduled = False
        if self._group is None or self._write_lock.is_locked or self._write_lock.has_woken:
            return
        if self._growth.is_growing(len(self._members)):
            self._is_commit_scheduled = True
            self._loop.call_soon(self._commit_unless_growing)
        else:
            self._write_lock.acquire_free()
            self._commit()

    def _replayed(self, group: CommitGroup, members: Sequence[Member]) -> list[Member]:
        """Have SQLite begin anew; members whose rows cannot be inserted leave the group with their error.

        So do those after them that have only read: it may have been these rows.
        """
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN IMMEDIATE")
        failures = group.replay_each([changes for changes, _ in members])
        for place in range(min(failures, default=len(members)) + 1, len(members)):
            if not members[place][0].statements:
                failures.setdefault(place, failures[min(failures)])
        for place, error in failures.items():
            if members[place][0].tail_moved_to is not None:
                raise error  # where the tail of the index begins is a premise of all others
            _complete(members[place][1], _as_hansa_error(error, self._path))
        return [one for place, one in enumerate(members) if place not in failures]

    def _commit(self, *, is_last: bool = False) -> None:
        """Commit the open group; the caller holds the write lock."""
        group = self._group
        assert group is not None, "there is a group to commit"
        assert self._write_lock.is_locked, "whoever commits holds the lock"
        thread = self._thread if len(self._members) >= THREAD_MEMBERS_MIN and not is_last else None
        deltas: list[Delta] = []
        try:
            if thread is not None and not group.has_begun:
                self._commit_creates(group, thread)
                return
            self._begin_group(group)
            with suppress(apsw.Error):
                group.flush()
            if group.has_failed_insert:
                self._members = self._replayed(group, self._members)
            deltas, counts = self._counts_after(self._members)
            self._connection.executemany(_PUT_COUNT, counts)
            self._close_group()
            if thread is not None:
                thread.start(self._commit_durably, partial(self._on_thread_end, deltas))
                return
            self._commit_durably()
        except Exception as error:  # noqa: BLE001 - whatever it is, the group has to learn it
            self._close_group()
            self._release_members(error)
        else:
            self._apply_commit(deltas)

    def _commit_creates(self, group: CommitGroup, thread: CommitThread) -> None:
        """Have the thread insert and commit a group of which SQLite knows nothing: it is creates alone."""
        self._before_begin()
        deltas, counts = self._counts_after(self._members)
        rows = [row for changes, _ in self._members for _, runs in changes.statements for row in runs]
        assert len(rows) == len(deltas), "a create adds one entity"
        self._close_group()
        commit = partial(self._commit_durably, added_rows.together(rows, counts))
        thread.start(commit, partial(self._on_creates_end, group, deltas))

    def _on_creates_end(self, group: CommitGroup, deltas: list[Delta], reason: BaseException | None) -> None:
        if not isinstance(reason, apsw.Error):
            self._on_thread_end(deltas, reason)
            return
        try:  # nothing was written; one of them may be the reason, and the others are not to suffer from it
            self._committing = self._replayed(group, self._committing)
            deltas, counts = self._counts_after(self._committing)
            self._connection.executemany(_PUT_COUNT, counts)
            self._commit_durably()
        except Exception as error:  # noqa: BLE001 - whatever it is, the group has to learn it
            self._release_members(error)
        else:
            self._apply_commit(deltas)

    def _counts_after(self, members: Iterable[Member]) -> tuple[list[Delta], list[tuple[Parameter, ...]]]:
        """What the commit of some members changes, and the rows of `entity_count` after it."""
        deltas = [delta for changes, _ in members for delta in changes.deltas]
        return deltas, [
            (collection, own, public, msgspec.json.encode(status).decode(), count)
            for (collection, own, public, status), count in self._totals.changed(deltas).items()
        ]

    def _begin_group(self, group: CommitGroup) -> None:
        if not group.has_begun:
            self._before_begin()
            group.begin(self._index_tail)

    def _close_group(self) -> None:
        """Creates and transactions that follow are members of the next group."""
        if self._group is not None:
            assert not self._committing, "one group is committed after the other"
            self._group, self._committing, self._members = None, self._members, []

    def _check_room(self) -> None:
        if self.waiting >= self._waiting_max:
            raise Unavailable(Code.OVERLOADED, "Too many writes are waiting.")

    def _on_thread_end(self, deltas: list[Delta], reason: BaseException | None) -> None:
        if reason is None:
            self._apply_commit(deltas)
        else:
            self._release_members(reason)

    def _apply_commit(self, deltas: list[Delta]) -> None:
        """A group is durable: totals and the tail of the index follow, and its members are released."""
        last_change = max((changes.last_change for changes, _ in self._committing), default=0)
        self._totals.apply(deltas, last_change)
        for changes, _ in self._committing:
            if changes.tail_moved_to is not None:
                self._index_tail.cut(changes.tail_moved_to)
            self._index_tail.follow(changes.index_rows)
        self._release_members(None, last_change)

    def _release_members(self, reason: BaseException | None, last_change: int = 0) -> None:
        """Complete the futures of a group and release the write lock.

        Transactions that wait for the lock run before the members of this group, so that the next one begins
        early.

        Args:
            reason: Why nothing of the group was written; None when it is durable.
            last_change: The newest row of the feed that it wrote; 0 when it wrote none.
        """
        self._owner = None
        members, self._committing = self._committing, []
        if reason is None:
            self._on_commit(last_change, (id for changes, _ in members for id in changes.entity_ids))
        else:
            self.collections.discard(id for changes, _ in members for id in changes.entity_ids)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            # A gap in the numbers does no harm: one remains where others were allocated after these, or the
            # numbers cannot be read.
            if self._group is None:
                with suppress(apsw.Error):
                    self._numbers = RowNumbers(self._connection)
        self._write_lock.release()
        error = None if reason is None else _as_hansa_error(reason, self._path)
        for _, committed in members:
            _complete(committed, error)


def _complete(committed: asyncio.Future[HansaError | None], error: HansaError | None) -> None:
    if not committed.done():  # the caller may have been cancelled
        committed.set_result(error)


def _as_hansa_error(reason: BaseException, path: str) -> HansaError:
    known = as_ours(reason, path) if isinstance(reason, apsw.Error) else reason
    if isinstance(known, HansaError):
        return known
    return Unavailable(Code.UNAVAILABLE, "The write was undone because the store failed.")


class TransactionScope:
    """The result of `Store.transaction`: a transaction from entering to the durable commit on leaving."""

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
        _current.set(None)
        reason = transaction.failure or error
        if reason is not None:
            read = self._writer.undo(transaction.changes, has_run=transaction.has_run)
            if error is None:
                raise reason
            if read is not None and isinstance(error, Exception):
                undone = await read
                if undone is not None:
                    raise undone from error
            return
        failure = await self._writer.complete(transaction.changes)
        if failure is not None:
            raise failure
