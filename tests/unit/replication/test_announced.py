"""What was announced can be retrieved, however often the entity has changed since."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.events import LifecycleEvent
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.store import Entity
from tests.support.league import STEP_S, TYPES, League, Marketplace

ENTITIES = "/league/v1/entities"


async def events_of(league: League) -> list[LifecycleEvent]:
    return [one.event for one in (await league.ledger.bus().search(0)).events]


async def served(member: Marketplace, entity_id: str, link: str) -> tuple[str, Any]:
    """What a marketplace answers about a version of an entity of its own."""
    pair = {"key": entity_key(member.did, entity_id), "hashlink": link}
    line = msgspec.json.decode((await member.client.post(ENTITIES, {"entities": [pair]})).body)
    return line["status"], line.get("entity")


async def retained(member: Marketplace) -> int:
    ((count,),) = await member.store.sql.fetch("SELECT count(*) FROM announced_part")
    return int(count)


async def number_at(member: Marketplace, entity_id: str) -> int:
    entity = await member.store.entity(entity_id)
    return -1 if entity is None else int(msgspec.json.decode(entity.body)["n"])


@pytest.mark.parametrize("is_bound", [False, True])
async def test_an_entity_that_changes_faster_than_it_is_retrieved_arrives_while_it_does(
    league: League, *, is_bound: bool
) -> None:
    lubeck, *others = league.marketplaces
    entity_id = await lubeck.put_bound(n=0) if is_bound else await lubeck.put("counter", n=0)
    await league.settle()
    league.ledger.commit_delay_s = 0.2
    league.network.delays_s[lubeck.endpoint] = 0.3
    written_at_s: dict[int, float] = {}
    ages_s: list[float] = []
    seen = {member.name: 0 for member in others}
    for n in range(1, 400):
        await lubeck.put(entity_id, n=n)
        written_at_s[n] = n * STEP_S
        await league.run(STEP_S)
        for member in others:
            number = await number_at(member, entity_id)
            assert number >= seen[member.name], "no version goes back"
            seen[member.name] = number
            if n > 100:
                ages_s.append((n - number) * STEP_S)
    assert max(ages_s) <= 2.0
    await league.settle()
    assert {await number_at(member, entity_id) for member in others} == {399}
    assert all([await member.evidence() == set() for member in others])


async def test_the_version_on_the_ledger_is_served_while_the_next_one_cannot_be_committed(
    league: League,
) -> None:
    lubeck, bergen, riga = league.marketplaces
    await riga.stop()
    entity_id = await lubeck.put("one", n=1)
    await league.settle(lubeck, bergen)
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    for n in (2, 3, 4):
        await lubeck.put("one", n=n)
        await league.run(1)
    riga.start()
    await league.run(5)
    assert await number_at(riga, entity_id) == 1
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    await league.settle()
    assert {await number_at(member, entity_id) for member in league.marketplaces} == {4}


async def test_announced_versions_outlast_a_restart_of_their_origin(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await bergen.stop()
    entity_id = await lubeck.put("one", n=1)
    await league.settle(lubeck)
    await lubeck.put("one", n=2)
    await lubeck.restart()
    await league.settle(lubeck)
    first, second = await events_of(league)
    assert (await served(lubeck, entity_id, first.hashlink))[1]["n"] == 1
    assert (await served(lubeck, entity_id, second.hashlink))[1]["n"] == 2
    earlier = await lubeck.client.get(f"{ENTITIES}/{entity_id}?hl={first.hashlink}")
    assert hashlink(earlier.body) == first.hashlink
    by_key = await lubeck.client.get(f"{ENTITIES}/{first.entity.key}?hl={first.hashlink}")
    assert by_key.body == earlier.body


async def test_an_identifier_that_waits_for_its_claim_may_change_meanwhile(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.ledger.commit_delay_s = 1.0
    await lubeck.put("chosen", n=1)
    await league.run(0.5)
    await lubeck.put("chosen", n=2)
    await league.run(1)
    assert await number_at(bergen, lubeck.id("chosen")) == 1
    await league.settle()
    assert await number_at(bergen, lubeck.id("chosen")) == 2


async def test_nothing_is_served_of_what_is_withdrawn(league: League) -> None:
    lubeck = league.marketplaces[0]
    for name in ("withdrawn", "deleted"):
        await lubeck.put(name, n=1)
        await league.settle()
        await lubeck.put(name, n=2)
        await league.settle()
    links = {event.entity.key: event.hashlink for event in await events_of(league) if event.previous is None}
    assert await retained(lubeck) == 2
    league.ledger.commit_delay_s = 5.0
    await lubeck.put("withdrawn", "In design", n=2)
    await lubeck.delete(lubeck.id("deleted"))
    for _ in range(2):
        for name in ("withdrawn", "deleted"):
            link = links[entity_key(lubeck.did, lubeck.id(name))]
            assert (await served(lubeck, lubeck.id(name), link))[0] == "gone"
            answer = await lubeck.client.get(f"{ENTITIES}/{lubeck.id(name)}?hl={link}")
            assert answer.status == 410
        await league.settle()
    assert await retained(lubeck) == 0


async def test_a_version_is_served_for_its_own_entity_alone(league: League) -> None:
    lubeck = league.marketplaces[0]
    for name in ("one", "two"):
        await lubeck.put(name, n=1)
        await league.settle()
        await lubeck.put(name, n=2)
        await league.settle()
    link = (await events_of(league))[0].hashlink
    assert (await served(lubeck, lubeck.id("one"), link))[0] == "found"
    assert (await served(lubeck, lubeck.id("two"), link))[0] == "superseded"
    answer = await lubeck.client.get(f"{ENTITIES}/{lubeck.id('two')}?hl={link}")
    assert answer.status == 410


@pytest.mark.parametrize(
    "bound",
    [{"announced_retained_max": 3}, {"announced_retained_max_bytes": 400}, {"announced_retained_s": 4.0}],
)
async def test_announced_versions_are_bounded_in_number_size_and_time(bound: dict[str, Any]) -> None:
    async with League(["lubeck", "bergen"], Limits(**bound)) as league:
        league.start()
        lubeck = league.marketplaces[0]
        for n in range(12):
            await lubeck.put("one", n=n)
            await league.settle()
        await league.run(10)
        await lubeck.put("one", n=12)
        await league.settle()
        await league.run(5)
        assert 0 <= await retained(lubeck) <= 3
        first = (await events_of(league))[0]
        assert (await served(lubeck, lubeck.id("one"), first.hashlink))[0] == "superseded"
        assert await league.marketplaces[1].catalogue() == await lubeck.catalogue()


class _Labelled:
    """Publishes an attribute more than the entity has; which one changes."""

    label = "first"

    def published(self, entity: Entity) -> Entity:
        body = canonical_json(msgspec.json.decode(entity.body) | {"label": self.label})
        return msgspec.structs.replace(entity, body=body, hashlink=hashlink(body))


async def test_the_published_part_is_worked_out_when_it_is_announced_and_not_when_it_is_served() -> None:
    league = League(["lubeck", "bergen"])
    lubeck, bergen = league.marketplaces
    distribution = _Labelled()
    lubeck.policy = DistributionPolicy(lubeck.did, TYPES, distribution)
    async with league:
        lubeck.start()
        entity_id = await lubeck.put("one", n=1)
        await league.settle(lubeck)
        distribution.label = "second"
        bergen.start()
        await league.settle()
        replica = await bergen.store.entity(entity_id)
        assert replica is not None
        assert msgspec.json.decode(replica.body)["label"] == "first"


async def test_an_entity_that_changes_while_it_is_announced_is_retained_as_it_was(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    read = lubeck.store.entities
    is_first = True

    async def read_and_change(ids: Any) -> Any:
        nonlocal is_first
        entities = await read(ids)
        if is_first and entities:
            is_first = False
            await lubeck.put("one", n=2)
        return entities

    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    lubeck.store.entities = read_and_change  # type: ignore[assignment,method-assign]
    entity_id = await lubeck.put("one", n=1)
    await league.run(1)
    assert await retained(lubeck) == 1
    lubeck.store.entities = read  # type: ignore[method-assign]
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    await league.settle()
    first, _ = await events_of(league)
    assert (await served(lubeck, entity_id, first.hashlink))[1]["n"] == 1
    assert await number_at(bergen, entity_id) == 2


async def test_replicas_are_not_retained(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    for n in range(3):
        await lubeck.put("one", n=n)
        await league.settle()
    await asyncio.sleep(0)
    assert (await retained(lubeck), await retained(bergen)) == (2, 0)
