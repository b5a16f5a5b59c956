"""Every head of the ledger has a state that an operator can see, explain and change."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.canonical import canonical_json
from hansa.core.limits import Limits
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.store.tables import facts, heads, origins
from hansa.store.tables.origins import Origin
from tests.support.league import League, Marketplace
from tests.support.network import replaced, status


def control(member: Marketplace) -> ReplicaControl:
    league = member.league
    registry = MemberRegistry(member.bus, league.clock, league.registered)
    return ReplicaControl(member.store, registry, member.backlog, league.clock, member.entropy, league.limits)


async def origin_at(member: Marketplace) -> Origin:
    (origin,) = await origins.origins(member.store)
    assert origin.unaccounted == 0
    return origin


async def test_a_failure_is_listed_explained_and_repeated_at_once_by_command() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        league.network.faults[lubeck.endpoint] = replaced(b'"n":', b'"m":')
        entity_id = await lubeck.put("one", n=1)
        await league.run(3600, 5.0)
        operator = control(bergen)
        page = await operator.page(["pending"], lubeck.did, 0, 10)
        (head,) = page.heads
        assert (head.problem, page.next_after) == ("hash-mismatch", None)
        assert head.reason is not None
        assert head.due_ms > league.clock.now().timestamp() * 1000
        assert await operator.of_entity(entity_id) == (head,)
        assert await operator.of_entity(head.key) == (head,)
        league.network.faults.clear()
        assert await operator.retry(["pending"], None, entity_id) == 1
        await league.settle(timeout_s=1.0)
        assert [one.state for one in await operator.of_entity(entity_id)] == ["stored"]


async def test_a_rejected_entity_is_requested_again_by_command_and_by_another_release() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        body = canonical_json({"@type": "Category", "id": "urn:x:1"})
        await bergen.announce("urn:x:1", body)
        league.network.faults[bergen.endpoint] = replaced(b"nothing", b"")
        lines = b'{"key":"%s","status":"found","entity":%s}\n'
        key = (await league.ledger.bus().search(0)).events[0].event.entity.key
        league.network.faults[bergen.endpoint] = lambda _, answer: type(answer)(
            200, {}, lines % (key.encode(), body)
        )
        await league.settle(lubeck)
        assert (await origin_at(lubeck)).rejected == 1
        requests = len(league.network.requests)
        await league.run(7200, 60.0)
        assert len(league.network.requests) == requests
        assert await control(lubeck).retry(["rejected"], bergen.did, None) == 1
        await league.settle(lubeck)
        assert len(league.network.requests) == requests + 1
        await lubeck.restart()
        await league.run(1)
        assert len(league.network.requests) == requests + 1
        async with lubeck.store.transaction() as tx:
            await facts.record(tx, "intake_rule", "that of an earlier release")
        await lubeck.restart()
        await league.settle(lubeck)
        assert len(league.network.requests) == requests + 2


async def test_our_own_engine_that_is_down_is_not_blamed_on_an_origin() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put("one")
        await league.settle(lubeck)
        await bergen.stop()
        await lubeck.put("two")
        await league.settle(lubeck)
        async with bergen.store.transaction() as tx:  # the follower has seen the event before the restart
            event = (await league.ledger.bus().search(1)).events[0]
            await origins.count_heads(tx, lubeck.did, 1)
            await tx.set_cursor(heads.FOLLOWER_CURSOR, event.position)
            version = heads.Retrieval(
                *(lubeck.did, event.event.entity.key, "ProductOffering", 1, event.event.hashlink),
                *(event.position, event.time),
            )
            await heads.schedule(tx, version)
        bergen.bus.is_connected = False  # type: ignore[attr-defined]
        bergen.start()
        await league.run(30)
        origin = await origin_at(bergen)
        assert (origin.attempts, origin.failing_since, origin.pending) == (0, None, 1)
        bergen.bus.is_connected = True  # type: ignore[attr-defined]
        await league.settle(timeout_s=15.0)
        assert len(await bergen.catalogue()) == 2


async def test_one_entity_that_fails_does_not_delay_a_new_one_by_a_minute() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        league.network.faults[lubeck.endpoint] = lambda request, answer: (
            status(404)(request, answer) if b"poison" in answer.body else answer
        )
        await lubeck.put("poison")
        await league.run(3600, 5.0)
        started_s = league.clock.monotonic()
        await lubeck.put("good")
        await league.until(lambda: bergen.store.entity(lubeck.id("good")))
        assert league.clock.monotonic() - started_s <= 2.0


BOUNDS = {
    "entities": Limits(origin_entities_max=5),
    "bytes": Limits(origin_size_max_bytes=500),
    "bytes-per-day": Limits(origin_day_max_bytes=500),
}


@pytest.mark.parametrize("bound", BOUNDS)
async def test_what_is_over_a_bound_of_its_origin_is_deferred_and_never_dropped(bound: str) -> None:
    limits = BOUNDS[bound]
    async with League(["lubeck", "bergen"], limits) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        for number in range(20):
            await lubeck.put(str(number))
            await league.settle(lubeck)
        await league.until(lambda: is_deferred(bergen))
        await league.run(120, 1.0)
        (progress,) = (await bergen.view.progress(league.registered, None)).origins
        assert progress.bound == bound
        assert (progress.stored + progress.deferred, progress.unaccounted) == (20, 0)
        assert 0 < progress.stored < 20
        (first, *_) = await heads.page(bergen.store, ["deferred"], lubeck.did, 0, 1)
        assert first.problem == "origin-bound-reached"
        if bound == "entities":
            await lubeck.put("0", n=2)  # a newer version of what is here needs no room
            await league.until(lambda: is_updated(bergen, lubeck.id("0")))
            for number in range(17):
                await lubeck.delete(lubeck.id(str(number)))
        elif bound == "bytes-per-day":
            await league.run(6 * 86_400, 300.0)
        else:
            for number in range(17):
                await lubeck.delete(lubeck.id(str(number)))
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()


async def is_deferred(member: Marketplace) -> bool:
    origin = await origin_at(member)
    return origin.deferred > 0 and origin.pending == 0


async def is_updated(member: Marketplace, entity_id: str) -> bool:
    entity = await member.store.entity(entity_id)
    return entity is not None and b'"n":2' in entity.body


async def test_what_no_member_may_publish_stays_here_and_says_why() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put("large", n=1)
        await league.settle()
        entity_id = await lubeck.put("large", name="x" * 2_000_000)
        await league.settle()
        assert await bergen.catalogue() == {}
        assert await bergen.evidence() == set()
        (refusal,) = await lubeck.view.refusals()
        assert (refusal.entity_id, refusal.refusal_code) == (entity_id, "too-large")
        await lubeck.put("large", n=2)
        await league.settle()
        assert await lubeck.view.refusals() == ()
        assert set(await bergen.catalogue()) == {entity_id}
        await lubeck.put("large", name="x" * 2_000_000)
        await league.settle()
        await lubeck.delete(entity_id)
        await league.settle()
        assert await lubeck.view.refusals() == ()


async def test_entities_that_take_long_to_verify_are_put_off_and_another_origin_is_not() -> None:
    async with League(["lubeck", "bergen", "riga"], Limits(origin_verification_per_day_max_s=5.0)) as league:
        lubeck, bergen, riga = league.marketplaces
        league.start()
        verify = bergen.retriever._intake._check

        def check_slowly(type_name: str, entity: dict[str, Any]) -> str | None:
            if lubeck.name in entity["id"]:
                league.clock._elapsed_s += 1.0
            return verify(type_name, entity)

        bergen.retriever._intake._check = check_slowly
        for number in range(20):
            await lubeck.put(str(number))
            await league.settle(lubeck)
        await league.run(120, 1.0)
        await riga.put("quick")
        await league.until(lambda: bergen.store.entity(riga.id("quick")))
        progress = (await bergen.view.progress(league.registered, None)).origins
        slow = next(one for one in progress if one.did == lubeck.did)
        assert slow.bound == "verification-time"
        assert (slow.stored + slow.deferred, slow.unaccounted) == (20, 0)
        # What is under way when the bound is reached is finished: a request of each of the parallel ones.
        assert 5 <= slow.stored < 20
        (origin,) = [one for one in await origins.origins(bergen.store) if one.did == lubeck.did]
        assert 5000 <= origin.day_verification_ms < 20_000
        (first, *_) = await heads.page(bergen.store, ["deferred"], lubeck.did, 0, 1)
        assert (first.problem, "verification-time" in str(first.reason)) == ("origin-bound-reached", True)
        await league.run(6 * 86_400, 300.0)  # a part each day
        assert set(await bergen.catalogue()) == {*await lubeck.catalogue(), riga.id("quick")}
