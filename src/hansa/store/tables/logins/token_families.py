"""Families of tokens: what follows from one authorization, and the refresh token that is good for it now.

A refresh token is good once, and the next one takes its place. Whoever uses one that was used before shows
that somebody else has it too: the family ends, whose ever it is (RFC 9700, section 4.14).
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert

EXPIRED_AT_ONCE_MAX: Final = 50
"""Expired families that one write removes; more than it adds, so that they do not gather."""


class FamilyRow(msgspec.Struct, frozen=True):
    """One family."""

    handle: bytes
    """Digest of the part of its refresh tokens that stays the same."""
    name: str
    """By which its access tokens name it."""
    secret: bytes
    """Digest of the part that the refresh token has which is good now."""
    subject: str
    client: str
    content: bytes
    """What was authorized, as `hansa.identity` encoded it."""
    ends_s: int
    """From then on it is over; seconds since 1970."""


_COLUMNS: Final = ("handle", "name", "secret", "subject", "client", "content", "ends_s")
_ADD: Final = insert("token_family", _COLUMNS)
_SELECT: Final = "SELECT handle, name, secret, subject, client, content, ends_s FROM token_family"


async def by_handle(source: Readable, handle: bytes) -> FamilyRow | None:
    """A family, by its handle."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE handle = ?", (handle,))
    return FamilyRow(*rows[0]) if rows else None


async def oldest_of(source: Readable, subject: str, client: str) -> list[str]:
    """The names of the families that a subject has with a client, those that end first before the others."""
    rows = await source.sql.fetch(
        "SELECT name FROM token_family WHERE subject = ? AND client = ? ORDER BY ends_s, name",
        (subject, client),
    )
    return [str(name) for (name,) in rows]


async def count(source: Readable) -> int:
    """How many there are."""
    ((families,),) = await source.sql.fetch("SELECT count(*) FROM token_family")
    return int(families)


async def add(tx: Transaction, row: FamilyRow) -> None:
    """Record a family."""
    await tx.sql.execute(_ADD, msgspec.structs.astuple(row))


async def rotate(tx: Transaction, handle: bytes, before: bytes, after: bytes) -> bool:
    """Have another refresh token take the place of the one that is good; False when that is another one."""
    rows = await tx.sql.execute(
        "UPDATE token_family SET secret = ? WHERE handle = ? AND secret = ? RETURNING handle",
        (after, handle, before),
    )
    return bool(rows)


async def remove(tx: Transaction, name: str) -> None:
    """Remove a family that has ended."""
    await tx.sql.execute("DELETE FROM token_family WHERE name = ?", (name,))


async def remove_expired(tx: Transaction, now_s: int) -> None:
    """Remove families whose time is over."""
    await tx.sql.execute(
        "DELETE FROM token_family WHERE handle IN "
        "(SELECT handle FROM token_family WHERE ends_s <= ? ORDER BY ends_s LIMIT ?)",
        (now_s, EXPIRED_AT_ONCE_MAX),
    )
