"""What people have marked as favourites, by the subject of whoever is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.store.interface import Transaction
from hansa.store.sql import Readable

FAVOURITES_MAX: Final = 50
"""Of one person."""


async def of(source: Readable, subject: str) -> tuple[str, ...]:
    """Identifiers of entities; the newest favourite first."""
    rows = await source.sql.fetch(
        "SELECT entity FROM favourite WHERE subject = ? ORDER BY added_ms DESC, entity LIMIT ?",
        (subject, FAVOURITES_MAX),
    )
    return tuple(str(entity) for (entity,) in rows)


async def add(tx: Transaction, subject: str, entities: Sequence[str], now_ms: int) -> bool:
    """Add favourites; False, and nothing is added, when there would be too many."""
    present = set(await of(tx, subject))
    new = [one for one in dict.fromkeys(entities) if one not in present]
    if len(present) + len(new) > FAVOURITES_MAX:
        return False
    await tx.sql.execute_many(
        "INSERT INTO favourite(subject, entity, added_ms) VALUES (?, ?, ?)",
        [(subject, one, now_ms) for one in new],
    )
    return True


async def remove(tx: Transaction, subject: str, entities: Sequence[str]) -> None:
    """Remove favourites; those that are none are passed over."""
    await tx.sql.execute_many(
        "DELETE FROM favourite WHERE subject = ? AND entity = ?", [(subject, one) for one in entities]
    )
