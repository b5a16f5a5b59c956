"""What was ended before its time: tokens until they would have expired, and parties until they are let in.

A *party* is a subject, an organisation or a credential. Whatever was begun for it is over while it is here.
"""

from __future__ import annotations

from typing import Final, Literal

from hansa.store.interface import Transaction
from hansa.store.sql import Readable, upsert

PartyKind = Literal["subject", "organization", "credential"]

FORGOTTEN_AT_ONCE_MAX: Final = 50

_END_TOKEN: Final = upsert("ended_token", ("name", "forget_s"), ("name",))
_REMOVE_PARTY: Final = upsert("removed_party", ("kind", "name", "since_s"), ("kind", "name"))


async def ended_tokens(source: Readable) -> list[tuple[str, int]]:
    """The names of tokens and of families that were ended, and when they may be forgotten."""
    rows = await source.sql.fetch("SELECT name, forget_s FROM ended_token ORDER BY forget_s, name")
    return [(str(name), int(forget_s)) for name, forget_s in rows]


async def end_token(tx: Transaction, name: str, forget_s: int, now_s: int) -> None:
    """Record that a token or a family was ended, and forget others that have expired by now."""
    await tx.sql.execute(
        "DELETE FROM ended_token WHERE name IN "
        "(SELECT name FROM ended_token WHERE forget_s <= ? ORDER BY forget_s LIMIT ?)",
        (now_s, FORGOTTEN_AT_ONCE_MAX),
    )
    await tx.sql.execute(_END_TOKEN, (name, forget_s))


async def removed_parties(source: Readable) -> list[tuple[PartyKind, str, int]]:
    """All parties that were removed: kind, name, and since when in seconds since 1970."""
    rows = await source.sql.fetch(
        "SELECT kind, name, since_s FROM removed_party ORDER BY since_s, kind, name"
    )
    return [(kind, str(name), int(since_s)) for kind, name, since_s in rows]


async def remove_party(tx: Transaction, kind: PartyKind, name: str, since_s: int) -> None:
    """Record that a party was removed."""
    await tx.sql.execute(_REMOVE_PARTY, (kind, name, since_s))


async def readmit_party(tx: Transaction, kind: PartyKind, name: str) -> None:
    """Record that a party is let in again."""
    await tx.sql.execute("DELETE FROM removed_party WHERE kind = ? AND name = ?", (kind, name))
