"""Sessions of browsers, by the digest of what the browser has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert


class SessionRow(msgspec.Struct, frozen=True):
    """One session. Times are seconds since 1970."""

    name: bytes
    """Digest of the identifier that the browser has."""
    subject: str
    principal: bytes
    """Who it is, as `hansa.identity` encoded it."""
    begun_s: int
    seen_s: int
    """When it was last used, a minute less or more."""
    ends_s: int
    """Last second, if it is used until then."""


_COLUMNS: Final = ("name", "subject", "principal", "begun_s", "seen_s", "ends_s")
_ADD: Final = insert("browser_session", _COLUMNS)


async def all_of(source: Readable) -> list[SessionRow]:
    """All sessions, oldest first; their number is bounded by whoever adds them."""
    rows = await source.sql.fetch(
        "SELECT name, subject, principal, begun_s, seen_s, ends_s FROM browser_session ORDER BY begun_s, name"
    )
    return [SessionRow(*row) for row in rows]


async def add(tx: Transaction, row: SessionRow) -> None:
    """Record a session."""
    await tx.sql.execute(_ADD, msgspec.structs.astuple(row))


async def note_use(tx: Transaction, seen: Sequence[tuple[bytes, int]]) -> None:
    """Record when sessions were last used: their names and seconds since 1970."""
    await tx.sql.execute_many(
        "UPDATE browser_session SET seen_s = ? WHERE name = ?", [(seen_s, name) for name, seen_s in seen]
    )


async def remove(tx: Transaction, names: Sequence[bytes]) -> None:
    """Remove sessions that have ended."""
    await tx.sql.execute_many("DELETE FROM browser_session WHERE name = ?", [(name,) for name in names])
