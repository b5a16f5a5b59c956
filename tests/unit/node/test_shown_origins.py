"""What pages say of the origin and the proof of an entity, in a league in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hansa.node.parts.pages.origins import HISTORY_MAX, LedgerOrigins
from hansa.portal.catalogue.origins import Provenance
from hansa.pubsub.memory import MemoryBus
from hansa.replication.registry import MemberRegistry
from tests.support.league import League, Marketplace


@pytest.fixture
async def league() -> AsyncIterator[League]:
    async with League(["lubeck", "bergen"]) as league:
        league.start()
        yield league


async def origins_of(league: League, marketplace: Marketplace) -> LedgerOrigins:
    known = await league.marketplaces[0].bus.members()
    registry = MemberRegistry(marketplace.bus, league.clock, known)
    return LedgerOrigins(marketplace.did, "here", marketplace.store, marketplace.bus, registry, league.clock)


async def shown(league: League, marketplace: Marketplace, entity_id: str) -> Provenance:
    entity = await marketplace.store.entity(entity_id)
    assert entity is not None
    return await (await origins_of(league, marketplace)).provenance(entity)


async def test_origin_and_replica_name_the_same_event(league: League) -> None:
    lubeck, bergen = league.marketplaces
    offering = await lubeck.put("1", name="a")
    await league.settle()
    await lubeck.put("1", name="b")
    await league.settle()
    own, replica = await shown(league, lubeck, offering), await shown(league, bergen, offering)
    assert own.announced is not None
    assert own.announced == replica.announced
    assert (own.announced.version, own.announced.status) == (2, "Launched")
    assert (own.member, own.is_own, replica.member, replica.is_own) == ("here", True, "lubeck", False)
    assert replica.endpoint == lubeck.endpoint
    assert own.receipt == replica.receipt


async def test_the_history_has_all_versions_the_newest_first(league: League) -> None:
    lubeck, bergen = league.marketplaces
    offering = lubeck.id("1")
    for name in ("a", "b", "c"):
        await lubeck.put("1", name=name)
        await lubeck.put("other", name=name)
        await league.settle()
    entity = await bergen.store.entity(offering)
    assert entity is not None
    history = await (await origins_of(league, bergen)).history(entity)
    assert [one.version for one in history] == [3, 2, 1]
    own = await lubeck.store.entity(offering)
    assert own is not None
    assert await (await origins_of(league, lubeck)).history(own) == history


async def test_the_history_of_what_changed_often_has_its_newest_versions(league: League) -> None:
    lubeck, _ = league.marketplaces
    for number in range(HISTORY_MAX + 5):
        await lubeck.put("1", name=f"name {number}")
        await league.settle()
    entity = await lubeck.store.entity(lubeck.id("1"))
    assert entity is not None
    history = await (await origins_of(league, lubeck)).history(entity)
    assert [one.version for one in history] == list(range(HISTORY_MAX + 5, 5, -1))


async def test_what_was_never_published_has_no_proof(league: League) -> None:
    lubeck, _ = league.marketplaces
    draft = await lubeck.put("draft", status="In design", name="x")
    await league.settle()
    provenance = await shown(league, lubeck, draft)
    assert (provenance.announced, provenance.receipt, provenance.is_ledger_silent) == (None, None, False)


async def test_a_silent_ledger_differs_from_nothing_published(league: League) -> None:
    lubeck, bergen = league.marketplaces
    offering = await lubeck.put("1", name="a")
    await league.settle()
    assert isinstance(bergen.bus, MemoryBus)
    bergen.bus.is_connected = False
    provenance = await shown(league, bergen, offering)
    assert (provenance.announced, provenance.is_ledger_silent, provenance.member) == (None, True, "lubeck")
    entity = await bergen.store.entity(offering)
    assert entity is not None
    assert await (await origins_of(league, bergen)).history(entity) == ()


async def test_a_replica_whose_origin_is_down_says_that_it_is_behind_and_since_when(league: League) -> None:
    lubeck, bergen = league.marketplaces
    offering = await lubeck.put("1", name="a")
    await league.settle()
    league.network.down.add(lubeck.endpoint)
    await lubeck.put("1", name="b")
    await league.run(120, 1.0)
    provenance = await shown(league, bergen, offering)
    assert provenance.announced is not None
    assert (provenance.announced.version, provenance.newest_version) == (1, 2)
    assert provenance.failing_since is not None


async def test_a_member_that_the_registry_does_not_know_is_named_by_its_did(league: League) -> None:
    origins = await origins_of(league, league.marketplaces[0])
    assert origins.name("did:web:nobody.example") == "did:web:nobody.example"
