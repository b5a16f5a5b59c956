"""The tail of the index: the newest entities, whose rows of `entity_index` are not in the table yet.

The rows of one entity belong to as many places of the index as it has values, each on a page of its own, and
each of these pages would be written for that entity alone. So they are held in memory, and put into the table
together, sorted, by transactions of the store's own: when there are many of them, or when a list that reads
the index needs any. Such a list examines the entities of a short tail themselves
(`hansa.store.sqlite.lists`), and waits for these transactions when the tail is long, in entities or in bytes.
So reads between writes meet a short tail, and writes alone pay for the index once in thousands of entities.

The table `index_tail` says after which number the tail begins. It is all that has to be durable: at opening,
the tail is made into rows again from the entities.

To *fill* the table with a long tail takes tens of milliseconds. So it is done in parts, each in a transaction
of its own, between which others write; the last one moves the beginning of the tail. Until then the table has
rows of entities that are in the tail, which lists do not read. An entity of the tail that is written
meanwhile loses such rows in the same transaction, is left out of the following parts, and gets its rows in
the last one. When a part fails, what is in the table stays there, and the next filling begins from the first
part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import apsw

from hansa.store.index.extraction import IndexKey
from hansa.store.records import READ_AT_ONCE_MAX_BYTES

TAIL_ROWS_MAX: Final = 20_000
"""So many rows are put into the table though no list needs them; takes as long as 200 creates."""

TAIL_WALKED_MAX: Final = 100
"""A list examines so many entities of the tail itself; that takes half a millisecond, or two."""

TAIL_WALKED_MAX_BYTES: Final = READ_AT_ONCE_MAX_BYTES
"""Of their bodies, which are parsed for that."""

AFTER: Final = "(SELECT after FROM index_tail)"
"""In SQL, the number after which the tail begins."""
MOVE_TAIL: Final = "UPDATE index_tail SET after = ?"
INSERT_ROW: Final = "INSERT OR IGNORE INTO entity_index VALUES (?, ?, ?, ?)"
"""One row, unless a filling has put it there."""
ROWS_TOGETHER: Final = 100
"""So many rows are one statement where there are thousands."""
INSERT_ROWS: Final = f"{INSERT_ROW}{', (?, ?, ?, ?)' * (ROWS_TOGETHER - 1)}"
PART_ROWS: Final = 1000
"""So many rows are a part; that takes a millisecond."""

IndexRow = tuple[int, str, int, bool]
"""Attribute, value, number of the entity, is public."""


class TailEntity(NamedTuple):
    """An entity of the tail."""

    rows: tuple[IndexRow, ...]
    """None: it has been deleted, or no attribute of it is indexed."""
    size_bytes: int
    """Of its body; 0 when it has been deleted."""


def index_rows(number: int, postings: Sequence[IndexKey], *, public: bool) -> tuple[IndexRow, ...]:
    """The rows of an entity."""
    return tuple([(attribute, value, number, public) for attribute, value in postings])


class IndexTail:
    """The tail, as it is committed."""

    def __init__(self, connection: apsw.Connection) -> None:
        """An empty tail, as it is after opening."""
        ((after,),) = connection.execute("SELECT after FROM index_tail").fetchall()
        self.after = int(str(after))
        self.filled_to = self.after
        """Entities up to this number may have rows in the table."""
        self._changed: set[int] = set()
        """Of these, the numbers of those that were written since the filling began."""
        self._entities: dict[int, TailEntity] = {}
        self._count = 0
        """Of rows."""
        self._size_bytes = 0

    def __bool__(self) -> bool:
        """Whether it has entities."""
        return bool(self._entities)

    @property
    def is_full(self) -> bool:
        """Whether its rows should be put into the table, though no list needs them."""
        return self._count >= TAIL_ROWS_MAX

    @property
    def is_long(self) -> bool:
        """Whether a list should rather wait until it is in the table than examine its entities."""
        return len(self._entities) > TAIL_WALKED_MAX or self._size_bytes > TAIL_WALKED_MAX_BYTES

    @property
    def last(self) -> int:
        """Number of its last entity."""
        return max(self._entities, default=self.after)

    def begin_filling(self) -> list[list[IndexRow]]:
        """The rows of its entities in the order of the table, in parts: for filling that."""
        self.filled_to = self.last
        self._changed.clear()
        places: dict[tuple[int, str], list[IndexRow]] = {}
        for number in sorted(self._entities):
            for row in self._entities[number].rows:
                places.setdefault(row[:2], []).append(row)
        rows = [row for place in sorted(places) for row in places[place]]
        return [rows[at : at + PART_ROWS] for at in range(0, len(rows), PART_ROWS)]

    def changed_in_filling(self, later: Mapping[int, TailEntity]) -> AbstractSet[int]:
        """Numbers of entities of the filling that were written since it began.

        Args:
            later: Some entities, as they were written since the last commit.
        """
        return self._changed | {number for number in later if number <= self.filled_to}

    def rows_of_changed(self, later: Mapping[int, TailEntity]) -> list[IndexRow]:
        """The rows that these have now."""
        nothing = TailEntity((), 0)
        return [
            row
            for number in sorted(self.changed_in_filling(later))
            for row in later.get(number, self._entities.get(number, nothing)).rows
        ]

    def follow(self, changed: Mapping[int, TailEntity]) -> None:
        """Entities of the tail were put, or deleted."""
        for number, entity in changed.items():
            if number <= self.filled_to:
                self._changed.add(number)
            self._remove(number)
            if entity.rows:
                self._entities[number] = entity
                self._count += len(entity.rows)
                self._size_bytes += entity.size_bytes

    def cut(self, after: int) -> None:
        """Everything up to a number is in the table."""
        self.after = after
        self._changed.clear()
        for number in [one for one in self._entities if one <= after]:
            self._remove(number)

    def _remove(self, number: int) -> None:
        entity = self._entities.pop(number, None)
        if entity is not None:
            self._count -= len(entity.rows)
            self._size_bytes -= entity.size_bytes
            assert self._count >= 0, "what was added is subtracted once"
            assert self._size_bytes >= 0, "what was added is subtracted once"
