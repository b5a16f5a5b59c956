"""Delegations of other members that were used, so that none is used twice, also after a restart."""

from __future__ import annotations

from hansa.store.interface import Transaction
from hansa.store.sql import Readable


async def used_count(source: Readable, member: str) -> int:
    """How many delegations of a member are remembered."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM used_delegation WHERE member = ?", (member,))
    return int(count)


async def use(tx: Transaction, member: str, jti: str, forget_ms: int) -> bool:
    """Remember a delegation; False when it was used before."""
    rows = await tx.sql.execute(
        "INSERT INTO used_delegation (member, jti, forget_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (member, jti) DO NOTHING RETURNING jti",
        (member, jti, forget_ms),
    )
    return bool(rows)


async def forget(tx: Transaction, now_ms: int) -> None:
    """Forget the delegations that have expired for certain."""
    await tx.sql.execute("DELETE FROM used_delegation WHERE forget_ms <= ?", (now_ms,))
