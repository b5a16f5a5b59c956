"""A store of a release that gave versions up opens, counts what it has, and reads the ledger once more."""

from __future__ import annotations

from pathlib import Path

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store.sqlite.database.connection import open_for_writing
from hansa.store.sqlite.database.replica_schema import HEADS
from hansa.store.sqlite.database.schema import _REPLICA_STATES, MIGRATIONS
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR, Retrieval
from tests.unit.store.drafts import draft

BEFORE = MIGRATIONS[: MIGRATIONS.index(_REPLICA_STATES)]
BEFORE_HEADS = MIGRATIONS[: MIGRATIONS.index(HEADS)]
TIME = "2026-01-01T00:00:00.000Z"
ISSUER = "did:x:1"


async def test_a_store_of_an_earlier_release_counts_its_replicas_and_reads_the_ledger_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    older = open_for_writing(path, "full", BEFORE)
    older.execute("INSERT INTO origin (did, deferred_after) VALUES (?, 7)", (ISSUER,))
    for number, name in enumerate("ab", 1):
        entity = draft(name, origin=ISSUER)
        older.execute(
            "INSERT INTO entity (number, id, type, origin, public, revision, modified, hashlink, body) "
            "VALUES (?, ?, ?, ?, 1, 1, ?, ?, ?)",
            (number, name, entity.type, ISSUER, TIME, entity.hashlink, entity.body),
        )
        older.execute(
            "INSERT INTO provenance VALUES (?, 1, ?, 1, 'hl:x', ?, ?)",
            (name, name.encode() * 32, number, TIME),
        )
    for position, name in enumerate("bc", 5):
        older.execute(
            "INSERT INTO retrieval (origin, key, type, version, hashlink, position, time, attempts, problem) "
            "VALUES (1, ?, 'ProductOffering', 2, 'hl:y', ?, ?, 3, 'hash-mismatch')",
            (name.encode() * 32, position, TIME),
        )
    older.execute("INSERT INTO cursor VALUES (?, 99)", (FOLLOWER_CURSOR,))
    older.close()
    store = await SqliteStore.open(path, ManualClock(), Limits())
    (origin,) = await origins.origins(store)
    assert (origin.stored, origin.pending, origin.failed, origin.heads) == (1, 2, 2, 0)
    sizes = [len(one.body) for one in (await store.entities(["a", "b"])).values()]
    assert origin.stored_bytes == sum(sizes)
    assert await store.cursor(FOLLOWER_CURSOR) == 0
    async with store.transaction() as tx:  # what the follower does when it reads the ledger again
        await origins.count_heads(tx, ISSUER, 4)
        for position, name in enumerate("abcd", 1):
            key = (name.encode() * 32).hex()
            version = Retrieval(ISSUER, key, "ProductOffering", 1, "hl:x", position, TIME)
            await heads.schedule(tx, version)
    (origin,) = await origins.origins(store)
    assert (origin.stored, origin.pending, origin.unaccounted) == (1, 3, 0)
    await store.close()


async def test_a_store_with_two_tables_of_states_has_one_with_the_same_states_and_counts(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    older = await SqliteStore.open(path, ManualClock(), Limits(), migrations=BEFORE_HEADS)
    async with older.transaction() as tx:
        await tx.sql.execute("INSERT INTO origin (did, heads) VALUES (?, 5)", (ISSUER,))
        for number, name in enumerate("ab", 1):  # a is as it was announced, b is an older version
            entity = await tx.put(draft(name, origin=ISSUER))
            await tx.sql.execute(
                "INSERT INTO provenance VALUES (?, 1, ?, 1, ?, ?, ?, ?)",
                (entity.id, name.encode() * 32, f"hl:{name}1", number, TIME, len(entity.body)),
            )
        for position, (name, state) in enumerate(
            [("b", "pending"), ("c", "rejected"), ("d", "deleted"), ("e", "pending")], 3
        ):
            await tx.sql.execute(
                "INSERT INTO retrieval (origin, key, type, version, hashlink, position, time, state, problem, "
                "reason, attempts, due_ms) VALUES (1, ?, 'Category', 2, ?, ?, ?, ?, 'hash-mismatch', 'why', 3, 99)",
                (name.encode() * 32, f"hl:{name}2", position, TIME, state),
            )
        before = await tx.sql.fetch("SELECT * FROM origin")
    await older.close()
    store = await SqliteStore.open(path, ManualClock(), Limits())
    assert await store.sql.fetch("SELECT * FROM origin") == [(*row, None) for row in before], "none is paused"
    (origin,) = await origins.origins(store)
    assert (origin.stored, origin.pending, origin.rejected, origin.deleted) == (1, 2, 1, 1)
    assert origin.unaccounted == 0
    found = {one.key: one for one in await heads.page(store, heads.STATES, None, 0, 9)}
    a, b, c, d, e = [found[(name.encode() * 32).hex()] for name in "abcde"]
    assert (a.state, a.version, a.hashlink, a.type, a.entity_id) == (
        "stored",
        1,
        "hl:a1",
        "ProductOffering",
        "a",
    )
    assert (b.state, b.version, b.replica_version, b.entity_id) == ("pending", 2, 1, "b")
    assert (b.proved_hashlink, a.proved_hashlink, c.proved_hashlink) == ("hl:b1", "hl:a1", None)
    assert (c.problem, c.reason, d.state, e.attempts, e.due_ms) == ("hash-mismatch", "why", "deleted", 3, 99)
    await store.close()
