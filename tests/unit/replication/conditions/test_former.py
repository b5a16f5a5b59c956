"""Replicas of members that left or were removed: retained and marked, or dropped; and their return."""

from __future__ import annotations

import msgspec
import pytest

from hansa.cli.status import rows_of_origins
from hansa.core.members import Member, MemberStatus
from hansa.core.policies import FormerReplicas
from hansa.replication.conditions.former import FormerOrigins
from hansa.replication.registry import MemberRegistry
from hansa.store.tables import facts, heads, origins
from tests.support.league import League, Marketplace


class Decisions:
    """The part of a bus that has the members, and changes them."""

    def __init__(self, league: League) -> None:
        self.registered = league.registered

    def decide(self, member: Marketplace, status: MemberStatus) -> None:
        self.registered = tuple(
            msgspec.structs.replace(one, status=status) if one.did == member.did else one
            for one in self.registered
        )

    async def members(self) -> tuple[Member, ...]:
        return self.registered

    async def revoked_keys(self) -> frozenset[str]:
        return frozenset()


async def begun(member: Marketplace, decisions: Decisions, rule: FormerReplicas) -> MemberRegistry:
    """What a marketplace does with that setting, as its wiring begins it; the registry that it follows."""
    registry = MemberRegistry(decisions, member.league.clock)  # type: ignore[arg-type]
    former = FormerOrigins(
        *(member.policy, registry, rule, member.backlog.conditions, member.league.clock, member.entropy)
    )
    await former.begin()
    return registry


async def walked(league: League, member: Marketplace) -> None:
    async def is_walked() -> bool:
        return (await facts.value(member.store, "consume_rule") or "") == member.policy.consume_rule

    await league.until(is_walked)
    await league.settle(member)


@pytest.mark.parametrize("status", ["left", "removed"])
async def test_replicas_of_a_former_member_are_dropped_and_come_back_with_it(
    league: League, status: MemberStatus
) -> None:
    lubeck, bergen, riga = league.marketplaces
    ids = {await lubeck.put(str(n), n=n) for n in range(3)}
    of_riga = await riga.put("of-riga")
    await league.settle()
    decisions = Decisions(league)
    registry = await begun(bergen, decisions, "drop")
    await walked(league, bergen)
    assert set(await bergen.catalogue()) == {*ids, of_riga}
    decisions.decide(lubeck, status)
    await league.run(1)
    await registry.members(0.5)
    await walked(league, bergen)
    assert set(await bergen.catalogue()) == {of_riga}
    assert set(await riga.catalogue()) == {*ids, of_riga}
    (page,) = [await heads.page(bergen.store, ("skipped",), lubeck.did, 0, 10)]
    assert [one.reason for one in page] == [
        one.reason for one in page if "[former-member]" in str(one.reason)
    ]
    assert len(page) == 3
    decisions.decide(lubeck, "active")
    await league.run(1)
    await registry.members(0.5)
    await walked(league, bergen)
    assert await bergen.catalogue() == await riga.catalogue()
    counted = {
        one.did: (one.stored, one.skipped, one.unaccounted) for one in await origins.origins(bergen.store)
    }
    assert counted[lubeck.did] == (3, 0, 0)


async def test_what_still_waits_for_a_former_member_is_dropped_too_and_a_restart_retrieves_nothing(
    league: League,
) -> None:
    lubeck, bergen, riga = league.marketplaces
    await lubeck.put("one", n=1)
    await league.settle()
    await riga.stop()
    league.network.down.update(one.endpoint for one in league.marketplaces)
    await lubeck.put("two", n=2)
    await league.settle(lubeck)
    decisions = Decisions(league)
    decisions.decide(lubeck, "removed")
    await begun(bergen, decisions, "drop")
    bergen.backlog.conditions.notify()
    await walked(league, bergen)
    league.network.down.clear()
    assert await bergen.catalogue() == {}
    league.network.requests.clear()
    await bergen.stop()
    await begun(bergen, decisions, "drop")
    bergen.start()
    await league.run(30)
    assert await bergen.catalogue() == {}
    assert not [one for one in league.network.requests_to(lubeck.endpoint) if one.url.endswith("/entities")]


async def test_retained_replicas_are_shown_as_those_of_a_former_member(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = await lubeck.put("one", n=1)
    await riga.put("of-riga")
    await league.settle()
    decisions = Decisions(league)
    decisions.decide(lubeck, "left")
    registry = await begun(bergen, decisions, "retain")
    members = await registry.members(0.0)
    await league.run(5)
    assert entity_id in await bergen.catalogue()
    assert bergen.policy.consume_rule == ""
    progress = await bergen.view.progress(members, None)
    assert {one.did: one.status for one in progress.origins} == {lubeck.did: "left", riga.did: "active"}
    rows = rows_of_origins({"origins": [msgspec.to_builtins(one) for one in progress.origins]})
    assert [row[0] for row in rows] == ["lubeck (left)", "riga"]
