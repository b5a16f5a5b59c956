"""The audit log of this marketplace (`hansa.core.audit`): records in a chain.

Each is appended in the transaction of what it tells. Nothing changes a record. `prune` removes the oldest
ones, and retains the hash of the last of them, from which the rest is verified; what was removed is a
record itself. The table refuses everything else: other numbers than the next one, changes, other removals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.audit import NO_HASH, AuditKind, AuditRecord, ChainStart, chained
from hansa.core.canonical import canonical_json
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert, upsert

Entry = tuple[AuditKind, Mapping[str, Any]]
"""What is done, and its content: positions, keys, members, pseudonyms and codes; nobody's name."""

_COLUMNS: Final = ("seq", "time", "kind", "content", "hash")
_ADD: Final = insert("audit_record", _COLUMNS)
_START: Final = upsert("audit_start", ("one", "seq", "hash"), ("one",))


async def append(tx: Transaction, kind: AuditKind, content: Mapping[str, Any]) -> None:
    """Append a record of what this transaction does."""
    await append_all(tx, ((kind, content),))


async def append_all(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Append records of what this transaction does, in order."""
    last, time = await head(tx), tx.time
    rows: list[tuple[int, str, str, bytes, bytes]] = []
    seq, hash = last.seq, last.hash
    for kind, content in entries:
        raw = canonical_json(content)
        seq += 1
        hash = chained(hash, seq, time, kind, raw)
        rows.append((seq, time, kind, raw, hash))
    await tx.sql.execute_many(_ADD, rows)


async def head(source: Readable) -> ChainStart:
    """Number and hash of the newest record; of the last that was pruned, when none is left."""
    rows = await source.sql.fetch("SELECT seq, hash FROM audit_record ORDER BY seq DESC LIMIT 1")
    return ChainStart(*rows[0]) if rows else await start(source)


async def start(source: Readable) -> ChainStart:
    """Where the log begins."""
    rows = await source.sql.fetch("SELECT seq, hash FROM audit_start")
    return ChainStart(*rows[0]) if rows else ChainStart(0, NO_HASH)


async def first_time(source: Readable) -> str | None:
    """When the oldest record was written, RFC 3339; None when there is none."""
    rows = await source.sql.fetch("SELECT time FROM audit_record ORDER BY seq LIMIT 1")
    return rows[0][0] if rows else None


async def page(source: Readable, after: int, limit: int) -> tuple[AuditRecord, ...]:
    """Records after a number, in order."""
    rows = await source.sql.fetch(
        "SELECT seq, time, kind, content, hash FROM audit_record WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return tuple(AuditRecord(*row) for row in rows)


async def newest(source: Readable, before: int, limit: int) -> tuple[AuditRecord, ...]:
    """Records before a number, the newest first."""
    rows = await source.sql.fetch(
        "SELECT seq, time, kind, content, hash FROM audit_record WHERE seq < ? ORDER BY seq DESC LIMIT ?",
        (before, limit),
    )
    return tuple(AuditRecord(*row) for row in rows)


async def prune(tx: Transaction, before: str, through: int, records_max: int, count_max: int) -> int:
    """Remove the oldest records; how many were removed.

    Args:
        tx: The transaction.
        before: Records that are older than this time, RFC 3339, are removed, as long as all are: clocks may
            have gone back.
        through: Of these, up to this number, so far as an anchor commits to them.
        records_max: How many may remain; of more, the oldest are removed whatever their age.
        count_max: How many are removed at most.
    """
    newest = await head(tx)
    rows = await tx.sql.fetch("SELECT seq, time, hash FROM audit_record ORDER BY seq LIMIT ?", (count_max,))
    last: ChainStart | None = None
    count = 0
    for seq, time, hash in rows:
        is_old = seq <= through and time < before
        if not is_old and newest.seq - seq < records_max:
            break
        last, count = ChainStart(seq, hash), count + 1
    if last is None:
        return 0
    await tx.sql.execute(_START, (1, *msgspec.structs.astuple(last)))
    await tx.sql.execute("DELETE FROM audit_record WHERE seq <= ?", (last.seq,))
    await append(tx, "pruned", {"count": count, "through": last.seq})
    return count
