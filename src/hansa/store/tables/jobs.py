"""How far import and export jobs have got.

A job itself is an entity. What is here moves in the same transaction as what it accounts for: a job that is
interrupted goes on behind the last batch that was committed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.store.interface import Store, Transaction
from hansa.store.sql import upsert


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


_COLUMNS: Final = JobProgress.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM job WHERE id = ?"  # noqa: S608 - constants
_SAVE: Final = upsert("job", _COLUMNS, ("id",))


async def get(store: Store, id: str) -> JobProgress | None:
    """How far a job has got; None when it is not known."""
    rows = await store.sql.fetch(_SELECT, (id,))
    if not rows:
        return None
    progress = dict(zip(_COLUMNS, rows[0], strict=True))
    return JobProgress(
        **{**progress, "errors": msgspec.json.decode(progress["errors"], type=tuple[str, ...])}
    )


async def identifiers(store: Store) -> frozenset[str]:
    """Identifiers of the jobs that are known."""
    return frozenset(row[0] for row in await store.sql.fetch("SELECT id FROM job"))


async def save(tx: Transaction, progress: JobProgress) -> None:
    """Note how far a job has got."""
    await tx.sql.execute(
        _SAVE,
        (
            progress.id,
            progress.position,
            progress.done,
            progress.failed,
            msgspec.json.encode(progress.errors).decode(),
        ),
    )


async def remove(tx: Transaction, id: str) -> None:
    """Forget a job."""
    await tx.sql.execute("DELETE FROM job WHERE id = ?", (id,))
