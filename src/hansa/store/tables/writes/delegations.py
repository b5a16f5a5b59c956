"""Delegations of other members that were used, so that none is used twice, also after a restart.

How many of each member are remembered is counted by triggers, in `delegation_account`.
"""

from __future__ import annotations

from typing import Final

from hansa.store.interface import Transaction
from hansa.store.sql import Readable

FORGOTTEN_AT_ONCE_MAX: Final = 50
"""Expired rows that one use removes; more than it adds, so that they do not gather."""


async def used_count(source: Readable, member: str) -> int:
    """How many delegations of a member are remembered."""
    rows = await source.sql.fetch("SELECT used FROM delegation_account WHERE member = ?", (member,))
    return int(rows[0][0]) if rows else 0


async def use(tx: Transaction, member: str, jti: str, forget_ms: int) -> bool:
    """Remember a delegation; False when it was used before."""
    rows = await tx.sql.execute(
        "INSERT INTO used_delegation (member, jti, forget_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (member, jti) DO NOTHING RETURNING jti",
        (member, jti, forget_ms),
    )
    return bool(rows)


async def forget(tx: Transaction, now_ms: int) -> None:
    """Forget the oldest delegations that have expired for certain."""
    await tx.sql.execute(
        "DELETE FROM used_delegation WHERE (member, jti) IN (SELECT member, jti FROM used_delegation "
        "WHERE forget_ms <= ? ORDER BY forget_ms LIMIT ?)",
        (now_ms, FORGOTTEN_AT_ONCE_MAX),
    )
