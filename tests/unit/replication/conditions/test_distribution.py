"""Conditions of members of a league: what leaves them, what they take in, and what becomes of the past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Fatal
from hansa.core.events import Metadata
from hansa.core.identifiers import entity_key
from hansa.replication.conditions import past
from hansa.replication.conditions.past import UNDECIDED
from hansa.replication.conditions.watch import POLL_S
from hansa.replication.continuity import publication_walk
from hansa.store.tables import facts, heads, origins
from hansa.store.tables.heads import HeadState
from tests.support.league import League, Marketplace
from tests.support.network import changed

CLOUD_ONLY = (
    '@id("cloud") permit (principal, action, resource) when { context.categories.contains("cloud") };'
)
ALL = '@id("all") permit (principal, action, resource);'


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[League]:
    """Two members with folders for conditions, which are empty."""
    async with League(["lubeck", "bergen"]) as league:
        for member in league.marketplaces:
            member.policies = tmp_path / member.name
            member.policies.mkdir()
        league.start()
        yield league


def write(member: Marketplace, name: str, text: str | None) -> None:
    assert member.policies is not None
    path = member.policies / name
    path.unlink() if text is None else path.write_text(text)


async def applied(league: League) -> None:
    """Until the files of all members have been adopted, and applied to the past."""
    await league.run(POLL_S + 0.1)

    async def is_applied() -> bool:
        return all(
            [
                await facts.value(one.store, "publication_rule") == one.policy.publish_rule
                and (await facts.value(one.store, "consume_rule") or "") == one.policy.consume_rule
                for one in league.marketplaces
            ]
        )

    await league.until(is_applied)
    await league.settle()


async def head_of(member: Marketplace, entity_id: str, origin: Marketplace) -> HeadState:
    (head,) = await heads.of_all_members(member.store, entity_key(origin.did, entity_id))
    return head


async def get(member: Marketplace, entity_id: str) -> int:
    return (await member.client.get(f"/league/v1/entities/{entity_id}")).status


# -- visibility ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "visible_to", [["here"], ["did:key:z6Mkx"], ["country:DE"], ["Everyone"], "everyone", [], 1]
)
async def test_what_is_not_for_everyone_is_neither_announced_nor_served(two: League, visible_to: Any) -> None:
    lubeck, bergen = two.marketplaces
    entity_id = await lubeck.put_bound(visibleTo=visible_to)
    await two.settle()
    assert (await lubeck.bus.ledger()).position == 0
    assert await get(lubeck, entity_id) == 404
    assert await bergen.catalogue() == {}


async def test_what_is_for_everyone_no_more_is_withdrawn_and_comes_back(two: League) -> None:
    lubeck, bergen = two.marketplaces
    entity_id = await lubeck.put("one", visibleTo=["everyone"])
    await two.settle()
    assert set(await bergen.catalogue()) == {entity_id}
    await lubeck.put("one", visibleTo=["here"])
    await two.settle()
    assert await bergen.catalogue() == {}
    assert (await head_of(bergen, entity_id, lubeck)).state == "deleted"
    assert await get(lubeck, entity_id) == 410
    await lubeck.put("one")
    await two.settle()
    assert set(await bergen.catalogue()) == {entity_id}


async def test_a_replica_that_says_it_is_not_for_everyone_is_not_stored(two: League) -> None:
    lubeck, bergen = two.marketplaces
    identifier, nonce = lubeck.identifiers.new("ProductOffering")
    body = canonical_json({"@type": "ProductOffering", "id": identifier, "visibleTo": ["here"]})
    event = await lubeck.announce(identifier, body, nonce=nonce.hex())
    line = b'{"key":"%s","status":"found","entity":%s}\n' % (event.entity.key.encode(), body)
    two.network.faults[lubeck.endpoint] = changed(lambda _: line)
    await two.until(lambda: is_skipped(bergen, event.entity.key))
    (head,) = await heads.of_all_members(bergen.store, event.entity.key)
    assert (head.state, head.problem) == ("skipped", Code.CONDITION_UNMET)
    assert head.reason is not None
    assert head.reason.startswith("[visibility] ")
    assert await bergen.evidence() == set()


def problem_of(member: Marketplace) -> str:
    assert member.watch is not None
    return member.watch.problem or ""


async def is_skipped(member: Marketplace, key: str) -> bool:
    known = await heads.of_all_members(member.store, key)
    return bool(known) and known[0].state == "skipped"


# -- taking in -------------------------------------------------------------------------------------------------


async def test_a_change_of_the_files_takes_in_and_removes_what_was_followed_before(two: League) -> None:
    lubeck, bergen = two.marketplaces
    cloud = await lubeck.put("one", category=[{"id": "cloud"}])
    edge = await lubeck.put("two", category=[{"id": "edge"}])
    await two.settle()
    write(bergen, "consume.cedar", CLOUD_ONLY)
    await applied(two)
    assert set(await bergen.catalogue()) == {cloud}
    head = await head_of(bergen, edge, lubeck)
    assert (head.state, head.problem) == ("skipped", Code.CONDITION_UNMET)
    assert head.reason is not None
    assert head.reason.startswith("[consume.cedar] ")
    later = await lubeck.put("three", category=[{"id": "edge"}])
    await two.settle()
    assert later not in await bergen.catalogue()
    write(bergen, "consume.cedar", CLOUD_ONLY.replace("cloud", "edge"))
    await applied(two)
    assert set(await bergen.catalogue()) == {edge, later}
    write(bergen, "consume.cedar", None)
    await applied(two)
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_an_event_that_says_otherwise_than_its_entity_deceives_nobody(two: League) -> None:
    lubeck, bergen = two.marketplaces
    write(bergen, "consume.cedar", CLOUD_ONLY)
    await applied(two)
    identifier, nonce = lubeck.identifiers.new("ProductOffering")
    body = canonical_json({"@type": "ProductOffering", "category": [{"id": "edge"}], "id": identifier})
    event = await lubeck.announce(
        identifier, body, nonce=nonce.hex(), metadata=Metadata(categories=("cloud",))
    )
    line = b'{"key":"%s","status":"found","entity":%s}\n' % (event.entity.key.encode(), body)
    two.network.faults[lubeck.endpoint] = changed(lambda _: line)
    await two.until(lambda: is_skipped(bergen, event.entity.key))
    assert await bergen.catalogue() == {}


async def test_what_only_the_entity_says_decides_after_the_retrieval(two: League) -> None:
    lubeck, bergen = two.marketplaces
    write(
        bergen,
        "consume.cedar",
        ALL + '@id("no-usage") forbid (principal, action == Action::"store", resource) '
        'when { context.priceModels.contains("usage") };',
    )
    await applied(two)
    usage = await lubeck.put("one", priceType="usage")
    other = await lubeck.put("two", priceType="recurring")
    await two.settle()
    assert set(await bergen.catalogue()) == {other}
    assert (await head_of(bergen, usage, lubeck)).reason == (
        "[consume.cedar#no-usage] The policy no-usage of consume.cedar forbids it."
    )
    await lubeck.put("two", priceType="usage")  # the replica of the version before does not stay
    await lubeck.put("one", priceType="recurring")
    await two.settle()
    assert set(await bergen.catalogue()) == {usage}


async def test_credentials_that_nobody_verifies_do_not_count(two: League) -> None:
    lubeck, bergen = two.marketplaces
    write(
        bergen,
        "consume.cedar",
        '@id("events") permit (principal, action == Action::"retrieve", resource);'
        '@id("proved") permit (principal, action == Action::"store", resource) '
        'when { context.credentials.contains("GaiaX") };',
    )
    await applied(two)
    await lubeck.put("one", credentials=["GaiaX"], credential=[{"type": "GaiaX"}])
    await two.settle()
    assert await bergen.catalogue() == {}


async def test_a_member_is_refused_by_its_did_now_and_afterwards(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await lubeck.put("one")
    await two.settle()
    write(
        bergen,
        "consume.cedar",
        ALL + f'@id("them") forbid (principal == Marketplace::"{lubeck.did}", action, resource);',
    )
    await applied(two)
    assert await bergen.catalogue() == {}
    assert (await origins.origins(bergen.store))[0].unaccounted == 0


async def test_an_interrupted_walk_over_the_past_continues_where_it_was(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await lubeck.put_many(
        [
            (lubeck.id(f"{n:03}"), "Launched", "ProductOffering", {"category": [{"id": "edge"}]})
            for n in range(160)
        ]
    )
    await two.settle()
    await bergen.stop()
    write(bergen, "consume.cedar", CLOUD_ONLY)
    bergen.start()
    for _ in range(10):
        await bergen.restart()
        await two.run(0.05)
    await applied(two)
    assert await bergen.catalogue() == {}
    assert (await origins.origins(bergen.store))[0].skipped == 160


# -- publishing ------------------------------------------------------------------------------------------------


async def test_publish_conditions_hold_back_withdraw_and_publish(two: League) -> None:
    lubeck, bergen = two.marketplaces
    cloud = await lubeck.put_bound(category=[{"id": "cloud"}])
    edge = await lubeck.put_bound(category=[{"id": "edge"}])
    await two.settle()
    write(lubeck, "publish.cedar", CLOUD_ONLY)
    await applied(two)
    assert set(await bergen.catalogue()) == {cloud}
    assert await get(lubeck, edge) == 410
    never = await lubeck.put_bound(category=[{"id": "edge"}])
    await two.settle()
    assert await get(lubeck, never) == 404
    write(lubeck, "publish.cedar", None)
    await applied(two)
    assert set(await bergen.catalogue()) == {cloud, edge, never}
    assert await bergen.evidence() == set()


async def test_files_that_are_not_valid_change_nothing_and_refuse_a_start(two: League) -> None:
    lubeck, bergen = two.marketplaces
    write(bergen, "consume.cedar", CLOUD_ONLY)
    await applied(two)
    rule = bergen.policy.consume_rule
    write(bergen, "consume.cedar", CLOUD_ONLY + "forbid")
    await two.run(3 * POLL_S)  # it lasts
    assert problem_of(bergen).startswith("policies/consume.cedar: ")
    assert bergen.policy.consume_rule == rule
    await bergen.stop()
    with pytest.raises(Fatal) as refusal:
        bergen.start()
    assert refusal.value.code is Code.SETTINGS_INVALID
    write(bergen, "consume.cedar", CLOUD_ONLY)
    bergen.start()
    await two.run(POLL_S + 0.1)
    assert problem_of(bergen) == ""
    assert lubeck.policy.consume_rule == ""


async def test_the_policy_names_the_condition_that_keeps_an_entity_here(two: League) -> None:
    first = two.marketplaces[0]
    cloud = await first.store.entity(await first.put("cloud", category=[{"id": "cloud"}]))
    plain = await first.store.entity(await first.put("plain"))
    draft = await first.store.entity(await first.put("draft", "In design"))
    assert cloud is not None
    assert plain is not None
    assert draft is not None
    assert first.policy.withheld_by(plain) is None
    write(first, "publish.cedar", CLOUD_ONLY)
    await two.run(POLL_S + 0.1)
    assert first.policy.withheld_by(cloud) is None
    assert first.policy.withheld_by(plain) == "publish.cedar"
    assert first.policy.withheld_by(draft) is None, "its state keeps it here"
    write(first, "publish.cedar", f'{ALL} @id("none") forbid (principal, action, resource);')
    await two.run(POLL_S + 0.1)
    assert first.policy.withheld_by(plain) == "publish.cedar#none"


async def until_walked_in_part(
    member: Marketplace, walk: Literal["consume_rule", "publication_rule"]
) -> None:
    """Let turns pass, and no time, until a walk has begun and not ended."""
    for _ in range(2000):
        await asyncio.sleep(0)
        if await facts.value(member.store, walk) == UNDECIDED:
            return
    raise AssertionError(f"no walk for {walk} begins")


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_conditions_that_hold_again_are_applied_to_what_others_decided_meanwhile(
    two: League, monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    monkeypatch.setattr(past, "EVENTS_MAX", 2)
    lubeck, bergen = two.marketplaces
    for n in range(12):
        await lubeck.put_bound(n=n)
    await two.settle()
    write(bergen, "consume.cedar", CLOUD_ONLY)
    assert bergen.watch is not None
    bergen.watch.look()
    await until_walked_in_part(bergen, "consume_rule")
    assert len(await bergen.catalogue()) < 12
    write(bergen, "consume.cedar", None)
    if is_restarted:
        await bergen.restart()
    else:
        bergen.watch.look()
    await applied(two)
    assert await bergen.catalogue() == await lubeck.catalogue()


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_publish_conditions_that_hold_again_are_applied_to_what_others_decided_meanwhile(
    two: League, monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    monkeypatch.setattr(publication_walk, "PAGE_SIZE", 2)
    lubeck, bergen = two.marketplaces
    for n in range(12):
        await lubeck.put_bound(n=n)
    await two.settle()
    before = await bergen.catalogue()
    write(lubeck, "publish.cedar", CLOUD_ONLY)
    assert lubeck.watch is not None
    lubeck.watch.look()
    await until_walked_in_part(lubeck, "publication_rule")
    await two.run(0.2)
    write(lubeck, "publish.cedar", None)
    if is_restarted:
        await lubeck.restart()
    else:
        lubeck.watch.look()
    await applied(two)
    assert await bergen.catalogue() == before
