"""Evidence of what members sent that was not valid, and conflicts over identifiers.

`evidence` counts, for each entity version and reason, what a member announced or sent that cannot be right
whoever looks at it. What depends on this marketplace alone (its limits, its clock, its proxy, a connection
that broke) is never in it. `conflict` names our entities whose identifier another member has claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.store.columns import RecordColumns
from hansa.store.interface import Store, Transaction
from hansa.store.sql import insert
from hansa.store.tables.heads import Retrieval

CONFLICTS_MAX: Final = 10_000
PROOFS_MAX: Final = 64
"""So many of the newest are retained."""


class Evidence(msgspec.Struct, frozen=True):
    """Something that a member sent and that was not valid."""

    issuer: str
    code: str
    key: str
    version: int
    position: int
    reason: str
    first_time: str
    last_time: str
    count: int
    is_proved: bool = False
    """Whether request and signed answer are retained, which show it to others."""


class Conflict(msgspec.Struct, frozen=True):
    """An entity of ours whose identifier another member has claimed on the ledger."""

    entity_id: str
    issuer: str
    first_position: int
    """Of the other member's claim."""
    time: str


_EVIDENCE: Final = RecordColumns(Evidence, is_proved="proof IS NOT NULL")
_CONFLICT: Final = RecordColumns(Conflict)
_CONFLICT_NEW: Final = (
    f"{insert('conflict', ('entity_id', 'issuer', 'first_position', 'time'))} ON CONFLICT DO NOTHING"
)


async def records(store: Store, limit: int) -> tuple[Evidence, ...]:
    """Evidence, newest first."""
    rows = await store.sql.fetch(f"SELECT {_EVIDENCE.sql} FROM evidence ORDER BY seq DESC LIMIT ?", (limit,))  # noqa: S608 - a constant
    return tuple(map(_EVIDENCE.record, rows))


async def records_of(store: Store, issuer: str, limit: int) -> tuple[Evidence, ...]:
    """Evidence against a member, newest first."""
    rows = await store.sql.fetch(
        f"SELECT {_EVIDENCE.sql} FROM evidence WHERE issuer = ? ORDER BY seq DESC LIMIT ?",  # noqa: S608 - a constant
        (issuer, limit),
    )
    return tuple(map(_EVIDENCE.record, rows))


async def proofs(store: Store, issuer: str) -> tuple[tuple[Evidence, bytes], ...]:
    """Evidence against a member of which others can be shown that it is so, newest first, with its proofs."""
    rows = await store.sql.fetch(
        f"SELECT {_EVIDENCE.sql}, proof FROM evidence WHERE issuer = ? AND proof IS NOT NULL ORDER BY seq DESC",  # noqa: S608 - a constant
        (issuer,),
    )
    return tuple((_EVIDENCE.record(row[:-1]), row[-1]) for row in rows)


async def proof_counts(store: Store) -> dict[str, int]:
    """Records of evidence that have a proof, by issuer."""
    rows = await store.sql.fetch(
        "SELECT issuer, count(*) FROM evidence WHERE proof IS NOT NULL GROUP BY issuer"
    )
    return {issuer: int(count) for issuer, count in rows}


async def counts(store: Store) -> dict[tuple[str, str], int]:
    """Records of evidence by (issuer, code)."""
    rows = await store.sql.fetch("SELECT issuer, code, count(*) FROM evidence GROUP BY issuer, code")
    return {(issuer, code): int(count) for issuer, code, count in rows}


async def conflicts(store: Store, limit: int) -> tuple[Conflict, ...]:
    """Our entities whose identifier another member has claimed."""
    rows = await store.sql.fetch(f"SELECT {_CONFLICT.sql} FROM conflict LIMIT ?", (limit,))  # noqa: S608 - a constant
    return tuple(map(_CONFLICT.record, rows))


async def conflict_count(store: Store) -> int:
    """How many conflicts there are."""
    ((count,),) = await store.sql.fetch("SELECT count(*) FROM conflict")
    return int(count)


async def record(tx: Transaction, retrieval: Retrieval, code: str, reason: str, rows_max: int) -> None:
    """Count what was not valid of a version; beyond `rows_max` rows the oldest are removed."""
    await tx.sql.execute(
        "INSERT INTO evidence (issuer, code, key, version, position, reason, first_time, last_time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issuer, key, version, code) DO UPDATE SET "
        "count = evidence.count + 1, last_time = excluded.last_time, position = excluded.position, "
        "reason = excluded.reason",
        (
            retrieval.issuer,
            code,
            bytes.fromhex(retrieval.key),
            retrieval.version,
            retrieval.position,
            reason,
            tx.time,
            tx.time,
        ),
    )
    await tx.sql.execute(
        "DELETE FROM evidence WHERE seq <= (SELECT seq FROM evidence ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (rows_max,),
    )


async def record_proof(tx: Transaction, retrieval: Retrieval, code: str, proof: bytes) -> None:
    """Retain what shows to others what was not valid, with its evidence, if there is some."""
    await tx.sql.execute(
        "UPDATE evidence SET proof = ? WHERE issuer = ? AND key = ? AND version = ? AND code = ?",
        (proof, retrieval.issuer, bytes.fromhex(retrieval.key), retrieval.version, code),
    )
    await tx.sql.execute(
        "UPDATE evidence SET proof = NULL WHERE proof IS NOT NULL AND seq <= (SELECT seq FROM evidence "
        "WHERE proof IS NOT NULL ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (PROOFS_MAX,),
    )


async def record_conflicts(tx: Transaction, conflicts: Iterable[tuple[str, str, int]]) -> None:
    """Note (entity, issuer, first position) of others' claims on our identifiers; `CONFLICTS_MAX` at most."""
    for entity_id, issuer, first_position in conflicts:
        ((count,),) = await tx.sql.fetch("SELECT count(*) FROM conflict")
        if count >= CONFLICTS_MAX:
            return
        await tx.sql.execute(_CONFLICT_NEW, (entity_id, issuer, first_position, tx.time))


async def resolve_conflicts(tx: Transaction, entity_id: str) -> None:
    """An entity of ours does not use an identifier any more that another member has claimed."""
    await tx.sql.execute("DELETE FROM conflict WHERE entity_id = ?", (entity_id,))
