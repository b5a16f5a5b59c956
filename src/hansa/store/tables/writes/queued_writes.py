"""Writes that wait until the origin of their entity can be reached, and what became of them.

A row is a forwarded write with the pseudonym of its caller. It is `waiting` until the origin has answered or
its time is over; then it is a record of the outcome, until that expires too. Rows and bytes are counted by
triggers in `queued_write_account`, for each caller; the account without text is that of all rows.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import Readable, insert

QueuedState = Literal["waiting", "done", "refused", "expired"]
ALL: Final = ""
"""The account that counts every row."""


class QueuedRow(msgspec.Struct, frozen=True):
    """A write in the queue."""

    id: str
    origin: str
    """DID."""
    owner: str
    """Pseudonym of the caller here."""
    subject: str
    """Pseudonym of the caller for the origin."""
    actor: str
    """As whom the caller acts (`hansa.core.forwarding.Actor`), as JSON."""
    digest: bytes
    """Of the write, which outlasts it."""
    write: bytes
    """A `hansa.core.forwarding.ForwardedWrite`, as it is sent."""
    method: str
    path: str
    state: QueuedState
    attempts: int
    due_ms: int
    """When the next attempt is due."""
    created_ms: int
    expires_ms: int
    """When a waiting one is given up, and another one removed."""
    problem: str | None = None
    """Code of the last failure, or of the refusal."""
    reason: str | None = None
    """The same as a sentence of ours."""
    answer: bytes | None = None
    """A `hansa.core.forwarding.OriginAnswer`."""


class QueueAccount(msgspec.Struct, frozen=True):
    """What somebody has in the queue."""

    writes: int = 0
    size_bytes: int = 0


_FIELDS: Final = QueuedRow.__struct_fields__
_ROW: Final = RecordColumns(QueuedRow)
_ADD: Final = insert("queued_write", _FIELDS)
_SELECT: Final = f"SELECT {_ROW.sql} FROM queued_write"  # noqa: S608 - constants


async def by_id(source: Readable, id: str) -> QueuedRow | None:
    """A write of the queue."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE id = ?", (id,))
    return _ROW.record(rows[0]) if rows else None


async def account(source: Readable, owner: str) -> QueueAccount:
    """What a caller has in the queue, or all together (`ALL`)."""
    rows = await source.sql.fetch(
        "SELECT writes, size_bytes FROM queued_write_account WHERE owner = ?", (owner,)
    )
    return QueueAccount(*rows[0]) if rows else QueueAccount()


async def waiting_origins(store: Store) -> tuple[str, ...]:
    """Origins for which writes wait."""
    rows = await store.sql.fetch("SELECT DISTINCT origin FROM queued_write WHERE state = 'waiting'")
    return tuple(origin for (origin,) in rows)


async def next_waiting(store: Store, origin: str) -> QueuedRow | None:
    """The write for an origin that is due first, among those before which none waits for the same path."""
    rows = await store.sql.fetch(
        f"{_SELECT} WHERE origin = ? AND state = 'waiting' AND NOT EXISTS (SELECT 1 FROM queued_write AS before "  # noqa: S608 - a constant
        "WHERE before.origin = queued_write.origin AND before.path = queued_write.path "
        "AND before.state = 'waiting' AND (before.created_ms, before.id) < (queued_write.created_ms, queued_write.id)) "
        "ORDER BY due_ms, created_ms LIMIT 1",
        (origin,),
    )
    return _ROW.record(rows[0]) if rows else None


async def add(tx: Transaction, row: QueuedRow) -> None:
    """Put a write into the queue."""
    await tx.sql.execute(_ADD, msgspec.structs.astuple(row))


async def postpone(tx: Transaction, id: str, attempts: int, due_ms: int, problem: str, reason: str) -> None:
    """An attempt failed; the next one is due then."""
    await tx.sql.execute(
        "UPDATE queued_write SET attempts = ?, due_ms = ?, problem = ?, reason = ? WHERE id = ?",
        (attempts, due_ms, problem, reason, id),
    )


async def conclude(
    tx: Transaction,
    id: str,
    state: QueuedState,
    expires_ms: int,
    *,
    problem: str | None = None,
    reason: str | None = None,
    answer: bytes | None = None,
) -> None:
    """A write does not wait any more; what was to be sent is removed."""
    assert state != "waiting", "a concluded write has an outcome"
    await tx.sql.execute(
        "UPDATE queued_write SET state = ?, expires_ms = ?, problem = ?, reason = ?, answer = ?, write = x'' "
        "WHERE id = ?",
        (state, expires_ms, problem, reason, answer, id),
    )


async def remove_expired(tx: Transaction, now_ms: int) -> None:
    """Remove the records of outcomes that nobody may read any more."""
    await tx.sql.execute("DELETE FROM queued_write WHERE state != 'waiting' AND expires_ms <= ?", (now_ms,))
