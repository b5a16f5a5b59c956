"""A store of a release that gave versions up opens, counts what it has, and reads the ledger once more."""

from __future__ import annotations

from pathlib import Path

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store.sqlite.database.schema import _REPLICA_STATES, MIGRATIONS
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import retrievals
from hansa.store.tables.retrievals import FOLLOWER_CURSOR, Retrieval
from tests.unit.store.drafts import draft

BEFORE = MIGRATIONS[: MIGRATIONS.index(_REPLICA_STATES)]
TIME = "2026-01-01T00:00:00.000Z"
ISSUER = "did:x:1"


async def test_a_store_of_an_earlier_release_counts_its_replicas_and_reads_the_ledger_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    older = await SqliteStore.open(path, ManualClock(), Limits(), migrations=BEFORE)
    async with older.transaction() as tx:
        await tx.sql.execute("INSERT INTO origin (did, deferred_after) VALUES (?, 7)", (ISSUER,))
        for number, name in enumerate("ab", 1):
            entity = await tx.put(draft(name, origin=ISSUER))
            await tx.sql.execute(
                "INSERT INTO provenance VALUES (?, 1, ?, 1, 'hl:x', ?, ?)",
                (entity.id, name.encode() * 32, number, TIME),
            )
        for position, name in enumerate("bc", 5):
            await tx.sql.execute(
                "INSERT INTO retrieval (origin, key, type, version, hashlink, position, time, attempts, problem) "
                "VALUES (1, ?, 'ProductOffering', 2, 'hl:y', ?, ?, 3, 'hash-mismatch')",
                (name.encode() * 32, position, TIME),
            )
        await tx.set_cursor(FOLLOWER_CURSOR, 99)
    await older.close()
    store = await SqliteStore.open(path, ManualClock(), Limits())
    (origin,) = await retrievals.origins(store)
    assert (origin.stored, origin.pending, origin.failed, origin.heads) == (1, 2, 2, 0)
    sizes = [len(one.body) for one in (await store.entities(["a", "b"])).values()]
    assert origin.stored_bytes == sum(sizes)
    assert await store.cursor(FOLLOWER_CURSOR) == 0
    async with store.transaction() as tx:  # what the follower does when it reads the ledger again
        await retrievals.count_heads(tx, ISSUER, 4)
        for position, name in enumerate("abcd", 1):
            key = (name.encode() * 32).hex()
            version = Retrieval(ISSUER, key, "ProductOffering", 1, "hl:x", position, TIME)
            await retrievals.schedule(tx, version)
    (origin,) = await retrievals.origins(store)
    assert (origin.stored, origin.pending, origin.unaccounted) == (1, 3, 0)
    await store.close()
