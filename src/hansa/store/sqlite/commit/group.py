"""What the transactions of one commit share: deferred rows, numbers, and the collections of entities.

A create inserts a dozen rows. Inserted one create after the other, between all the work that a request is,
each of them meets cold caches of the processor: SQLite's code and pages have been displaced. So such rows are
*deferred* and inserted together: at the commit, or before a transaction runs SQL of its own, which may read
them. For that reason the numbers of entities and of the feed are allocated here.

What most creates read from the store is whether the entities that they refer to exist. That is cached from
one group to the next; the cache includes every entity of which a row is deferred, so this question never has
to insert anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import apsw

from hansa.core.cache import CacheFigures
from hansa.store.sql import Parameter, Row, statements_for
from hansa.store.sqlite.changes import Delta
from hansa.store.sqlite.commit import added_rows
from hansa.store.sqlite.commit.reference_index import ReferenceTail
from hansa.store.sqlite.index_tail import IndexTail, TailEntity

GENERATION_MAX: Final = 10_000
"""From so many identifiers on, the younger generation of the cache of collections becomes the older one."""
_LAST_NUMBERS: Final = (
    "SELECT max((SELECT ifnull(max(number), 0) FROM entity), (SELECT after FROM index_tail), "
    "(SELECT after FROM reference_tail)), (SELECT ifnull(max(seq), 0) FROM change)"
)
"""A number that was used once is behind which the tails begin, also when its entity has been deleted."""

Execute = Callable[[str, tuple[Parameter, ...]], Iterable[Row]]
"""Runs SQL and returns its rows."""
Runs = Sequence[tuple[Parameter, ...]]
"""The parameters of each run of one statement."""


class Changes:
    """What a transaction has written: its statements, and what follows from them."""

    __slots__ = (
        "deltas", "entity_ids", "executed", "index_rows", "last_change", "numbers_after", "numbers_before",
        "statements", "tail_moved_to",
    )  # fmt: skip

    def __init__(self, numbers_before: tuple[int, int]) -> None:
        self.numbers_before = self.numbers_after = numbers_before
        """The last numbers of entities and of the feed when it began, and when it allocated its last."""
        self.statements: list[tuple[str, Runs]] = []
        """Those that changed something, in their order."""
        self.executed = 0
        """How many of them have been executed; the others are deferred."""
        self.deltas: list[Delta] = []
        self.entity_ids: list[str] = []
        """Of the entities that it wrote or deleted."""
        self.last_change = 0
        """The newest row of the feed."""
        self.index_rows: dict[int, TailEntity] = {}
        """Of the tail of the index, by number of the entity."""
        self.tail_moved_to: int | None = None
        """The number after which the tail of the index begins from now on, if this transaction moved it."""


class CollectionCache:
    """The collection of each entity, by identifier, as the running transaction sees it.

    Two generations: what is looked up is in the younger one; when that is full it becomes the older one, and
    what was not looked up meanwhile is evicted. Many entities refer to a few others, and those stay.
    """

    def __init__(self) -> None:
        self.pending: set[str] = set()
        """Entities that are pending; what was undone can be among them."""
        self._younger: dict[str, str | None] = {}
        self._older: dict[str, str | None] = {}
        self._hits = 0
        self._misses = 0

    @property
    def figures(self) -> CacheFigures:
        """What it did since it was made, and what it holds."""
        count = len(self._younger) + len(self._older)
        return CacheFigures("collections", self._hits, self._misses, count, count)

    def shrink(self, uncommitted: Iterable[str]) -> None:
        """Evict, but not what is nowhere else, since it is not committed."""
        if len(self._younger) > GENERATION_MAX:
            evicted, self._older, self._younger = self._older, self._younger, {}
            for each in uncommitted:
                if each not in self._older and each in evicted:
                    self._older[each] = evicted[each]

    def discard(self, ids: Iterable[str]) -> None:
        """Discard what a transaction put here that is undone."""
        for each in ids:
            self.pending.add(each)
            self._younger.pop(each, None)
            self._older.pop(each, None)

    def put(self, entity_id: str, collection: str | None, *, is_pending: bool) -> None:
        """An entity is in a collection from now on, or in none; and it is pending, or not."""
        self._younger[entity_id] = collection
        if is_pending:
            self.pending.add(entity_id)
        elif self.pending:
            self.pending.discard(entity_id)

    def is_present(self, entity_id: str) -> bool:
        """Whether the cache says that an entity exists, as every one of which a row is deferred."""
        return self._cached(entity_id, None) is not None

    def is_absent(self, entity_id: str) -> bool:
        """Whether the cache says that an entity does not exist."""
        return self._cached(entity_id, "") is None

    def collections_of(self, execute: Execute, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist; what is not cached is read by SQL."""
        younger, older = self._younger, self._older
        misses = 0
        if others := [each for each in ids if each not in younger]:
            younger.update({each: older[each] for each in others if each in older})
            if unknown := [each for each in others if each not in older]:
                misses = len(unknown)
                younger.update(dict.fromkeys(unknown))
                for statement in statements_for("SELECT id, type FROM entity WHERE id", unknown):
                    younger.update(execute(*statement))
        self._misses += misses
        self._hits += len(ids) - misses
        return {each: collection for each in ids if (collection := younger[each]) is not None}

    def _cached(self, entity_id: str, default: str | None) -> str | None:
        return self._younger.get(entity_id, self._older.get(entity_id, default))


class RowNumbers:
    """Allocates the numbers of entities and of rows of the feed."""

    def __init__(self, connection: apsw.Connection) -> None:
        (last,) = connection.execute(_LAST_NUMBERS).fetchall()
        self._entity, self._change = map(int, last)  # type: ignore[arg-type] # SQLite's integers

    @property
    def last(self) -> tuple[int, int]:
        """The last number of an entity, and of a row of the feed."""
        return self._entity, self._change

    def next_created(self, changes: Changes) -> tuple[int, int]:
        """Numbers for a new entity of a transaction, and for its row of the feed."""
        self._entity += 1
        self._change += 1
        changes.numbers_after = numbers = (self._entity, self._change)
        return numbers

    def next_change(self, changes: Changes) -> int:
        """A number for a new row of the feed."""
        self._change += 1
        changes.numbers_after = self.last
        return self._change

    def reclaim(self, changes: Changes) -> None:
        """A transaction is undone: allocate its numbers anew, unless others have allocated some after it."""
        assert changes.numbers_before <= changes.numbers_after <= self.last, "numbers only grow"
        if changes.numbers_after == self.last:
            self._entity, self._change = changes.numbers_before


class CommitGroup:
    """One group, from its first member to its commit.

    Creates join it while another group holds the connection, so it may have members before SQLite does
    anything for it: before it *begins*. Every method that runs SQL raises what SQLite raises; then the group
    has to be rolled back.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        collections: CollectionCache,
        numbers: RowNumbers,
        reference_tail: ReferenceTail,
    ) -> None:
        self.connection = connection
        self.collections = collections
        self.numbers = numbers
        self.reference_tail = reference_tail
        self.has_begun = False
        self.tail_after = 0
        """The number after which the tail of the index begins for the transactions of this group."""
        self.tail_filled_to = 0
        """Entities of the tail up to this number may have rows in the index."""
        self.tail_rows: dict[int, TailEntity] = {}
        """What its members have written of the tail, by number of the entity."""
        self._deferred: list[Changes] = []
        self.has_failed_insert = False
        """Whether inserting deferred rows has failed, so that it is unknown which are in the tables."""

    def begin(self, index_tail: IndexTail) -> None:
        """Have SQLite begin."""
        assert not self.has_begun, "a group begins once"
        self.connection.execute("BEGIN IMMEDIATE")
        self.tail_after, self.tail_filled_to = index_tail.after, index_tail.filled_to
        self.has_begun = True

    def new_changes(self) -> Changes:
        """For a transaction that begins."""
        return Changes(self.numbers.last)

    def defer_insert(self, changes: Changes, sql: str, runs: Runs) -> None:
        """Have rows inserted later."""
        if changes.executed == len(changes.statements):
            self._deferred.append(changes)
        changes.statements.append((sql, runs))

    def flush(self) -> None:
        """Insert the deferred rows."""
        if not self._deferred:
            return
        runs_by_sql: dict[str, list[tuple[Parameter, ...]]] = {}
        for changes in self._deferred:
            for sql, runs in changes.statements[changes.executed :]:
                runs_by_sql.setdefault(sql, []).extend(runs)
            changes.executed = len(changes.statements)
        self._deferred.clear()
        had_failed, self.has_failed_insert = self.has_failed_insert, True
        added = added_rows.inserts(runs_by_sql.pop(added_rows.INSERT_ADDED, []))
        for sql, rows in (*added, *runs_by_sql.items()):
            if rows:
                self.connection.executemany(sql, rows)
        self.has_failed_insert = had_failed

    def discard(self, changes: Changes) -> None:
        """A transaction is undone: its deferred rows are not inserted."""
        if changes in self._deferred:
            self._deferred.remove(changes)
        self.numbers.reclaim(changes)
        self.collections.discard(changes.entity_ids)

    def replay(self, members: Iterable[Changes]) -> None:
        """Execute everything once more, after a rollback."""
        self._deferred.clear()
        self.has_failed_insert = False
        for changes in members:
            self._execute(changes)

    def replay_each(self, members: Sequence[Changes]) -> dict[int, apsw.Error]:
        """The same, without the members that fail; their errors, by their place."""
        self._deferred.clear()
        self.has_failed_insert = False
        failures: dict[int, apsw.Error] = {}
        for place, changes in enumerate(members):
            self.connection.execute("SAVEPOINT member")
            try:
                self._execute(changes)
            except apsw.Error as error:
                failures[place] = error
                self.collections.discard(changes.entity_ids)
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK TO member")
                else:
                    self.connection.execute("BEGIN IMMEDIATE")
                    self.replay(one for before, one in enumerate(members[:place]) if before not in failures)
                    continue
            self.connection.execute("RELEASE member")
        return failures

    def _execute(self, changes: Changes) -> None:
        for sql, runs in changes.statements:
            self.connection.executemany(sql, runs).fetchall()
        changes.executed = len(changes.statements)
        assert changes not in self._deferred, "what is executed is not deferred"
