"""Which replicas lack entities that they refer to, and which are here for the sake of their referrers.

A row is a reference that a replica needs (`hansa.replication.conditions.closure`) and whose target was not
here when it was looked at:

    missing     the target is not here; it may have been requested for the sake of this referrer
    required    the target is here, and was requested for the sake of this referrer: the conditions of this
                marketplace do not take it in by themselves

A reference whose target is here anyway has no row. Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert


class Need(msgspec.Struct, frozen=True):
    """A reference of a replica."""

    entity_id: str
    """The replica that refers."""
    target_id: str
    depth: int
    """References from a replica that is here for its own sake to the target."""
    since_ms: int
    """Since when it is looked for."""
    issuer: str | None = None
    """DID of the member of whom the target was requested; None: it was not."""
    target_key: str | None = None
    """Ledger key of the target there, hex."""
    is_missing: bool = True


class IncompleteReplica(msgspec.Struct, frozen=True):
    """A replica whose closure is not complete."""

    entity_id: str
    missing: int
    since_ms: int


_NEED: Final = RecordColumns(Need)
_INSERT: Final = insert("closure", Need.__struct_fields__)


async def needs_of(source: Readable, entity_id: str) -> tuple[Need, ...]:
    """The rows of a replica."""
    return await _where(source, "entity_id = ?", entity_id)


async def unrequested(source: Readable, since_ms: int, limit: int) -> tuple[Need, ...]:
    """Rows of targets that are missing and were not requested, which are looked for since a time at most."""
    return await _where(
        source,
        "is_missing = 1 AND issuer IS NULL AND since_ms >= ? ORDER BY since_ms LIMIT ?",
        since_ms,
        limit,
    )


async def waiting(source: Readable, after: str, limit: int) -> tuple[IncompleteReplica, ...]:
    """Replicas that lack something, by identifier after one."""
    rows = await source.sql.fetch(
        "SELECT entity_id, count(*), min(since_ms) FROM closure WHERE is_missing = 1 AND entity_id > ? "
        "GROUP BY entity_id ORDER BY entity_id LIMIT ?",
        (after, limit),
    )
    return tuple(IncompleteReplica(*row) for row in rows)


async def with_rows(source: Readable) -> tuple[tuple[str, bool], ...]:
    """Every replica with rows, and whether it lacks something."""
    rows = await source.sql.fetch("SELECT entity_id, max(is_missing) FROM closure GROUP BY entity_id")
    return tuple((entity_id, bool(is_missing)) for entity_id, is_missing in rows)


async def is_required(source: Readable, target_id: str) -> bool:
    """Whether an entity was requested for the sake of a replica that is here."""
    rows = await source.sql.fetch(
        "SELECT 1 FROM closure WHERE target_id = ? AND issuer IS NOT NULL LIMIT 1", (target_id,)
    )
    return bool(rows)


async def is_required_key(source: Readable, issuer: str, key: str) -> bool:
    """The same, by the ledger key (hex) of a member."""
    rows = await source.sql.fetch(
        "SELECT 1 FROM closure WHERE target_key = ? AND issuer = ? LIMIT 1", (key, issuer)
    )
    return bool(rows)


async def depth_of(source: Readable, entity_id: str) -> int:
    """How many references lead to an entity from one that is here for its own sake; 0 to such a one."""
    rows = await source.sql.fetch(
        "SELECT min(depth) FROM closure WHERE target_id = ? AND issuer IS NOT NULL", (entity_id,)
    )
    return int(rows[0][0] or 0)


async def replace(tx: Transaction, entity_id: str, needs: Sequence[Need]) -> tuple[str, ...]:
    """Give a replica these rows; targets that were requested for its sake, and are not needed any more.

    What was requested before stays as it is.
    """
    before = {one.target_id: one for one in await needs_of(tx, entity_id)}
    after = {one.target_id for one in needs}
    dropped = [one for one in before.values() if one.target_id not in after]
    for one in dropped:
        await tx.sql.execute(
            "DELETE FROM closure WHERE entity_id = ? AND target_id = ?", (entity_id, one.target_id)
        )
    for one in needs:
        if one.target_id not in before:
            await tx.sql.execute(_INSERT, msgspec.structs.astuple(one))
    return tuple(one.target_id for one in dropped if one.issuer is not None)


async def request(tx: Transaction, need: Need, issuer: str, key: str) -> None:
    """Note of whom a target is requested."""
    await tx.sql.execute(
        "UPDATE closure SET issuer = ?, target_key = ? WHERE entity_id = ? AND target_id = ?",
        (issuer, key, need.entity_id, need.target_id),
    )


async def arrived(tx: Transaction, target_id: str) -> tuple[str, ...]:
    """A target is here; the replicas that lacked it."""
    rows = await tx.sql.execute(
        "DELETE FROM closure WHERE target_id = ? AND issuer IS NULL RETURNING entity_id", (target_id,)
    )
    rows += await tx.sql.execute(
        "UPDATE closure SET is_missing = 0 WHERE target_id = ? RETURNING entity_id", (target_id,)
    )
    return tuple(row[0] for row in rows)


async def removed(tx: Transaction, target_id: str) -> tuple[str, ...]:
    """A target that was requested is not here any more; the replicas that lack it now."""
    rows = await tx.sql.execute(
        "UPDATE closure SET is_missing = 1 WHERE target_id = ? RETURNING entity_id", (target_id,)
    )
    return tuple(row[0] for row in rows)


async def _where(source: Readable, condition: str, *parameters: str | int) -> tuple[Need, ...]:
    rows = await source.sql.fetch(f"SELECT {_NEED.sql} FROM closure WHERE {condition}", parameters)  # noqa: S608 - constants
    return tuple(map(_NEED.record, rows))
