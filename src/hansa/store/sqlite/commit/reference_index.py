"""Who refers to an entity: the index of references, and its tail.

What an entity refers to is one short row of fingerprints (`entity_reference`). To look through all of these
rows takes time that grows with the catalogue: 98 ms of a million entities. So own entities have a row in
`reference_index` for each of their fingerprints. Written by each create, these rows would be a page each; so
the newest entities, the *tail*, have none yet. `reference_tail` says after which number the tail begins. When
it has `TAIL_ENTITIES_MAX` entities, the store puts some of them into the table, sorted, in a transaction of
its own, by one statement in a thread. A look-up reads the table, and the fingerprints of the tail.

Replicas are not in the table: only entities of this marketplace prevent a deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.store.sql import Parameter, placeholders

FINGERPRINT_BYTES: Final = 8
TAIL_ENTITIES_MAX: Final = 2000
"""Entities without rows in the table; to look through them takes a quarter of a millisecond."""
ENTITIES_AT_ONCE: Final = 2000
"""Entities that one transaction puts into the table."""
SIZE_AT_ONCE_MAX_BYTES: Final = 262_144
"""Of the fingerprints that one transaction puts into the table, unless one entity has more."""

AFTER: Final = "(SELECT after FROM reference_tail)"
"""In SQL, the number after which the tail begins."""
TAIL_LENGTH: Final = f"SELECT ifnull(max(number), 0) - {AFTER} FROM entity"  # noqa: S608 - a constant
NEXT_END: Final = f"SELECT {AFTER}, min({AFTER} + {ENTITIES_AT_ONCE}, ifnull(max(number), 0)) FROM entity"  # noqa: S608 - constants
MOVE_TAIL: Final = "UPDATE reference_tail SET after = ?"
INSERT_INDEXED: Final = f"INSERT OR IGNORE INTO reference_index SELECT ?1, ?2, ?3 WHERE ?3 <= {AFTER}"
"""One row, unless the entity is in the tail."""
DELETE: Final = "DELETE FROM reference_index WHERE fingerprint = ? AND collection = ? AND entity = ?"
CLEAR: Final = ("DELETE FROM reference_index", "UPDATE reference_tail SET after = 0")

Row = tuple[bytes, int, int]
"""Fingerprint, number of the collection, number of the entity."""


def fingerprint_rows(collection: int, number: int, fingerprints: bytes) -> list[Row]:
    """The rows of an entity."""
    assert len(fingerprints) % FINGERPRINT_BYTES == 0, "fingerprints have one length"
    starts = range(0, len(fingerprints), FINGERPRINT_BYTES)
    return [(fingerprints[start : start + FINGERPRINT_BYTES], collection, number) for start in starts]


def fingerprints_size(collections: Sequence[int], after: int, end: int) -> tuple[str, tuple[Parameter, ...]]:
    """SQL for how many bytes the fingerprints of entities after a number have, up to another."""
    return (
        (
            "SELECT ifnull(sum(length(marks)), 0) FROM entity_reference "  # noqa: S608 - placeholders only
            f"WHERE collection IN ({placeholders(len(collections))}) AND entity > ? AND entity <= ?"
        ),
        (*collections, after, end),
    )


def fill(collections: Sequence[int], after: int, end: int) -> tuple[str, tuple[Parameter, ...]]:
    """SQL that puts the fingerprints of own entities after a number, up to another, into the table."""
    return (
        (
            "WITH RECURSIVE part (fingerprint, collection, entity, rest) AS ("  # noqa: S608 - placeholders only
            f"SELECT substr(r.marks, 1, {FINGERPRINT_BYTES}), r.collection, r.entity, "
            f"substr(r.marks, {FINGERPRINT_BYTES + 1}) FROM entity_reference AS r "
            "CROSS JOIN entity AS e ON e.number = r.entity "
            f"WHERE r.collection IN ({placeholders(len(collections))}) AND r.entity > ? AND r.entity <= ? "
            "AND e.origin IS NULL UNION ALL "
            f"SELECT substr(rest, 1, {FINGERPRINT_BYTES}), collection, entity, "
            f"substr(rest, {FINGERPRINT_BYTES + 1}) FROM part WHERE length(rest) > 0) "
            "INSERT OR IGNORE INTO reference_index "
            "SELECT fingerprint, collection, entity FROM part ORDER BY 1, 2, 3"
        ),
        (*collections, after, end),
    )


def referrers(
    columns: str, collections: Sequence[int], fingerprint: bytes, target_id: str, limit: int, offset: int
) -> tuple[str, tuple[Parameter, ...]]:
    """SQL for columns of the own entities (`e`) that have a fingerprint."""
    chosen = placeholders(len(collections))
    return (
        (
            f"SELECT {columns} FROM ("  # noqa: S608 - placeholders only
            f"SELECT entity FROM reference_index WHERE fingerprint = ? AND collection IN ({chosen}) "
            "UNION ALL "
            f"SELECT entity FROM entity_reference WHERE collection IN ({chosen}) AND entity > {AFTER} "
            "AND instr(marks, ?)) AS r "
            "CROSS JOIN entity AS e ON e.number = r.entity "
            "WHERE e.origin IS NULL AND e.id <> ? AND e.parent IS NOT ? LIMIT ? OFFSET ?"
        ),
        (fingerprint, *collections, *collections, fingerprint, target_id, target_id, limit, offset),
    )
