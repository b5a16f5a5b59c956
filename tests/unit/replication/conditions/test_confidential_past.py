"""Consume conditions and confidential replicas: the past follows, in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.core.errors import Code
from hansa.replication.conditions.watch import POLL_S
from hansa.store.tables import audit, facts
from hansa.store.tables.confidential import received
from hansa.store.tables.confidential.received import ReceivedHead
from tests.support.confidential import party, put, replica, settle
from tests.support.league import League, Marketplace

CLOUD_ONLY = (
    '@id("cloud") permit (principal, action, resource) when { context.categories.contains("cloud") };'
)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[League]:
    """Two members, of which the second has a folder for conditions, which is empty."""
    async with League(["lubeck", "bergen"], folder=tmp_path) as league:
        bergen = league.marketplaces[1]
        bergen.policies = tmp_path / "policies"
        bergen.policies.mkdir()
        league.start()
        yield league


async def apply(league: League, text: str | None) -> None:
    """Give the second member a file, or none, and wait until the past follows it."""
    member = league.marketplaces[1]
    assert member.policies is not None
    path = member.policies / "consume.cedar"
    path.unlink() if text is None else path.write_text(text)
    await league.run(POLL_S + 0.1)
    await applied(league)


async def applied(league: League) -> None:
    """Until the past follows the conditions that hold, and what follows from that is here."""
    member = league.marketplaces[1]

    async def is_applied() -> bool:
        return (await facts.value(member.store, "addressed_rule") or "") == member.policy.consume_rule

    await league.until(is_applied)
    await settle(league)


async def for_bergen(league: League, category: str, **options: str) -> str:
    lubeck, bergen = league.marketplaces
    of_category = [{"id": category}]
    return await put(
        *(lubeck, "ProductOffering", "Launched"), visibleTo=[bergen.did], category=of_category, **options
    )


async def heads(member: Marketplace) -> dict[str, ReceivedHead]:
    """What was announced to a member, by state."""
    states: tuple[received.State, ...] = ("pending", "stored", "skipped", "rejected", "withdrawn")
    return {one.state: one for one in await received.page(member.store, states, 0, 100)}


async def test_what_a_condition_keeps_out_now_is_withdrawn_and_comes_back_with_it(two: League) -> None:
    lubeck, bergen = two.marketplaces
    cloud, edge = await for_bergen(two, "cloud"), await for_bergen(two, "edge")
    order = await put(lubeck, "ProductOrder", relatedParty=[party("Seller", bergen.did)])
    await settle(two)
    assert await replica(bergen, edge) is not None
    await apply(two, CLOUD_ONLY)
    assert await replica(bergen, edge) is None
    assert await replica(bergen, cloud) is not None
    assert await replica(bergen, order) is not None, "what is between parties is no matter of the catalogue"
    skipped = (await heads(bergen))["skipped"]
    assert (skipped.problem, skipped.content_key, skipped.entity_id) == (Code.CONDITION_UNMET, None, None)
    assert (skipped.reason or "").startswith("[consume.cedar]")
    await apply(two, CLOUD_ONLY.replace("cloud", "edge"))
    assert await replica(bergen, edge) is not None
    assert await replica(bergen, cloud) is None
    await apply(two, None)
    assert await replica(bergen, edge) is not None
    assert await replica(bergen, cloud) is not None
    recorded = [one.content for one in await audit.page(bergen.store, 0, 100) if one.kind == "skipped"]
    assert len(recorded) >= 2


async def test_what_was_never_taken_in_is_retrieved_when_a_condition_lets_it_in(two: League) -> None:
    bergen = two.marketplaces[1]
    await apply(two, CLOUD_ONLY)
    edge = await for_bergen(two, "edge")
    await settle(two)
    assert await replica(bergen, edge) is None
    await bergen.restart()
    await apply(two, None)
    assert await replica(bergen, edge) is not None


async def test_conditions_that_change_while_it_is_down_are_applied_at_the_start(two: League) -> None:
    bergen = two.marketplaces[1]
    edge = await for_bergen(two, "edge")
    await settle(two)
    await bergen.stop()
    assert bergen.policies is not None
    (bergen.policies / "consume.cedar").write_text(CLOUD_ONLY)
    bergen.start()
    await applied(two)
    assert await replica(bergen, edge) is None
    await bergen.stop()
    (bergen.policies / "consume.cedar").unlink()
    bergen.start()
    await applied(two)
    assert await replica(bergen, edge) is not None


async def test_an_older_version_is_withdrawn_though_the_newer_one_does_not_arrive(two: League) -> None:
    lubeck, bergen = two.marketplaces
    edge = await for_bergen(two, "edge")
    await settle(two)
    two.network.down.add(lubeck.endpoint)
    await for_bergen(two, "edge", entity_id=edge, note="newer")
    await two.run(1)
    assert (await heads(bergen))["pending"].entity_id == edge
    assert bergen.policies is not None
    (bergen.policies / "consume.cedar").write_text(CLOUD_ONLY)
    await two.run(POLL_S + 1)
    assert await replica(bergen, edge) is None
    two.network.down.clear()
    await two.run(120)
    assert await replica(bergen, edge) is None
    assert (await heads(bergen))["skipped"].problem == Code.CONDITION_UNMET


async def test_a_withdrawal_of_what_is_kept_out_is_final(two: League) -> None:
    lubeck, bergen = two.marketplaces
    edge = await for_bergen(two, "edge")
    await settle(two)
    await apply(two, CLOUD_ONLY)
    await lubeck.delete(edge)
    await settle(two)
    await apply(two, None)
    assert await replica(bergen, edge) is None
    assert set(await heads(bergen)) == {"withdrawn"}
