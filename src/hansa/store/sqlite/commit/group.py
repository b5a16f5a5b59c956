"""What the transactions of one commit share: rows that wait to be inserted, numbers, and who is in which collection.

A create inserts a dozen rows. Inserted one create after the other, between all the work that a request is,
each of them finds SQLite's code and pages out of the processor's caches. So such rows *wait* here, and are
inserted together: at the commit, or before a transaction runs SQL of its own, which may look for them.
Numbers of entities and of the feed are given away here for that reason.

What most creates ask the store is whether the entities that they refer to are here. That is kept from one
group to the next; it includes every entity that a waiting row is of, so this question never has to insert
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import apsw

from hansa.store.sql import Parameter, Row, statements_for
from hansa.store.sqlite.index_tail import IndexRow, IndexTail
from hansa.store.sqlite.totals import Delta

KNOWN_MAX: Final = 10_000
"""So many identifiers are remembered, or a few more, before they are the older generation."""
_NEXT: Final = "SELECT (SELECT ifnull(max(number), 0) FROM entity), (SELECT ifnull(max(seq), 0) FROM change)"  # of both, the last

Execute = Callable[[str, tuple[Parameter, ...]], Iterable[Row]]
"""What runs SQL and gives its rows."""
Runs = Sequence[tuple[Parameter, ...]]


class Changes:
    """What a transaction has written: its statements, and what follows from them."""

    __slots__ = ("after", "before", "deltas", "ids", "last_change", "run", "statements", "tail", "tail_after")

    def __init__(self, before: tuple[int, int]) -> None:
        self.before = self.after = before
        """The last numbers of entities and of the feed when it began, and when it took the last one."""
        self.statements: list[tuple[str, Runs]] = []
        """Those that changed something, in their order, each with the parameters of all its runs."""
        self.run = 0
        """How many of them have been run; the others wait."""
        self.deltas: list[Delta] = []
        self.ids: list[str] = []
        """Of the entities that it wrote or deleted."""
        self.last_change = 0
        """The newest row of the feed."""
        self.tail: dict[int, tuple[IndexRow, ...]] = {}
        """Rows of the index, by number of the entity, that are not put into the table yet."""
        self.tail_after: int | None = None
        """Where the tail of the index begins from now on."""


class CollectionCache:
    """In which collection an entity is, by identifier, as the running transaction sees it.

    Two generations: what is asked for is remembered in the younger one; when that is full it becomes the
    older one, and what nobody asked for meanwhile is forgotten. Many entities refer to a few others, and
    those stay.
    """

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}
        self._older: dict[str, str | None] = {}

    def shrink(self, uncommitted: Iterable[str]) -> None:
        """Make room, but keep what is found here alone, since it is not committed."""
        if len(self._known) > KNOWN_MAX:
            older, self._older, self._known = self._older, self._known, {}
            for each in uncommitted:
                if each not in self._older and each in older:
                    self._older[each] = older[each]

    def forget(self, ids: Iterable[str]) -> None:
        """Forget what a transaction said that is undone."""
        for each in ids:
            self._known.pop(each, None)
            self._older.pop(each, None)

    def note(self, entity_id: str, collection: str | None) -> None:
        """An entity is in a collection from now on, or in none."""
        self._known[entity_id] = collection

    def is_here(self, entity_id: str) -> bool:
        """Whether it is known that an entity is here, as one is of which a row waits."""
        return self._found(entity_id, None) is not None

    def is_absent(self, entity_id: str) -> bool:
        """Whether it is known that an entity is not here."""
        return self._found(entity_id, "") is None

    def of(self, execute: Execute, ids: Iterable[str]) -> dict[str, str]:
        """The collections of those of the entities that are here; SQL is asked for what is committed."""
        known, older = self._known, self._older
        if unknown := [each for each in ids if each not in known]:
            known.update({each: older[each] for each in unknown if each in older})
            if asked := [each for each in unknown if each not in older]:
                known.update(dict.fromkeys(asked))
                for statement in statements_for("SELECT id, type FROM entity WHERE id", asked):
                    known.update(execute(*statement))
        return {each: found for each in ids if (found := known[each]) is not None}

    def _found(self, entity_id: str, otherwise: str | None) -> str | None:
        return self._known.get(entity_id, self._older.get(entity_id, otherwise))


class RowNumbers:
    """The numbers that were given away last, of entities and of rows of the feed."""

    def __init__(self, connection: apsw.Connection) -> None:
        (last,) = connection.execute(_NEXT).fetchall()
        self._entity, self._change = map(int, last)  # type: ignore[arg-type] # SQLite's integers

    @property
    def last(self) -> tuple[int, int]:
        """The last number of an entity, and of a row of the feed."""
        return self._entity, self._change

    def next_entity(self, written: Changes) -> int:
        """A number for a new entity of a transaction."""
        self._entity += 1
        written.after = self.last
        return self._entity

    def next_change(self, written: Changes) -> int:
        """A number for a new row of the feed."""
        self._change += 1
        written.after = self.last
        return self._change

    def give_back(self, written: Changes) -> None:
        """A transaction is undone: unless others have taken numbers after it, its own are given away anew."""
        if written.after == self.last:
            self._entity, self._change = written.before


class CommitGroup:
    """One group, from its first member to its commit.

    Those who only create join it while another group has the connection, so it may have members before it
    *begins*: before SQLite does anything for it. Every method that runs SQL raises what SQLite raises; then
    the group has to be rolled back.
    """

    def __init__(self, connection: apsw.Connection, known: CollectionCache, numbers: RowNumbers) -> None:
        self.connection = connection
        self.known = known
        self.numbers = numbers
        self.has_begun = False
        self.tail_after = 0
        """Where the tail of the index begins for the transactions of this group; what is new is in it in any case."""
        self.tail: dict[int, tuple[IndexRow, ...]] = {}
        """What its members have written of the tail."""
        self._waiting: list[Changes] = []
        self.is_spoilt = False
        """Whether inserting what waited has failed, so that nothing can be said of what is in the tables."""

    def begin(self, tail: IndexTail) -> None:
        """Have SQLite begin."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.tail_after = tail.after
        self.has_begun = True

    def began(self) -> Changes:
        """For a transaction that begins."""
        return Changes(self.numbers.last)

    def insert(self, written: Changes, sql: str, runs: Runs) -> None:
        """Have rows inserted later."""
        if written.run == len(written.statements):
            self._waiting.append(written)
        written.statements.append((sql, runs))

    def flush(self) -> None:
        """Insert what waits."""
        if not self._waiting:
            return
        together: dict[str, list[tuple[Parameter, ...]]] = {}
        for written in self._waiting:
            for sql, runs in written.statements[written.run :]:
                together.setdefault(sql, []).extend(runs)
            written.run = len(written.statements)
        self._waiting.clear()
        was_spoilt, self.is_spoilt = self.is_spoilt, True
        for sql, rows in together.items():
            self.connection.executemany(sql, rows)
        self.is_spoilt = was_spoilt

    def drop(self, written: Changes) -> None:
        """A transaction is undone: what of it waits is not inserted."""
        if written in self._waiting:
            self._waiting.remove(written)
        self.numbers.give_back(written)
        self.known.forget(written.ids)

    def repeat(self, members: Iterable[Changes]) -> None:
        """After a rollback: run everything once more."""
        self._waiting.clear()
        self.is_spoilt = False
        for written in members:
            self._run(written)

    def repeat_possible(self, members: Sequence[Changes]) -> dict[int, apsw.Error]:
        """The same, without those that fail; why they do, by their place."""
        self._waiting.clear()
        self.is_spoilt = False
        failed: dict[int, apsw.Error] = {}
        for place, written in enumerate(members):
            self.connection.execute("SAVEPOINT member")
            try:
                self._run(written)
            except apsw.Error as error:
                failed[place] = error
                self.known.forget(written.ids)
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK TO member")
                else:
                    self.connection.execute("BEGIN IMMEDIATE")
                    self.repeat(one for before, one in enumerate(members[:place]) if before not in failed)
                    continue
            self.connection.execute("RELEASE member")
        return failed

    def _run(self, written: Changes) -> None:
        for sql, runs in written.statements:
            self.connection.executemany(sql, runs).fetchall()
        written.run = len(written.statements)
