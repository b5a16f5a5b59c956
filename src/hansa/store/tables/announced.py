"""The bytes of announced versions of own entities, beside those that the entities themselves still have.

An event on the ledger names the hash of a version, and whoever follows requests exactly that version. So its
bytes are retained here as soon as the entity does not have them any more: because it has changed since, or
because only a part of it is published. They stay while it is the newest version on the ledger, or on its way
there, and a while longer (`Limits.announced_…`), within a number and a size; those whose successor was
committed first go first. A deletion or withdrawal removes them all.

Two versions of an entity can have the same bytes, and so the same hashlink; they share a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from hansa.store.interface import Transaction
from hansa.store.records import EntityDraft, Operation
from hansa.store.sql import Readable, statements_for, upsert

_RETAIN: Final = upsert(
    "announced_part", ("hashlink", "key", "version", "size_bytes", "body"), ("hashlink",), "ended_ms = NULL"
)
_REMOVED_AT_ONCE: Final = 500


async def bodies(source: Readable, hashlinks: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """Those of some versions that are here: the bytes by (ledger key in hex, hashlink)."""
    statements = statements_for("SELECT key, hashlink, body FROM announced_part WHERE hashlink", hashlinks)
    return {
        (key.hex(), hashlink): body
        for each in statements
        for key, hashlink, body in await source.sql.fetch(*each)
    }


async def retain(tx: Transaction, key: str, version: int, hashlink: str, body: bytes) -> None:
    """Retain the bytes of a version (key in hex) that is the newest announced one."""
    assert version > 0, "versions count from 1"
    await tx.sql.execute(_RETAIN, (hashlink, bytes.fromhex(key), version, len(body), body))


class Replaced(Protocol):
    """An entity as it is before a write."""

    @property
    def origin(self) -> str | None:
        """None when it is ours."""

    @property
    def public(self) -> bool:
        """Whether it is public."""

    @property
    def pending(self) -> Operation | None:
        """Not None while it is about to be public."""

    @property
    def hashlink(self) -> str:
        """Of its bytes."""

    @property
    def body(self) -> bytes:
        """Its bytes."""


async def retain_replaced(tx: Transaction, before: Replaced, draft: EntityDraft) -> None:
    """An entity gets other bytes: retain those that it has, if they were announced and it stays public."""
    if before.origin is not None or before.hashlink == draft.hashlink:
        return
    if not ((before.public or before.pending is not None) and (draft.public or draft.is_pending)):
        return
    hashlink, body = before.hashlink, before.body
    rows = await tx.sql.fetch(
        "SELECT publication.key, coalesce(outbox.version, publication.version) FROM publication "
        "LEFT JOIN outbox ON outbox.entity_id = publication.entity_id AND outbox.hashlink = ? "
        "AND outbox.is_delete = 0 WHERE publication.entity_id = ? AND (outbox.version IS NOT NULL "
        "OR (publication.hashlink = ? AND publication.is_withdrawn = 0))",
        (hashlink, draft.id, hashlink),
    )
    for key, version in rows:
        await tx.sql.execute(_RETAIN, (hashlink, key, version, len(body), body))


async def end(tx: Transaction, key: str, version: int, now_ms: int) -> None:
    """A version was committed: those before it have a successor from now on (milliseconds since 1970)."""
    await tx.sql.execute(
        "UPDATE announced_part SET ended_ms = ? WHERE key = ? AND version < ? AND ended_ms IS NULL",
        (now_ms, bytes.fromhex(key), version),
    )


async def remove(tx: Transaction, key: str) -> None:
    """Remove all versions of an entity (key in hex) that is not public any more."""
    await tx.sql.execute("DELETE FROM announced_part WHERE key = ?", (bytes.fromhex(key),))


async def prune(tx: Transaction, ended_before_ms: int, rows_max: int, size_max_bytes: int) -> bool:
    """Remove what ended before a moment, and what is too many or too large together; whether more may be."""
    await tx.sql.execute(
        "DELETE FROM announced_part WHERE number IN (SELECT number FROM announced_part "
        "WHERE ended_ms < ? ORDER BY ended_ms LIMIT ?)",
        (ended_before_ms, _REMOVED_AT_ONCE),
    )
    ((rows, size_bytes),) = await tx.sql.fetch(
        "SELECT count(*), coalesce(sum(size_bytes), 0) FROM announced_part"
    )
    if rows <= rows_max and size_bytes <= size_max_bytes:
        return False
    for number, row_bytes in await _oldest(tx):
        if rows <= rows_max and size_bytes <= size_max_bytes:
            break
        await tx.sql.execute("DELETE FROM announced_part WHERE number = ?", (number,))
        rows, size_bytes = rows - 1, size_bytes - row_bytes
    return bool(rows > rows_max or size_bytes > size_max_bytes)


async def _oldest(tx: Transaction) -> list[tuple[int, int]]:
    """Some rows and their sizes, in the order in which they are removed."""
    rows = await tx.sql.fetch(
        "SELECT number, size_bytes FROM announced_part WHERE ended_ms IS NOT NULL ORDER BY ended_ms, number LIMIT ?",
        (_REMOVED_AT_ONCE,),
    )
    rows = rows or await tx.sql.fetch(
        "SELECT number, size_bytes FROM announced_part WHERE ended_ms IS NULL ORDER BY number LIMIT ?",
        (_REMOVED_AT_ONCE,),
    )
    return [(number, size_bytes) for number, size_bytes in rows]
