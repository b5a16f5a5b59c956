"""Registrations at the hub, as the store keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.database.onboarding_tables import LISTENER_CALLERS
from hansa.store.sqlite.database.schema import MIGRATIONS
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import subscriptions
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress, DeliveryTotals, State


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    """A store in memory."""
    opened = await SqliteStore.open(None, ManualClock(), Limits())
    yield opened
    await opened.close()


async def registered(store: SqliteStore, *ids: str, topic: str = "") -> None:
    """Registrations of these identifiers."""
    async with store.transaction() as tx:
        for id in ids:
            assert await subscriptions.add(
                tx, id=id, api="TMF620", callback=f"http://{id}", query="", subscriber="s", topic=topic
            )


def letter(place: int, event_id: str = "e") -> DeadLetter:
    """A dead letter."""
    return DeadLetter(
        event_id, "catalogCreateEvent", place, "2026-01-01T00:00:00.000Z", 1, "listener-refused", 400
    )


async def test_what_happens_to_registrations_makes_the_revision_grow(store: SqliteStore) -> None:
    first = await subscriptions.revision(store)
    await registered(store, "a", "b")
    second = await subscriptions.revision(store)
    assert (second.revision, second.ended) == (first.revision + 2, 0)
    assert [one.id for one in await subscriptions.since(store, first.revision)] == ["a", "b"]
    assert await subscriptions.since(store, second.revision) == ()
    async with store.transaction() as tx:
        await subscriptions.resume(tx, "a")
        assert await subscriptions.resend(tx, "a") == 0
        await subscriptions.save(tx, [DeliveryProgress("b", 7)])
    assert [one.id for one in await subscriptions.since(store, second.revision)] == ["a"]
    assert await subscriptions.callbacks(store, second.revision) == {"http://a"}
    async with store.transaction() as tx:
        assert await subscriptions.remove(tx, "a")
        assert not await subscriptions.remove(tx, "a")
    assert (await subscriptions.revision(store)).ended == 1


async def test_a_position_never_goes_back_when_a_listener_is_passed_by(store: SqliteStore) -> None:
    await registered(store, "a", "b", "c")
    async with store.transaction() as tx:
        await subscriptions.save(
            tx, [DeliveryProgress("a", 10, is_behind=True), DeliveryProgress("b", 3, is_behind=True)]
        )
        await subscriptions.pass_by(tx, ["a", "b"], 7)
    found = {one.id: (one.position, one.is_behind) for one in await subscriptions.since(store, -1)}
    assert found == {"a": (10, True), "b": (7, False), "c": (0, False)}


async def test_letters_of_the_same_event_are_one_and_the_newest_stay(store: SqliteStore) -> None:
    await registered(store, "a")
    async with store.transaction() as tx:
        kept = tuple(letter(place, f"e{place}") for place in range(5))
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_added=kept)], 3)
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_added=(letter(4, "e4"),))], 3)
        await subscriptions.save(tx, [DeliveryProgress("gone", 1, dead_letters_added=(letter(1),))], 3)
    found, total = await subscriptions.dead_letters(store, "a")
    assert [(one.event_id, one.attempts) for one in found] == [("e2", 1), ("e3", 1), ("e4", 2)]
    assert total == 3
    shown = await subscriptions.get(store, "a")
    assert shown is not None
    assert shown.dead_letters_dropped == 2
    assert (await subscriptions.dead_letters(store, "gone"))[1] == 0
    async with store.transaction() as tx:
        assert await subscriptions.resend(tx, "a", "e3") == 1
        assert await subscriptions.resend(tx, "a", "none") == 0
    due, _ = await subscriptions.dead_letters(store, "a", due_only=True)
    assert [one.event_id for one in due] == ["e3"]
    async with store.transaction() as tx:
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_resolved=(3,))])
    assert (await subscriptions.dead_letters(store, "a"))[1] == 2


async def test_listeners_are_listed_by_state_and_their_deliveries_added_up(store: SqliteStore) -> None:
    await registered(store, "a", "b", "c")
    async with store.transaction() as tx:
        await subscriptions.save(
            tx,
            [
                DeliveryProgress("a", 1, delivered=5),
                DeliveryProgress("b", 1, delivered=2, failures=3, dead_letters_added=(letter(8), letter(16))),
                DeliveryProgress("c", 1, failures=9, is_paused=True),
            ],
        )
    assert await subscriptions.delivery_totals(store) == DeliveryTotals(delivered=7, dead_letters=2)
    states: dict[State, str] = {"active": "a", "failing": "b", "paused": "c"}
    for state, id in states.items():
        found, total = await subscriptions.page(
            store, "TMF620", subscriber=None, offset=0, limit=10, state=state
        )
        assert ([one.id for one in found], total) == ([id], 1)
        assert found[0].state == state


async def test_the_dead_letters_of_many_registrations_are_counted_by_few_statements(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"r{number}" for number in range(250)]
    await registered(store, *ids)
    async with store.transaction() as tx:
        letters = tuple(letter(place) for place in range(3))
        await subscriptions.save(
            tx, [DeliveryProgress(one, 1, dead_letters_added=letters) for one in ids[::2]]
        )
    statements: list[str] = []
    fetch = store.sql.fetch

    async def counting_fetch(sql: str, parameters: tuple[Parameter, ...] = ()) -> list[Row]:
        statements.append(sql)
        return await fetch(sql, parameters)

    monkeypatch.setattr(store.sql, "fetch", counting_fetch)
    counts = await subscriptions.dead_letter_counts(store, ids)
    assert counts == {one: 3 if number % 2 == 0 else 0 for number, one in enumerate(ids)}
    assert len(statements) == 3


async def test_registrations_of_an_older_store_go_on(tmp_path: Path) -> None:
    path, before = tmp_path / "store.db", MIGRATIONS[: MIGRATIONS.index(LISTENER_CALLERS)]
    older = await SqliteStore.open(path, ManualClock(), Limits(), migrations=before)
    async with older.transaction() as tx:
        for id in ("a", "b"):
            await tx.sql.execute(
                "INSERT INTO subscription (id, api, topic, callback, query, subscriber, position, secret) "
                "VALUES (?, 'TMF620', '', ?, '', 'me', 7, 's')",
                (id, id),
            )
        await tx.sql.execute(
            "INSERT INTO dead_letter (subscription, event_id, event_type, place, time, attempts, problem) "
            "VALUES ('a', 'e', 't', 1, 'now', 1, 'p')"
        )
    seen = await subscriptions.revision(older)
    await older.close()
    newer = await SqliteStore.open(path, ManualClock(), Limits())
    both = await subscriptions.since(newer, 0)
    assert [(one.id, one.position, one.secret, one.organization) for one in both] == [
        ("a", 7, "s", ""),
        ("b", 7, "s", ""),
    ]
    async with newer.transaction() as tx:
        assert await subscriptions.remove(tx, "a")
    after = await subscriptions.revision(newer)
    assert (after.revision, after.ended) == (seen.revision + 1, seen.ended + 1)
    assert await subscriptions.dead_letter_counts(newer, ["a"]) == {"a": 0}
    await newer.close()
