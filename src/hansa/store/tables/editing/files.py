"""Files that people import: their rows, and what became of them. A person has one at a time."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, upsert

EXPIRED_AT_ONCE_MAX: Final = 5

ImportState = Literal["mapping", "checked", "writing", "done"]
"""Columns wait for their fields; a report says what would be done; it is being done, or was
interrupted; it was done."""


class ImportFileRow(msgspec.Struct, frozen=True):
    """One file. Times are seconds since 1970."""

    subject: str
    """Whose it is: the pseudonym of a person."""
    id: str
    name: str
    """As the person's machine calls it."""
    kind: str
    """Of the entities in it; empty: each says it."""
    state: ImportState
    content: bytes
    """Its rows, as JSON."""
    mapping: bytes
    """What its columns are, as JSON."""
    report: bytes
    """What its rows come to, as JSON."""
    saved_s: int


_RECORD: Final = RecordColumns(ImportFileRow)
_SAVE: Final = upsert("import_file", ImportFileRow.__struct_fields__, ("subject",))
_SELECT: Final = f"SELECT {_RECORD.sql} FROM import_file"  # noqa: S608 - constants


async def file_of(source: Readable, subject: str) -> ImportFileRow | None:
    """The file of a person."""
    rows = await source.sql.fetch(f"{_SELECT} WHERE subject = ?", (subject,))
    return _RECORD.record(rows[0]) if rows else None


async def count_others(source: Readable, subject: str) -> int:
    """How many other people have one."""
    ((count,),) = await source.sql.fetch("SELECT count(*) FROM import_file WHERE subject <> ?", (subject,))
    return int(count)


async def save(tx: Transaction, row: ImportFileRow) -> None:
    """Record a file, in place of the one that the person has."""
    await tx.sql.execute(_SAVE, msgspec.structs.astuple(row))


async def remove(tx: Transaction, subject: str) -> None:
    """Remove the file of a person."""
    await tx.sql.execute("DELETE FROM import_file WHERE subject = ?", (subject,))


async def remove_expired(tx: Transaction, before_s: int) -> None:
    """Remove files that nobody has touched since a moment, the oldest first."""
    await tx.sql.execute(
        "DELETE FROM import_file WHERE subject IN "
        "(SELECT subject FROM import_file WHERE saved_s < ? ORDER BY saved_s, subject LIMIT ?)",
        (before_s, EXPIRED_AT_ONCE_MAX),
    )
