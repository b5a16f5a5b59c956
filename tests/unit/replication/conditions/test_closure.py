"""Closure: what an offering needs comes with it, is waited for, and disappears with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.business.models import load
from hansa.business.models.closure import ClosureNeeds
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.replication.conditions.closure import DEPTH_MAX, RECHECK_S
from hansa.replication.conditions.watch import POLL_S
from hansa.store import Entity
from hansa.store.sql import Readable
from hansa.store.tables import closure, heads, publications
from tests.support.league import League, Marketplace, draft

OFFERINGS = (
    '@id("offerings") permit (principal, action, resource == Type::"ProductOffering") '
    'when { context.categories.contains("cloud") };'
)
WAIT_MAX_S = 60.0


class ReferencesNeeded:
    """Specifications, and offerings in a bundle, are needed."""

    def paths_to(self, collection: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        name = "productSpecification" if collection == "ProductSpecification" else "bundled"
        return (("ProductOffering", (name, "id")),)

    def of(self, entity: Entity, fields: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        fields = fields or msgspec.json.decode(entity.body, type=dict[str, Any])
        references = [fields.get("productSpecification"), *fields.get("bundled", [])]
        return tuple(one["id"] for one in references if one is not None)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[League]:
    async with League(["lubeck", "bergen"], Limits(closure_wait_max_s=WAIT_MAX_S)) as league:
        for member in league.marketplaces:
            member.needs = ReferencesNeeded()
            member.policies = tmp_path / member.name
            member.policies.mkdir()
        league.start()
        yield league


async def only_cloud_offerings(league: League, text: str = OFFERINGS) -> None:
    bergen = league.marketplaces[1]
    assert bergen.policies is not None
    (bergen.policies / "consume.cedar").write_text(text)
    await league.run(POLL_S + 0.1)
    await league.settle()


async def spec(member: Marketplace, name: str = "spec", status: str = "Launched") -> str:
    return await member.put(name, status, "ProductSpecification")


async def cloud(member: Marketplace, name: str, needed: str) -> str:
    return await member.put(name, category=[{"id": "cloud"}], productSpecification={"id": needed})


async def has(member: Marketplace, *ids: str) -> bool:
    return set(ids) == set(await member.catalogue())


# -- at the origin ---------------------------------------------------------------------------------------------


async def test_an_offering_is_announced_when_its_specification_is(two: League) -> None:
    lubeck, bergen = two.marketplaces
    needed = await spec(lubeck, status="In design")
    offering = await cloud(lubeck, "one", needed)
    await two.settle()
    assert await bergen.catalogue() == {}
    assert await publications.waiting(lubeck.store, "", 10) == ((offering, needed),)
    await spec(lubeck)
    await two.settle()
    assert await has(bergen, offering, needed)
    assert await publications.waiting(lubeck.store, "", 10) == ()
    events = (await lubeck.bus.search(0)).events
    assert [one.event.entity.type for one in events] == ["ProductSpecification", "ProductOffering"]


async def test_offerings_that_need_each_other_do_not_wait_for_one_another(two: League) -> None:
    lubeck, bergen = two.marketplaces
    one, other = lubeck.id("one"), lubeck.id("two")
    await lubeck.put("one", bundled=[{"id": other}])
    await lubeck.put("two", bundled=[{"id": one}])
    await two.settle()
    assert await has(bergen, one, other)


async def test_a_specification_for_this_marketplace_alone_holds_back_what_needs_it(two: League) -> None:
    lubeck, bergen = two.marketplaces
    needed = await lubeck.put("spec", "Launched", "ProductSpecification", visibleTo=["here"])
    offering = await cloud(lubeck, "one", needed)
    await two.settle()
    assert (await lubeck.bus.ledger()).position == 0
    await lubeck.put("spec", "Launched", "ProductSpecification", visibleTo=["everyone"])
    await two.settle()
    assert await has(bergen, offering, needed)


async def test_what_is_not_here_holds_nothing_back_and_a_restart_loses_no_wait(two: League) -> None:
    lubeck, bergen = two.marketplaces
    offering = await cloud(lubeck, "one", "urn:elsewhere:1")
    needed = await spec(lubeck, status="In design")
    other = await cloud(lubeck, "two", needed)
    await two.settle()
    assert await has(bergen, offering)
    await lubeck.restart()
    await spec(lubeck)
    await two.settle()
    assert await has(bergen, offering, other, needed)


# -- at the others ---------------------------------------------------------------------------------------------


async def test_what_an_offering_needs_comes_with_it_though_no_policy_permits_it(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await only_cloud_offerings(two)
    needed, other = await spec(lubeck), await spec(lubeck, "other")
    await two.settle()
    assert await bergen.catalogue() == {}
    offering = await cloud(lubeck, "one", needed)
    await two.until(lambda: has(bergen, offering, needed))
    await two.until(lambda: not bergen.closure.is_waiting(offering))
    await lubeck.put("spec", "Retired", "ProductSpecification")  # a new version of it is taken in, too
    await two.settle()
    assert await bergen.catalogue() == {
        one: entry for one, entry in (await lubeck.catalogue()).items() if one != other
    }


async def test_what_was_there_for_an_offering_disappears_with_the_last_one(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await only_cloud_offerings(two)
    needed = await spec(lubeck)
    one, second = await cloud(lubeck, "one", needed), await cloud(lubeck, "two", needed)
    await two.until(lambda: has(bergen, one, second, needed))
    await lubeck.delete(one)
    await two.settle()
    await two.until(lambda: has(bergen, second, needed))
    await lubeck.put("two", category=[{"id": "cloud"}])  # it needs nothing any more
    await two.settle()
    await two.until(lambda: has(bergen, second))
    (head,) = await heads.of_all_members(bergen.store, entity_key(lubeck.did, needed))
    assert (head.state, head.problem) == ("skipped", "condition-unmet")


async def test_what_a_policy_forbids_does_not_come_for_the_sake_of_anything(two: League) -> None:
    lubeck, bergen = two.marketplaces
    forbid = '@id("no-specs") forbid (principal, action, resource == Type::"ProductSpecification");'
    await only_cloud_offerings(two, OFFERINGS + forbid)
    offering = await cloud(lubeck, "one", await spec(lubeck))
    await two.settle()
    await two.run(2 * RECHECK_S, 1.0)
    assert await has(bergen, offering)
    assert bergen.closure.is_waiting(offering)
    (waiting,) = await closure.waiting(bergen.store, "", 10)
    assert (waiting.entity_id, waiting.missing) == (offering, 1)


async def test_what_a_policy_forbade_for_a_while_is_here_again_for_what_needs_it(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await only_cloud_offerings(two)
    needed = await spec(lubeck)
    offering = await cloud(lubeck, "one", needed)
    await two.until(lambda: has(bergen, offering, needed))
    forbid = '@id("no-specs") forbid (principal, action, resource == Type::"ProductSpecification");'
    await only_cloud_offerings(two, OFFERINGS + forbid)
    await two.until(lambda: has(bergen, offering))
    await lubeck.put("spec", "Retired", "ProductSpecification")
    await two.settle()
    await only_cloud_offerings(two)
    await two.until(lambda: has(bergen, offering, needed))
    assert not bergen.closure.is_waiting(offering)


async def test_a_chain_of_needs_is_followed_to_a_depth(two: League) -> None:
    lubeck, bergen = two.marketplaces
    await only_cloud_offerings(two)
    names = [f"n{n}" for n in range(DEPTH_MAX + 3)]
    ids = [lubeck.id(name) for name in names]
    for name, following in zip(reversed(names[1:]), [None, *reversed(ids[2:])], strict=True):
        await lubeck.put(name, bundled=[{"id": following}] if following else [])
    await two.settle()
    assert await bergen.catalogue() == {}
    await lubeck.put(names[0], category=[{"id": "cloud"}], bundled=[{"id": ids[1]}])
    await two.settle()
    await two.run(4 * RECHECK_S, 1.0)
    assert await has(bergen, *ids[: DEPTH_MAX + 1])


async def test_what_never_comes_is_waited_for_and_then_incomplete(two: League) -> None:
    lubeck, bergen = two.marketplaces
    offering = await cloud(lubeck, "one", "urn:elsewhere:1")
    await two.until(lambda: bergen.closure.is_waiting(offering))
    await two.run(WAIT_MAX_S + 2 * RECHECK_S, 1.0)
    since_ms = int((two.clock.now().timestamp() - WAIT_MAX_S) * 1000)
    (row,) = await closure.page(bergen.store, ("", ""), 10)
    assert row.is_missing
    assert row.since_ms < since_ms, "it is looked for no more"
    assert bergen.closure.is_waiting(offering)
    async with bergen.store.transaction() as tx:
        await tx.put(draft("urn:elsewhere:1"))
    await two.run(1)
    assert not bergen.closure.is_waiting(offering)


async def test_an_offering_waits_again_when_what_it_needs_is_withdrawn(two: League) -> None:
    lubeck, bergen = two.marketplaces
    needed = await spec(lubeck)
    offering = await cloud(lubeck, "one", needed)
    await two.settle()
    await two.run(1)
    assert not bergen.closure.is_waiting(offering)
    await spec(lubeck, status="In design")
    await two.settle()
    await two.until(lambda: bergen.closure.is_waiting(offering))
    await bergen.restart()
    await two.run(1)
    assert bergen.closure.is_waiting(offering)


def test_every_declared_need_leads_to_a_catalogue_type() -> None:
    needs = ClosureNeeds(load())
    assert needs.paths_to("ProductSpecification") == (
        ("ProductOffering", ("productSpecification", "id")),
        ("ProductSpecification", ("bundledProductSpecification", "id")),
    )
    body = msgspec.json.encode(
        {
            "category": [{"id": "c"}, {"id": "c"}, {"id": 1}, "x"],
            "productSpecification": {"id": "s"},
            "relatedParty": [
                {"id": "did:elsi:x"},
                {"id": "o", "@referredType": "Organization"},
                {"id": "i", "@referredType": "Individual"},
            ],
        }
    )
    entity = Entity("urn:x", "ProductOffering", body, "hl:x", True, None, 1)
    assert needs.of(entity) == ("c", "s", "o")


async def test_what_is_missing_is_looked_for_when_something_is_announced_and_else_never(
    two: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    lubeck, bergen = two.marketplaces
    await only_cloud_offerings(two)
    looks: list[int] = []
    original = closure.page

    async def counted(source: Readable, after: tuple[str, str], limit: int) -> tuple[closure.Need, ...]:
        looks.append(1)
        return await original(source, after, limit)

    monkeypatch.setattr(closure, "page", counted)
    needed = lubeck.id("spec", "ProductSpecification")
    offering = await cloud(lubeck, "one", needed)
    await two.until(lambda: bergen.closure.is_waiting(offering))
    await two.run(1.5 * RECHECK_S, 1.0)
    seen = len(looks)
    assert seen <= 1
    await two.run(3 * RECHECK_S, 1.0)
    assert len(looks) == seen, "nothing happened"
    await spec(lubeck)
    await two.run(2 * RECHECK_S, 1.0)
    assert await has(bergen, offering, needed)
    assert not bergen.closure.is_waiting(offering)
