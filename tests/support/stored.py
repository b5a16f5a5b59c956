"""What tests look up in the database of a marketplace that no operation needs."""

from __future__ import annotations

import msgspec

from hansa.store import Store
from hansa.store.sqlite.store import SqliteStore


class Provenance(msgspec.Struct, frozen=True):
    """Where a replica comes from."""

    issuer: str
    version: int
    position: int
    """Of the event that proves it, on the ledger."""
    hashlink: str


async def provenance(store: Store, entity_id: str) -> Provenance | None:
    """Where a replica comes from; None when the entity is not one."""
    rows = await store.sql.fetch(
        "SELECT did, coalesce(replica_version, version), coalesce(replica_position, position), "
        "coalesce(replica_hashlink, hashlink) FROM head JOIN origin ON number = origin WHERE entity_id = ?",
        (entity_id,),
    )
    return Provenance(*rows[0]) if rows else None


async def damage(store: SqliteStore) -> list[str]:
    """What SQLite finds wrong with the file; nothing when it is sound."""
    results = [str(row[0]) for row in await store.sql.fetch("PRAGMA quick_check(100)")]
    return [] if results == ["ok"] else results
