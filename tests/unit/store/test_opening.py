"""Opening: migrations, what is refused, and what a refusal leaves untouched."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.core.limits import Limits
from hansa.store import Filter, Query
from hansa.store.index.plan import CollectionPlan
from hansa.store.sqlite.commit import checkpoints
from hansa.store.sqlite.database.connection import (
    PAGE_SIZE_BYTES,
    connect,
    is_empty_and_ours,
    open_for_writing,
)
from hansa.store.sqlite.database.schema import MIGRATIONS
from hansa.store.sqlite.store import SqliteStore
from tests.support.stored import damage
from tests.unit.store.drafts import OFFERING, draft, fill_index, opened, put

SECOND = "ALTER TABLE cursor ADD COLUMN note TEXT; CREATE TABLE second (n INTEGER PRIMARY KEY) STRICT;"


async def refused(path: Path) -> Fatal:
    with pytest.raises(Fatal) as failure:
        await SqliteStore.open(path, ManualClock(), Limits())
    return failure.value


async def test_a_store_that_is_reopened_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, draft("a"))
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]  # the log was copied in at closing
    async with opened(path) as store:
        assert await store.last_change() == 1
        await put(store, draft("b"))
        assert [c.seq for c in await store.changes(0, 9)] == [1, 2]
        assert await damage(store) == []


async def test_the_file_has_the_settings_that_were_chosen(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        settings = {
            name: store._write.execute(f"PRAGMA {name}").fetchall()[0][0]
            for name in ("page_size", "journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"page_size": 4096, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_a_new_store_is_what_all_migrations_make(tmp_path: Path) -> None:
    described = []
    for name, migrations in (("new.db", MIGRATIONS), ("migrated.db", list(MIGRATIONS))):
        connection = open_for_writing(tmp_path / name, "off", migrations)
        schema = connection.execute(
            "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()
        tables = [str(name) for kind, name, _ in schema if kind == "table"]
        rows = [sorted(connection.execute(f"SELECT * FROM {one}")) for one in tables]  # noqa: S608 - a constant
        marks = [connection.pragma(one) for one in ("user_version", "application_id", "page_size")]
        described.append((schema, rows, marks))
        connection.close()
        assert "entity" in tables
    assert described[0] == described[1]


async def test_what_another_process_has_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    late = connect(tmp_path / "store.db", "writing")
    async with opened(tmp_path / "store.db") as store:
        await put(store, draft("a"))
        with pytest.raises(apsw.BusyError):
            is_empty_and_ours(late)
    assert not is_empty_and_ours(late)
    late.close()


async def test_an_older_store_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, draft("a"))
    newer = await SqliteStore.open(path, ManualClock(), Limits(), migrations=(*MIGRATIONS, SECOND))
    assert await newer.sql.fetch("SELECT count(*) FROM second") == [(0,)]
    assert await newer.sql.fetch("PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert await newer.entity("a") is not None
    await newer.close()


async def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, draft("a"))
    broken = (*MIGRATIONS, SECOND, "DROP TABLE second; INSERT INTO nowhere VALUES (1);")
    with pytest.raises(apsw.SQLError):
        await SqliteStore.open(path, ManualClock(), Limits(), migrations=broken)
    store = await SqliteStore.open(path, ManualClock(), Limits(), migrations=broken[:-1])
    assert await store.sql.fetch("PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert await store.sql.fetch("SELECT count(*) FROM second") == [(0,)]
    assert await store.entity("a") is not None
    await store.close()


async def test_a_newer_store_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await SqliteStore.open(path, ManualClock(), Limits(), migrations=(*MIGRATIONS, SECOND))).close()
    before = path.read_bytes()
    failure = await refused(path)
    assert failure.code is Code.STORE_NEWER
    assert str(path) in failure.message
    assert "newer release" in failure.message
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"name,price\n" * 1000)
    assert (await refused(path)).code is Code.STORE_DAMAGED
    assert path.read_bytes() == b"name,price\n" * 1000


async def test_somebody_elses_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert (await refused(path)).code is Code.STORE_DAMAGED
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept_bytes", [100, 4096, 20_000])
async def test_a_truncated_store_is_refused(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, *(draft(f"e{n}", description="x" * 3000) for n in range(50)))
    path.write_bytes(path.read_bytes()[:kept_bytes])
    assert (await refused(path)).code is Code.STORE_DAMAGED


async def test_a_page_that_is_overwritten_is_reported_where_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, *(draft(f"e{n:03}", description="x" * 3000) for n in range(200)))
        ((root,),) = await store.sql.fetch(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_entity_1'"
        )
    with path.open("r+b") as file:
        file.seek((int(root) - 1) * PAGE_SIZE_BYTES)
        file.write(b"\xff" * PAGE_SIZE_BYTES)
    async with opened(path) as store:
        with pytest.raises(Fatal) as failure:
            await store.entity("e007")
        assert failure.value.code is Code.STORE_DAMAGED
        assert await damage(store) != []


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    failure = await refused(tmp_path / "missing" / "store.db")
    assert failure.code is Code.SETTINGS_INVALID
    assert "missing" in failure.message


OTHER = {OFFERING: CollectionPlan(status="state", indexed=(("place", "id"),))}


async def test_a_store_opened_with_another_plan_is_indexed_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    state = Query(OFFERING, (Filter(("state",), ("done",)),))
    place = Query(OFFERING, (Filter(("place", "id"), ("q",)),))
    category = Query(OFFERING, (Filter(("category", "id"), ("c",)),))
    async with opened(path) as store:
        await put(
            store,
            draft("a", place=[{"id": "p"}], category={"id": "c"}),
            draft("b", place={"id": "q"}, state="done"),
            draft("c", lifecycleStatus="Launched"),
            draft("d", "Category", state="done"),
        )
        await fill_index(store)
        rows = await store.sql.fetch("SELECT * FROM entity_index ORDER BY attribute, value, entity")
        assert len(rows) == 5
    for plan in (OTHER, OTHER):
        async with opened(path, plan=plan) as other:
            assert [(await other.list(query)).ids for query in (state, place, category)] == [
                ("b",),
                ("b",),
                ("a",),
            ]
            assert (await other.list(category)).total == 1
            assert await other.sql.fetch("SELECT count(*) FROM entity WHERE status = 'done'") == [(1,)]
            assert await other.counts() == {(OFFERING, True, True): 3, ("Category", True, True): 1}
    async with opened(path) as again:
        assert await again.sql.fetch("SELECT * FROM entity_index ORDER BY attribute, value, entity") == rows


async def test_a_plan_that_stays_the_same_indexes_nothing_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path, plan=OTHER) as store:
        await put(store, draft("a", place=[{"id": "p"}]), draft("d", "Category"))
        await fill_index(store)
        store._write.execute("DELETE FROM entity_index")
    async with opened(path, plan=OTHER) as store:
        assert await store.sql.fetch("SELECT * FROM entity_index") == []


async def test_a_collection_that_gets_a_plan_only_later_is_indexed_by_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await put(store, draft("a", state="done"))
    async with opened(path, plan=OTHER) as store:
        assert (await store.list(Query(OFFERING, (Filter(("state",), ("done",)),)))).total == 1
        assert store.unindexed_searches() == {}


async def test_the_log_stays_bounded_while_others_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(checkpoints, "LOG_PAGES_MAX", 60)
    path = tmp_path / "store.db"
    sizes: list[int] = []
    async with opened(path) as store:
        for n in range(150):
            await put(store, draft(f"e{n}", description="x" * 30_000))
            sizes.append((tmp_path / "store.db-wal").stat().st_size)
        assert len(await store.entities([f"e{n}" for n in range(150)])) == 150
    assert max(sizes) < 120 * 4200
    assert not (tmp_path / "store.db-wal").exists()
    async with opened(path) as store:
        assert await damage(store) == []
        assert await store.counts() == {(OFFERING, True, True): 150}
