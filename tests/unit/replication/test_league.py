"""A change at one member reaches all the others."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hansa.core.events import LifecycleEvent
from hansa.core.limits import Limits
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.unmet import Unmet
from hansa.store.tables import origins
from tests.support.conditions import until
from tests.support.league import TYPES, League, Marketplace, draft
from tests.support.stored import provenance as provenance_of


async def events_of(league: League) -> list[LifecycleEvent]:
    page = await league.ledger.bus().search(0)
    return [committed.event for committed in page.events]


def kinds(events: list[LifecycleEvent]) -> list[str]:
    return [event.type.removeprefix("productOffering").removesuffix("Event") for event in events]


async def test_an_offering_reaches_all_members(league: League) -> None:
    lubeck, *others = league.marketplaces
    entity_id = await lubeck.put("one", name="Edge node")
    await league.settle()
    ours = await lubeck.store.entity(entity_id)
    assert ours is not None
    for other in others:
        replica = await other.store.entity(entity_id)
        assert replica is not None
        assert (replica.body, replica.hashlink, replica.public) == (ours.body, ours.hashlink, True)
        assert replica.origin == lubeck.did


async def test_a_change_arrives_without_waiting_for_any_clock(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    await league.settle()
    await lubeck.put("one")
    arrived: list[str] = []

    async def watch(member: Marketplace) -> None:
        await member.store.wait_for_change(0)
        arrived.append(member.name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch(bergen))
        tasks.create_task(watch(riga))
        await until(lambda: len(arrived) == 2)  # the clock stands still all the while


async def test_a_replica_knows_where_it_comes_from(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    await lubeck.put("one", name="changed")
    await league.settle()
    provenance = await provenance_of(bergen.store, entity_id)
    ours = await lubeck.store.entity(entity_id)
    assert provenance is not None
    assert ours is not None
    assert (provenance.issuer, provenance.version, provenance.position) == (lubeck.did, 2, 2)
    assert provenance.hashlink == ours.hashlink
    assert await provenance_of(lubeck.store, entity_id) is None


async def test_changes_state_changes_and_deletions_follow_one_another(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    await lubeck.put("one", name="renamed")
    await league.settle()
    await lubeck.put("one", "Retired", name="renamed")
    await league.settle()
    assert len(set(map(str, await league.catalogues()))) == 1
    await lubeck.delete(entity_id)
    await league.settle()
    events = await events_of(league)
    assert kinds(events) == ["Create", "AttributeValueChange", "StateChange", "Delete"]
    assert [event.entity.version for event in events] == [1, 2, 3, 4]
    assert [event.previous for event in events] == [None, *(event.hashlink for event in events[:3])]
    assert await bergen.store.entity(entity_id) is None
    assert await provenance_of(bergen.store, entity_id) is None


async def test_what_leaves_the_public_statuses_is_withdrawn_and_may_be_published_again(
    league: League,
) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    await lubeck.put("one", "In design")
    await league.settle()
    assert await bergen.store.entity(entity_id) is None
    await lubeck.put("one", "Active")
    await league.settle()
    await lubeck.put("one")
    await league.settle()
    assert await bergen.store.entity(entity_id) is not None
    events = await events_of(league)
    assert kinds(events) == ["Create", "Delete", "Create"]
    assert events[2].entity.version == 3


async def test_drafts_and_private_types_never_reach_the_bus(league: League) -> None:
    lubeck, *others = league.marketplaces
    draft_id = await lubeck.put("draft", "In study")
    person_id = await lubeck.put("person", None, "Individual")
    launched_order = await lubeck.put("order", "Launched", "ProductOrder")
    await league.settle()
    await lubeck.delete(draft_id)
    await league.settle()
    assert await events_of(league) == []
    assert league.network.requests == []
    for other in others:
        assert await other.store.entities([draft_id, person_id, launched_order]) == {}


async def test_a_type_that_is_not_allowed_stays_even_when_it_is_marked_public(league: League) -> None:
    lubeck, *_ = league.marketplaces
    async with lubeck.store.transaction() as tx:
        await tx.put(msgspec.structs.replace(draft("urn:x:1", None, "Individual"), public=True))
    await league.settle()
    assert await events_of(league) == []


async def test_what_is_as_it_was_published_makes_no_event(league: League) -> None:
    lubeck, *_ = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    async with lubeck.store.transaction() as tx:
        await tx.delete(entity_id)
        await tx.put(draft(entity_id))
        await tx.put(draft(lubeck.id("two")))
        await tx.delete(lubeck.id("two"))
    await lubeck.put("one")
    await league.settle()
    assert kinds(await events_of(league)) == ["Create"]


async def test_many_changes_of_one_entity_become_few_events(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.ledger.commit_delay_s = 1.0
    await lubeck.put("one", n=0)
    await league.run(0.2)
    for n in range(1, 50):
        await lubeck.put("one", n=n)
    await league.settle()
    assert kinds(await events_of(league)) == ["Create", "AttributeValueChange"]
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_a_burst_of_a_thousand_changes_loses_nothing(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.ledger.commit_delay_s = 0.1
    for member in (lubeck, bergen):
        await member.put_many(
            [(member.id(str(n)), "Launched", "ProductOffering", {"n": n}) for n in range(500)]
        )
    await league.settle()
    assert len(await riga.catalogue()) == 1000
    assert len(set(map(str, map(sorted, [c.items() for c in await league.catalogues()])))) == 1
    heights = league.ledger.application.state.head.height
    assert heights < 100, "events travel in batches"
    assert len(league.network.requests_to(lubeck.endpoint)) < 100, "entities are retrieved many at a time"


async def test_members_change_their_catalogues_at_the_same_time(league: League) -> None:
    league.ledger.commit_delay_s = 0.3
    for n in range(5):
        for member in league.marketplaces:
            await member.put(f"entity-{n}")
            await member.put("every", n=n)
        await league.run(0.1)
    await league.settle()
    first, *rest = await league.catalogues()
    assert len(first) == 18
    assert all(catalogue == first for catalogue in rest)


async def test_a_newer_version_makes_a_pending_older_one_unnecessary(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.network.down.add(lubeck.endpoint)
    for n in range(3):
        await lubeck.put("one", n=n)
        await league.settle(lubeck)
    await league.until(lambda: len(league.network.requests) > 4)
    (origin,) = await origins.origins(bergen.store)
    assert (origin.pending, origin.problem) == (1, "retrieval-unreachable")
    league.network.down.clear()
    await league.settle()
    assert [change.operation for change in await bergen.store.changes(0, 10)] == ["create"]
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_a_deletion_after_a_pending_creation_wins(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.network.delays_s[lubeck.endpoint] = 1.0
    entity_id = await lubeck.put("one")
    await league.until(lambda: len(league.network.requests) == 2)
    await lubeck.delete(entity_id)
    await league.settle()
    assert await bergen.store.entity(entity_id) is None
    assert await bergen.store.changes(0, 10) == ()


async def test_an_answer_that_became_stale_is_not_stored(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("one", n=1)
    await league.settle()
    first = await lubeck.store.entity(entity_id)
    assert first is not None
    # The network holds back the answer with version 2 until version 3 is known.
    league.network.delays_s[lubeck.endpoint] = 2.0
    await lubeck.put("one", n=2)
    await league.run(0.5)
    await lubeck.put("one", n=3)
    await league.settle()
    assert await bergen.catalogue() == await lubeck.catalogue()


class OnlyCloud(DistributionPolicy):
    """Takes in what is of one category."""

    def wants(self, event: LifecycleEvent) -> Unmet | None:
        return None if "cloud" in event.metadata.categories else Unmet("category", "It is not cloud.")


async def test_a_marketplace_may_want_only_some_entities() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        bergen.policy = OnlyCloud(bergen.did, TYPES)
        league.start()
        cloud = await lubeck.put("one", category=[{"id": "cloud"}])
        await lubeck.put("two", category=[{"id": "edge"}])
        await league.settle()
        assert set(await bergen.catalogue()) == {cloud}
        await lubeck.put("one", category=[{"id": "edge"}])
        await league.settle()
        assert await bergen.catalogue() == {}


async def test_a_member_that_publishes_and_does_not_serve_delays_its_own_entities_alone() -> None:
    limits = Limits(events_page_max=10, retrieval_entities_max=5)
    async with League(["lubeck", "bergen", "riga"], limits) as league:
        lubeck, bergen, riga = league.marketplaces
        league.start()
        league.network.down.add(lubeck.endpoint)
        for n in range(20):
            for k in range(5):
                await lubeck.put(f"{n}-{k}")
            await league.settle(lubeck)
        await lubeck.delete(lubeck.id("0-0"))
        await lubeck.delete(lubeck.id("19-4"))
        await riga.put("mine")
        await league.until(lambda: bergen.store.entity(riga.id("mine")))
        origin = (await origins.origins(bergen.store))[0]
        assert (origin.heads, origin.pending, origin.deleted, origin.unaccounted) == (100, 98, 2, 0)
        league.network.down.clear()
        await league.settle()
        assert len(await bergen.catalogue()) == 99
        assert await bergen.catalogue() == await lubeck.catalogue()


@pytest.mark.parametrize("delay_s", [1.0, 60.0])
async def test_an_origin_that_is_slow_delays_only_its_own(league: League, delay_s: float) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.network.delays_s[lubeck.endpoint] = delay_s
    await lubeck.put_many([(lubeck.id(str(n)), "Launched", "ProductOffering", {}) for n in range(300)])
    await league.settle(lubeck)
    started_s = league.clock.monotonic()
    await riga.put("quick")
    await league.until(lambda: bergen.store.entity(riga.id("quick")))
    assert league.clock.monotonic() - started_s <= 0.1


async def test_an_origin_that_is_down_gets_fewer_and_smaller_requests(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.network.down.add(lubeck.endpoint)
    await lubeck.put_many([(lubeck.id(str(n)), "Launched", "ProductOffering", {}) for n in range(50)])
    await league.settle(lubeck)
    await league.run(120)
    requests = league.network.requests_to(lubeck.endpoint)
    assert len(requests) < 40
    assert all(request.body.count(b'"key"') == 1 for request in requests[4:])
    await riga.put("quick")
    await league.until(lambda: bergen.store.entity(riga.id("quick")), 0.2)
    (progress, _) = (await bergen.view.progress(league.registered, await bergen.bus.ledger())).origins
    assert (progress.name, progress.pending, progress.problem) == ("lubeck", 50, "retrieval-unreachable")
    assert progress.failing_since is not None
    assert (progress.oldest_position, progress.lag) == (1, 51)
    league.network.down.clear()
    await league.settle()
    assert len(await bergen.catalogue()) == 51
    (progress, _) = (await bergen.view.progress(league.registered, None)).origins
    assert (progress.pending, progress.failing_since, progress.attempts, progress.lag) == (0, None, 0, 0)


async def test_back_off_outlasts_a_restart(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.network.down.add(lubeck.endpoint)
    await lubeck.put("one")
    await league.run(60)
    (origin,) = await origins.origins(bergen.store)
    await bergen.restart()
    await league.run(0.2)
    (after,) = await origins.origins(bergen.store)
    assert after.attempts == origin.attempts > 4
    assert after.due_ms == origin.due_ms


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_clock_that_was_set_back_leaves_no_long_pauses(league: League, is_restarted: bool) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.network.down.add(lubeck.endpoint)
    await lubeck.put("one")
    await league.run(1)
    tomorrow_ms = int(league.clock.now().timestamp() * 1000) + 86_400_000
    async with bergen.store.transaction() as tx:
        await origins.failed(tx, lubeck.did, 3, tomorrow_ms, "retrieval-unreachable")
    league.network.down.clear()
    if is_restarted:
        await bergen.restart()
    await league.until(
        lambda: bergen.store.entity(lubeck.id("one")), 2 * league.limits.retrieval_backoff_max_s
    )
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_what_was_deleted_and_announced_again_is_gone_until_the_new_version_is_here() -> None:
    """Both events came while the member was away, and the origin does not answer when it is back."""
    async with League(["lubeck", "bergen"], has_pushes=False) as league:
        league.start()
        lubeck, bergen = league.marketplaces
        entity_id = await lubeck.put("one", n=1)
        await league.settle()
        await bergen.stop()
        await lubeck.delete(entity_id)
        await league.settle(lubeck)
        await lubeck.put("one", n=2)
        await league.settle(lubeck)
        league.network.down.add(lubeck.endpoint)
        bergen.start()
        await league.run(5)
        assert await bergen.store.entity(entity_id) is None
        league.network.down.clear()
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
