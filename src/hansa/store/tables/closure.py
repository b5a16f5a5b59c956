"""Which replicas lack entities that they refer to, and which are here for the sake of their referrers.

A row is a reference that a replica needs (`hansa.replication.conditions.closure`) and whose target was not
here when it was looked at:

    missing     the target is not here; it may have been requested for the sake of this referrer
    required    the target is here, and was requested for the sake of this referrer: the conditions of this
                marketplace do not take it in by themselves

A reference whose target is here anyway has no row. Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Transaction
from hansa.store.sql import Readable, insert, statements_for


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


async def needs_of(source: Readable, entity_ids: Collection[str]) -> dict[str, tuple[Need, ...]]:
    """The rows of some replicas, by replica; of one without rows there is no entry."""
    rows: dict[str, tuple[Need, ...]] = {}
    for statement in statements_for(f"SELECT {_NEED.sql} FROM closure WHERE entity_id", tuple(entity_ids)):  # noqa: S608 - constants
        for row in await source.sql.fetch(*statement):
            need = _NEED.record(row)
            rows[need.entity_id] = (*rows.get(need.entity_id, ()), need)
    return rows


async def targets_among(source: Readable, ids: Collection[str]) -> frozenset[str]:
    """Those of some entities that are the target of a row."""
    statements = statements_for("SELECT DISTINCT target_id FROM closure WHERE target_id", tuple(ids))
    return frozenset([target_id for each in statements for (target_id,) in await source.sql.fetch(*each)])


async def page(source: Readable, after: tuple[str, str], limit: int) -> tuple[Need, ...]:
    """Rows after those of a replica and a target, in the order of these."""
    rows = await source.sql.fetch(
        f"SELECT {_NEED.sql} FROM closure WHERE (entity_id, target_id) > (?, ?) "  # noqa: S608 - constants
        "ORDER BY entity_id, target_id LIMIT ?",
        (*after, limit),
    )
    return tuple(map(_NEED.record, rows))


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


async def is_any_requested(source: Readable) -> bool:
    """Whether any target was requested for the sake of a replica."""
    return bool(await source.sql.fetch("SELECT 1 FROM closure WHERE issuer IS NOT NULL LIMIT 1"))


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


async def depths_of(source: Readable, entity_ids: Collection[str]) -> dict[str, int]:
    """How many references lead to entities from those that are here for their own sake; none to these."""
    depths: dict[str, int] = {}
    for sql, parameters in statements_for(
        "SELECT target_id, min(depth) FROM closure WHERE issuer IS NOT NULL AND target_id", tuple(entity_ids)
    ):
        rows = await source.sql.fetch(f"{sql} GROUP BY target_id", parameters)
        depths |= {target_id: int(depth) for target_id, depth in rows}
    return depths


async def replace(
    tx: Transaction, after: Mapping[str, Sequence[Need]], before: Mapping[str, Sequence[Need]]
) -> tuple[str, ...]:
    """Give replicas these rows; targets that were requested for their sake, and are not needed any more.

    What was requested before stays as it is.

    Args:
        tx: The transaction.
        after: By replica, all its rows from now on.
        before: By replica, the rows that these replicas have.
    """
    had = {(one.entity_id, one.target_id): one for each in after for one in before.get(each, ())}
    has = {(one.entity_id, one.target_id): one for needs in after.values() for one in needs}
    assert all(entity_id in after for entity_id, _ in has), "a row is that of its replica"
    dropped = [one for name, one in had.items() if name not in has]
    await tx.sql.execute_many(
        "DELETE FROM closure WHERE entity_id = ? AND target_id = ?",
        [(one.entity_id, one.target_id) for one in dropped],
    )
    added = [one for name, one in has.items() if name not in had]
    await tx.sql.execute_many(_INSERT, [msgspec.structs.astuple(one) for one in added])
    return tuple(dict.fromkeys(one.target_id for one in dropped if one.issuer is not None))


async def request(tx: Transaction, needs: Sequence[Need], issuer: str, key: str) -> None:
    """Note of whom a target is requested for the sake of these."""
    await tx.sql.execute_many(
        "UPDATE closure SET issuer = ?, target_key = ? WHERE entity_id = ? AND target_id = ?",
        [(issuer, key, one.entity_id, one.target_id) for one in needs],
    )


async def wait_anew(tx: Transaction, now_ms: int) -> None:
    """Let what is missing be looked for as long as if it was missing since now."""
    await tx.sql.execute("UPDATE closure SET since_ms = ? WHERE is_missing = 1", (now_ms,))


async def arrived(tx: Transaction, target_ids: Sequence[str]) -> frozenset[str]:
    """Targets are here; the replicas that lacked them."""
    return await _concerned(tx, "DELETE FROM closure WHERE issuer IS NULL AND target_id", target_ids) | (
        await _concerned(tx, "UPDATE closure SET is_missing = 0 WHERE target_id", target_ids)
    )


async def removed(tx: Transaction, target_ids: Sequence[str]) -> frozenset[str]:
    """Targets that were requested are not here any more; the replicas that lack them now."""
    return await _concerned(tx, "UPDATE closure SET is_missing = 1 WHERE target_id", target_ids)


async def _concerned(tx: Transaction, sql: str, target_ids: Sequence[str]) -> frozenset[str]:
    rows = [
        row
        for statement, parameters in statements_for(sql, target_ids)
        for row in await tx.sql.execute(f"{statement} RETURNING entity_id", parameters)
    ]
    return frozenset([entity_id for (entity_id,) in rows])
