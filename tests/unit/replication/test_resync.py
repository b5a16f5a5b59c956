"""A store that is not as the ledger says, in every way there is, is compared and repaired."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.identifiers import entity_key
from hansa.replication.continuity import resync
from hansa.replication.continuity.resync import WALKS, StoreDifference
from hansa.store import Entity, EntityDraft
from hansa.store.tables import heads, origins, publications
from tests.support.league import League, Marketplace

NAMES: Final = [f"n{n}" for n in range(12)]


async def compared(member: Marketplace, *, is_repair: bool) -> list[StoreDifference]:
    """A whole comparison."""
    differences: list[StoreDifference] = []
    for walk in WALKS:
        after: str | None = ""
        while after is not None:
            part = await member.resync.compare(walk, after, is_repair=is_repair)
            differences += part.differences
            after = part.next_after
    return differences


async def entity_of(member: Marketplace, entity_id: str) -> Entity:
    entity = await member.store.entity(entity_id)
    assert entity is not None
    return entity


async def forget_state(bergen: Marketplace, lubeck: Marketplace, entity_id: str) -> None:
    async with bergen.store.transaction() as tx:
        await heads.forget(tx, lubeck.did, entity_key(lubeck.did, entity_id))


async def lose_replica(bergen: Marketplace, _: Marketplace, entity_id: str) -> None:
    async with bergen.store.transaction() as tx:
        await tx.delete(entity_id)


async def lose_both(bergen: Marketplace, lubeck: Marketplace, entity_id: str) -> None:
    await lose_replica(bergen, lubeck, entity_id)
    await forget_state(bergen, lubeck, entity_id)


async def alter_bytes(bergen: Marketplace, _: Marketplace, entity_id: str) -> None:
    entity = await entity_of(bergen, entity_id)
    body = canonical_json({"@type": entity.type, "id": entity_id, "name": "altered"})
    async with (
        bergen.store.transaction() as tx
    ):  # with the hashlink of the true bytes, as a broken disk leaves it
        await tx.put(
            EntityDraft(entity_id, entity.type, body, entity.hashlink, public=True, origin=entity.origin)
        )


async def alter_bytes_and_hashlink(bergen: Marketplace, _: Marketplace, entity_id: str) -> None:
    entity = await entity_of(bergen, entity_id)
    body = canonical_json({"@type": entity.type, "id": entity_id, "name": "altered"})
    async with bergen.store.transaction() as tx:
        await tx.put(
            EntityDraft(entity_id, entity.type, body, hashlink(body), public=True, origin=entity.origin)
        )


DAMAGES: Final[dict[str, tuple[Callable[..., Awaitable[None]], set[str]]]] = {
    "state": (forget_state, {"unknown", "surplus"}),
    "replica": (lose_replica, {"absent"}),
    "both": (lose_both, {"unknown"}),
    "bytes": (alter_bytes, {"altered"}),
    "bytes-and-hashlink": (alter_bytes_and_hashlink, {"altered"}),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_store_is_as_the_ledger_says_again(league: League, name: str) -> None:
    damage, kinds = DAMAGES[name]
    lubeck, bergen, riga = league.marketplaces
    for one in NAMES:
        await lubeck.put(one, name=one)
    await league.settle()
    assert await compared(bergen, is_repair=True) == []
    for one in NAMES[::3]:
        await damage(bergen, lubeck, lubeck.id(one))
    before = await bergen.store.last_change()
    first = await compared(bergen, is_repair=False)
    assert {one.kind for one in first} <= kinds
    assert {one.key for one in first} == {entity_key(lubeck.did, lubeck.id(one)) for one in NAMES[::3]}
    assert not any(one.is_repaired for one in first)
    assert await bergen.store.last_change() == before
    assert await compared(bergen, is_repair=False) == first
    assert all(one.is_repaired for one in await compared(bergen, is_repair=True))
    await league.settle()
    assert await compared(bergen, is_repair=True) == []
    assert await bergen.catalogue() == await riga.catalogue()
    assert [origin.unaccounted for origin in await origins.origins(bergen.store)] == [0]
    for one in NAMES:
        assert (await entity_of(bergen, lubeck.id(one))).body == (await entity_of(riga, lubeck.id(one))).body


async def test_what_was_deleted_and_what_nobody_published_goes(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    deleted = await lubeck.put("deleted", name="x")
    await league.settle()
    entity = await entity_of(bergen, deleted)
    await lubeck.delete(deleted)
    await league.settle()
    body = canonical_json({"@type": "ProductOffering", "id": "urn:x:invented", "name": "x"})
    invented = EntityDraft(
        "urn:x:invented", "ProductOffering", body, hashlink(body), public=True, origin=lubeck.did
    )
    kept = EntityDraft(entity.id, entity.type, entity.body, entity.hashlink, public=True, origin=lubeck.did)
    async with bergen.store.transaction() as tx:
        await tx.put(invented)
        await tx.put(kept)
    kinds = {one.entity_id: one.kind for one in await compared(bergen, is_repair=True)}
    assert kinds == {"urn:x:invented": "surplus", deleted: "surplus"}
    assert await bergen.catalogue() == {}
    assert await compared(bergen, is_repair=True) == []


async def test_own_entities_that_differ_are_announced_and_lost_ones_are_listed(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    changed, lost = await lubeck.put("changed", name="1"), await lubeck.put("lost", name="1")
    await league.settle()
    async with lubeck.store.transaction() as tx:
        await tx.sql.execute("DELETE FROM publication WHERE entity_id = ?", (lost,))
        await tx.sql.execute(
            "UPDATE publication SET version = 0, hashlink = NULL WHERE entity_id = ?", (changed,)
        )
    kinds = {one.kind for one in await compared(lubeck, is_repair=False)}
    assert kinds == {"lost", "older"}
    assert await publications.lost(lubeck.store, 0, 10) == ()
    await compared(lubeck, is_repair=True)
    assert [one.key for one in await publications.lost(lubeck.store, 0, 10)] == [entity_key(lubeck.did, lost)]
    await league.settle()
    assert "older" not in {one.kind for one in await compared(lubeck, is_repair=True)}
    assert (await bergen.catalogue())[changed][0] == (await entity_of(lubeck, changed)).hashlink


async def test_a_comparison_is_interrupted_and_continued_at_any_place(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync, "KEYS_MAX", 100)
    monkeypatch.setattr(resync, "AT_ONCE", 40)
    lubeck, bergen, _ = league.marketplaces
    for one in range(500):
        await lubeck.put(f"m{one:03}", name=str(one))
    await league.settle(timeout_s=600)
    for one in range(0, 500, 50):
        await lose_both(bergen, lubeck, lubeck.id(f"m{one:03}"))
    places: list[str | None] = [""]
    for number in itertools.count():
        part = await bergen.resync.compare("ledger", places[number] or "", is_repair=False)
        places.append(part.next_after)
        if part.next_after is None:
            break
    assert len(places) > 3
    repaired = 0
    for place in [*places[:-1], *places[:-1]]:  # twice: what was repaired is left alone
        repaired += len((await bergen.resync.compare("ledger", place or "", is_repair=True)).differences)
    assert repaired == 10
    await league.settle()
    assert len(await bergen.catalogue()) == 500


async def test_what_is_still_to_be_followed_is_left_to_the_follower(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await lubeck.put("one", name="1")
    await league.settle()
    await bergen.stop()
    await lubeck.put("two", name="2")
    await league.run(5)
    assert await compared(bergen, is_repair=True) == []
    bergen.start()
    await league.settle()
    assert len(await bergen.catalogue()) == 2
