"""Drafts of forms: what somebody has typed and not put into the catalogue yet."""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, upsert

EXPIRED_AT_ONCE_MAX: Final = 20
"""Drafts whose time is over that one save removes; more than it adds, so that they do not gather."""


class FormDraftRow(msgspec.Struct, frozen=True):
    """One draft. Times are seconds since 1970."""

    id: str
    subject: str
    """Whose it is: the pseudonym of a person."""
    kind: str
    """Of the form."""
    entity: str
    """Identifier of the entity that it changes; empty: of none, it is a new one."""
    version: str
    """Hashlink that the entity had when the form was opened; empty of a new one."""
    base: bytes
    """The attributes that the form began with, as JSON."""
    content: bytes
    """What was typed, as JSON."""
    created_s: int
    saved_s: int


_RECORD: Final = RecordColumns(FormDraftRow)
_SAVE: Final = upsert("form_draft", FormDraftRow.__struct_fields__, ("id",))
_SELECT: Final = f"SELECT {_RECORD.sql} FROM form_draft"  # noqa: S608 - constants


async def draft(source: Readable, subject: str, id: str) -> FormDraftRow | None:
    """A draft of a person; None of somebody else's, too."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE id = ? AND subject = ?", (id, subject))
    return _RECORD.record(rows[0]) if rows else None


async def drafts_of(source: Readable, subject: str) -> tuple[FormDraftRow, ...]:
    """All drafts of a person, which are bounded; the one saved last comes first."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE subject = ? ORDER BY saved_s DESC, id", (subject,))
    return tuple(map(_RECORD.record, rows))


async def count_of(source: Readable, subject: str) -> int:
    """How many a person has."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM form_draft WHERE subject = ?", (subject,))
    return int(count)


async def count(source: Readable) -> int:
    """How many there are in all."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM form_draft")
    return int(count)


async def save(tx: Transaction, row: FormDraftRow) -> None:
    """Record a draft, in place of the one with its identifier."""
    await tx.sql.execute(_SAVE, msgspec.structs.astuple(row))


async def remove(tx: Transaction, subject: str, id: str) -> None:
    """Remove a draft of a person."""
    await tx.sql.execute("DELETE FROM form_draft WHERE id = ? AND subject = ?", (id, subject))


async def remove_expired(tx: Transaction, before_s: int) -> None:
    """Remove drafts that nobody has saved since a moment, the oldest first."""
    await tx.sql.execute(
        "DELETE FROM form_draft WHERE id IN "
        "(SELECT id FROM form_draft WHERE saved_s < ? ORDER BY saved_s, id LIMIT ?)",
        (before_s, EXPIRED_AT_ONCE_MAX),
    )
