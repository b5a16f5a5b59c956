"""Who refers to an entity: the index of references, and its tail.

What an entity refers to is one short row of fingerprints (`entity_reference`). To look through all of these
rows takes time that grows with the catalogue: 98 ms of a million entities. So entities of this marketplace
are in `reference_block` too: a row has a fingerprint, a collection, and the numbers of its entities that had
that fingerprint when the row was made, many together. Written by each create, these rows would be a page
each; so the newest entities, the *tail*, are in none yet. `reference_tail` says after which number the tail
begins. When it has `TAIL_ENTITIES_MAX` entities, the store *fills* the table with some of them, sorted, in
several transactions, between which others write.

Blocks name candidates. An entity that is deleted or refers to others since stays in its blocks, and a filling
that was interrupted leaves blocks of the tail; so a look-up reads the fingerprints of each candidate. Thus a
deletion writes nothing here, and a change only what an entity did not refer to before. What is changed while
a filling reads it is written as a block of its own, too.

A look-up reads the blocks, and the fingerprints of the tail; the latter only where `ReferenceTail`, which has
them in memory, says that it may find something there.

Replicas are in no block: only entities of this marketplace prevent a deletion.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from hansa.store.sql import Parameter, placeholders

_encode: Final = msgspec.json.Encoder().encode

FINGERPRINT_BYTES: Final = 8
TAIL_ENTITIES_MAX: Final = 4000
"""Entities without blocks; to look through them takes half a millisecond."""
TAIL_SIZE_MAX_BYTES: Final = 1_048_576
"""Of the fingerprints of the tail that are in memory; of a tail that has more, nothing is."""
ENTITIES_AT_ONCE: Final = 4000
"""Entities of one filling."""
SIZE_AT_ONCE_MAX_BYTES: Final = 262_144
"""Of the fingerprints of one filling, unless one entity has more; some five milliseconds."""
BLOCKS_AT_ONCE: Final = 500
"""Blocks that one transaction writes; a millisecond."""

AFTER: Final = "(SELECT after FROM reference_tail)"
"""In SQL, the number after which the tail begins."""
TAIL: Final = f"SELECT {AFTER}, ifnull(max(number), 0) FROM entity"  # noqa: S608 - a constant
"""Where it begins, and where it ends."""
MOVE_TAIL: Final = "UPDATE reference_tail SET after = ?"
INSERT_BLOCK: Final = "INSERT OR REPLACE INTO reference_block VALUES (?, ?, ?, ?)"
INSERT_SINGLE: Final = INSERT_BLOCK.replace("REPLACE", "IGNORE", 1)
"""A block of one entity, unless there is one that begins with it."""
CLEAR: Final = ("DELETE FROM reference_block", "UPDATE reference_tail SET after = 0")

Row = tuple[int, int, bytes]
"""Number of the collection, number of an entity, and its fingerprints."""
Block = tuple[bytes, int, int, str]
"""Fingerprint, number of the collection, the first number of an entity, and all of them as JSON."""


def fingerprints_of(joined: bytes) -> tuple[int, ...]:
    """The fingerprints that a row has, as numbers in the order of their bytes."""
    assert len(joined) % FINGERPRINT_BYTES == 0, "fingerprints have one length"
    return struct.unpack(f">{len(joined) // FINGERPRINT_BYTES}Q", joined)


def blocks(rows: Iterable[Row]) -> list[Block]:
    """The blocks of some entities, in the order of the table."""
    numbers: dict[int, dict[int, list[int]]] = {}
    for collection, number, fingerprints in rows:
        by_collection = numbers.setdefault(collection, {})
        for fingerprint in fingerprints_of(fingerprints):
            by_collection.setdefault(fingerprint, []).append(number)
    made = [
        (fingerprint.to_bytes(FINGERPRINT_BYTES), collection, min(entities), _encode(entities).decode())
        for collection, by_collection in numbers.items()
        for fingerprint, entities in by_collection.items()
    ]
    made.sort()
    return made


def added_blocks(collection: int, number: int, fingerprints: bytes, known: bytes) -> list[Block]:
    """The blocks of one entity, but for some fingerprints that are in blocks already."""
    added = set(fingerprints_of(fingerprints)).difference(fingerprints_of(known))
    return blocks([(collection, number, one.to_bytes(FINGERPRINT_BYTES)) for one in added])


def fingerprints_size(collections: Sequence[int], after: int, end: int) -> tuple[str, tuple[Parameter, ...]]:
    """SQL for how many bytes the fingerprints of entities after a number have, up to another."""
    return (
        (
            "SELECT ifnull(sum(length(marks)), 0) FROM entity_reference "  # noqa: S608 - placeholders only
            f"WHERE collection IN ({placeholders(len(collections))}) AND entity > ? AND entity <= ?"
        ),
        (*collections, after, end),
    )


def own_rows(collections: Sequence[int], after: int, end: int) -> tuple[str, tuple[Parameter, ...]]:
    """SQL for the rows (collection, entity, marks) of own entities after a number, up to another."""
    return (
        (
            "SELECT r.collection, r.entity, r.marks FROM entity_reference AS r "  # noqa: S608 - placeholders only
            "CROSS JOIN entity AS e ON e.number = r.entity "
            f"WHERE r.collection IN ({placeholders(len(collections))}) AND r.entity > ? AND r.entity <= ? "
            "AND e.origin IS NULL ORDER BY r.collection, r.entity"
        ),
        (*collections, after, end),
    )


def referrers(
    columns: str,
    collections: Sequence[int],
    fingerprint: bytes,
    target_id: str,
    limit: int,
    offset: int,
    *,
    has_tail: bool = True,
) -> tuple[str, tuple[Parameter, ...]]:
    """SQL for columns of the own entities (`e`) that have a fingerprint.

    Args:
        columns: What is read of them.
        collections: Numbers of those that they are in.
        fingerprint: Of the identifier to which they may refer.
        target_id: The identifier.
        limit: How many at most.
        offset: How many come before them.
        has_tail: Whether the tail is looked through too.
    """
    parameters: list[Parameter] = [fingerprint, *collections]
    if has_tail:
        parameters += (*collections, fingerprint)
    parameters += (fingerprint, target_id, target_id, limit, offset)
    return _referrers(columns, len(collections), has_tail=has_tail), tuple(parameters)


@lru_cache(64)
def _referrers(columns: str, collections: int, *, has_tail: bool) -> str:
    chosen = placeholders(collections)
    in_tail = (
        f" UNION ALL SELECT collection, entity FROM entity_reference WHERE collection IN ({chosen}) "  # noqa: S608 - placeholders only
        f"AND entity > {AFTER} AND instr(marks, ?)"
    )
    return (
        f"SELECT {columns} FROM (SELECT DISTINCT c, n FROM ("  # noqa: S608 - placeholders only
        "SELECT b.collection AS c, each.value AS n FROM reference_block AS b "
        "CROSS JOIN json_each(b.entities) AS each "
        f"WHERE b.fingerprint = ? AND +b.collection IN ({chosen})"  # one place of the table, not fifty
        f"{in_tail if has_tail else ''})) AS r "
        "CROSS JOIN entity_reference AS m ON m.collection = r.c AND m.entity = r.n "
        "CROSS JOIN entity AS e ON e.number = r.n "
        "WHERE instr(m.marks, ?) AND e.origin IS NULL AND e.id <> ? AND e.parent IS NOT ? LIMIT ? OFFSET ?"
    )


class ReferenceTail:
    """The fingerprints of the tail in memory, so that most look-ups need not look through it.

    None that the tail has is ever missing. It can have others: of entities that have been changed or deleted
    since, or whose writing was undone. Nothing is known of a tail that was long when the store was opened,
    nor after so many fingerprints that they were discarded; then every look-up looks through the tail, until
    that begins behind these.
    """

    def __init__(self, after: int, last: int) -> None:
        """A tail of which nothing is known.

        Args:
            after: The number after which it begins.
            last: The number of the last entity.
        """
        self._after = self.filling_to = after
        """Entities up to this number are in blocks, or are being put there."""
        self._known_after = self._last = last
        """Of entities with this number and lower ones nothing is known; the highest number so far."""
        self._rows: list[Row] = []
        """What was added, in that order."""
        self._read = 0
        """So many of these are in `_newest`."""
        self._newest: dict[int, int] = {}
        """By fingerprint, the highest number of an entity that has it."""
        self._size_bytes = 0

    @property
    def is_known(self) -> bool:
        """Whether the fingerprints of the whole tail are in memory."""
        return self._after >= self._known_after

    def load(self, rows: Iterable[Row]) -> None:
        """Take what the whole tail has, when the store has been opened."""
        self._known_after = self._after
        for row in rows:
            self.add(*row)

    def add(self, collection: int, number: int, fingerprints: bytes) -> None:
        """An entity of this marketplace is about to have some fingerprints.

        One before the tail has blocks, and is in no filling: the block that begins with it would be replaced
        by one without its others.
        """
        self._last = max(self._last, number)
        if number <= self._after:
            return
        self._size_bytes += len(fingerprints)
        if self._size_bytes > TAIL_SIZE_MAX_BYTES:
            self._rows, self._read, self._newest, self._size_bytes = [], 0, {}, 0
            self._known_after = self._last
        else:
            self._rows.append((collection, number, fingerprints))

    def may_have(self, fingerprint: bytes) -> bool:
        """Whether an entity of the tail may have a fingerprint."""
        if not self.is_known:
            return True
        for _, number, fingerprints in self._rows[self._read :]:
            for one in fingerprints_of(fingerprints):
                self._newest[one] = max(number, self._newest.get(one, 0))
        self._read = len(self._rows)
        return self._newest.get(int.from_bytes(fingerprint), 0) > self._after

    def rows(self, end: int) -> list[Row]:
        """What the entities of the tail up to a number have, or had; where the tail is known."""
        assert self.is_known, "nothing is missing"
        assert all(row[1] > self._after for row in self._rows), "what is before the tail has blocks"
        return [row for row in self._rows if row[1] <= end]

    def cut(self, after: int) -> None:
        """Everything up to a number is in the table, durably."""
        assert after >= self._after, "the tail only moves on"
        self._after = after
        self._rows = [row for row in self._rows if row[1] > after]
        self._read = 0
        self._newest = {}
        self._size_bytes = sum(len(fingerprints) for *_, fingerprints in self._rows)
