"""How far import and export jobs have got.

A job itself is an entity. What is here moves in the same transaction as what it accounts for: a job that is interrupted
goes on behind the last batch that was committed.
"""

from __future__ import annotations

import msgspec

from hansa.store.sqlite.commit.transaction import Transaction
from hansa.store.sqlite.store import Store


class JobProgress(msgspec.Struct, frozen=True):
    """How far a job has got."""

    id: str
    position: int = 0
    """How many records of its content are behind it."""
    done: int = 0
    """Entities written."""
    failed: int = 0
    """Records that were refused."""
    errors: tuple[str, ...] = ()
    """What was wrong with the first of them."""


async def get(store: Store, id: str) -> JobProgress | None:
    """How far a job has got; None when it is not known."""
    rows = store.fetch("SELECT id, position, done, failed, errors FROM job WHERE id = ?", (id,))
    if not rows:
        return None
    found, position, done, failed, errors = rows[0]
    return JobProgress(found, position, done, failed, msgspec.json.decode(errors, type=tuple[str, ...]))


async def identifiers(store: Store) -> frozenset[str]:
    """Identifiers of the jobs that are known."""
    return frozenset(id for (id,) in store.fetch("SELECT id FROM job"))


async def save(tx: Transaction, progress: JobProgress) -> None:
    """Note how far a job has got."""
    tx.execute(
        "INSERT INTO job VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, "
        "done = excluded.done, failed = excluded.failed, errors = excluded.errors",
        (
            *(progress.id, progress.position, progress.done, progress.failed),
            msgspec.json.encode(progress.errors).decode(),
        ),
    )


async def remove(tx: Transaction, id: str) -> None:
    """Forget a job."""
    tx.execute("DELETE FROM job WHERE id = ?", (id,))
