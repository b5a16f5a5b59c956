"""Confidential entities of other members that were announced to this marketplace: a row for each.

    pending     to be retrieved
    stored      the replica is in the store, with the bytes that the newest notice names
    withdrawn   its origin has deleted it, or addresses it to this marketplace no more
    skipped     a condition or a limit of this marketplace keeps it out
    rejected    what its origin sent is not valid, whoever looks at it

The key that decrypts a version is in its row while the version is to be retrieved, and removed after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import Readable, placeholders, upsert

State = Literal["pending", "stored", "withdrawn", "skipped", "rejected"]


class ReceivedHead(msgspec.Struct, frozen=True):
    """The newest version of an entity that was announced to this marketplace."""

    issuer: str
    entity_key: bytes
    """SHA-256 of issuer and identifier."""
    type: str
    version: int
    position: int
    """Of the event."""
    key: str
    """Of the event on the ledger, hex."""
    hashlink: str
    """Salted, of the event."""
    digest: bytes
    """SHA-256 of the version's bytes."""
    state: State
    nonce: bytes | None = None
    content_key: bytes | None = None
    """Decrypts the version; None when nothing is to be retrieved."""
    attempts: int = 0
    due_ms: int = 0
    problem: str | None = None
    reason: str | None = None
    entity_id: str | None = None
    """Of the replica, of this or an older version; None when there is none."""
    size_bytes: int = 0


class ReceivedTotals(msgspec.Struct, frozen=True):
    """The replicas of one member."""

    entities: int = 0
    size_bytes: int = 0


_HEAD: Final = RecordColumns(ReceivedHead)
_RECORD: Final = upsert("confidential_head", ReceivedHead.__struct_fields__, ("issuer", "entity_key"))


async def of_entity(source: Readable, issuer: str, entity_key: bytes) -> ReceivedHead | None:
    """The row of an entity; None when it was never announced to this marketplace."""
    rows = await source.sql.fetch(
        f"SELECT {_HEAD.sql} FROM confidential_head WHERE issuer = ? AND entity_key = ?",  # noqa: S608 - a constant
        (issuer, entity_key),
    )
    return _HEAD.record(rows[0]) if rows else None


async def due(store: Store, issuer: str, now_ms: int, limit: int) -> tuple[ReceivedHead, ...]:
    """Versions of a member that are to be retrieved now."""
    rows = await store.sql.fetch(
        f"SELECT {_HEAD.sql} FROM confidential_head WHERE issuer = ? AND state = 'pending' AND due_ms <= ? "  # noqa: S608 - a constant
        "ORDER BY due_ms LIMIT ?",
        (issuer, now_ms, limit),
    )
    return tuple(map(_HEAD.record, rows))


async def pending_issuers(store: Store) -> dict[str, int]:
    """Members of whose entities some are to be retrieved, with when the first is due."""
    rows = await store.sql.fetch(
        "SELECT issuer, min(due_ms) FROM confidential_head WHERE state = 'pending' GROUP BY issuer"
    )
    return {issuer: int(due_ms) for issuer, due_ms in rows}


async def bound_pauses(tx: Transaction, latest_ms: int) -> None:
    """Let nothing wait beyond a moment."""
    update = "UPDATE confidential_head SET due_ms = ? WHERE state = 'pending' AND due_ms > ?"
    await tx.sql.execute(update, (latest_ms, latest_ms))


async def is_pending(store: Store, issuer: str, position: int) -> bool:
    """Whether what an event of a member announces is still to be retrieved."""
    sql = "SELECT 1 FROM confidential_head WHERE state = 'pending' AND issuer = ? AND position = ?"
    return bool(await store.sql.fetch(sql, (issuer, position)))


async def totals(source: Readable, issuer: str) -> ReceivedTotals:
    """How many replicas of a member are here, and their size."""
    rows = await source.sql.fetch(
        "SELECT entities, size_bytes FROM confidential_origin WHERE issuer = ?", (issuer,)
    )
    return ReceivedTotals(*map(int, rows[0])) if rows else ReceivedTotals()


async def page(store: Store, states: Sequence[State], after: int, limit: int) -> tuple[ReceivedHead, ...]:
    """Rows in some states, by position after one."""
    rows = await store.sql.fetch(
        f"SELECT {_HEAD.sql} FROM confidential_head WHERE state IN ({placeholders(len(states))}) AND position > ? "  # noqa: S608 - constants
        "ORDER BY position LIMIT ?",
        (*states, after, limit),
    )
    return tuple(map(_HEAD.record, rows))


async def walk(store: Store, after: tuple[str, bytes], limit: int) -> tuple[ReceivedHead, ...]:
    """Rows after one, by issuer and entity."""
    rows = await store.sql.fetch(
        f"SELECT {_HEAD.sql} FROM confidential_head WHERE (issuer, entity_key) > (?, ?) "  # noqa: S608 - a constant
        "ORDER BY issuer, entity_key LIMIT ?",
        (*after, limit),
    )
    return tuple(map(_HEAD.record, rows))


async def record(tx: Transaction, head: ReceivedHead) -> None:
    """Record the state of an entity."""
    fields = msgspec.structs.asdict(head) | {"key": bytes.fromhex(head.key)}
    await tx.sql.execute(_RECORD, tuple(fields.values()))
