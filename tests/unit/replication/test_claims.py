"""Claims on chosen identifiers: what is visible when, who loses a race, and whose evidence a theft is."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hansa.core.canonical import canonical_json
from hansa.core.errors import Code
from hansa.core.identifiers import bound_entity_id
from hansa.core.members import Member
from hansa.replication.claims import RACE_MAX_S, nonce_on_ledger
from hansa.replication.publisher import PUBLISHER_CURSOR
from hansa.store.tables import publications
from tests.support.league import League, Marketplace
from tests.unit.replication.test_hostile import lie

PREFIX = "urn:market:"


async def sees(member: Marketplace, entity_id: str) -> bool:
    """Whether a stranger sees an entity at a marketplace."""
    return (await member.client.get(f"/league/v1/entities/{entity_id}")).status == 200


async def test_a_bound_identifier_is_visible_while_the_ledger_stands_still(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    bound = await lubeck.put_bound()
    chosen = await lubeck.put("chosen")
    await league.run(5)
    assert await sees(lubeck, bound)
    assert not await sees(lubeck, chosen)
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    await league.settle()
    assert await sees(lubeck, chosen)
    assert await bergen.catalogue() == await lubeck.catalogue()
    assert set(await bergen.catalogue()) == {bound, chosen}


async def test_nobody_looks_for_claims_on_bound_identifiers(league: League) -> None:
    keys: list[str] = []
    for member in league.marketplaces:
        claims = member.bus.claims

        async def counted(asked: Any, claims: Any = claims) -> Any:
            keys.extend(asked)
            return await claims(asked)

        member.bus.claims = counted  # type: ignore[assignment,method-assign]
    for n in range(5):
        await league.marketplaces[0].put_bound(n=n)
    await league.settle()
    assert len(await league.marketplaces[1].catalogue()) == 5
    assert keys == []


async def test_the_theft_of_a_bound_identifier_is_evidence_against_the_thief(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = bound_entity_id("ProductOffering", lubeck.did, bytes(16))
    body = canonical_json({"@type": "ProductOffering", "id": entity_id, "name": "stolen"})
    await lie(league, bergen, entity_id, body, nonce=bytes(16).hex())
    await league.settle(lubeck, riga)
    for member in (lubeck, riga):
        assert await member.evidence() == {(bergen.did, str(Code.IDENTIFIER_STOLEN))}
        assert await member.catalogue() == {}


async def test_a_lost_race_is_told_and_the_loser_is_accused_of_nothing(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    claims = lubeck.bus.claims

    async def none_yet(_: Any) -> Any:
        lubeck.bus.claims = claims  # type: ignore[method-assign]
        body = canonical_json({"@type": "ProductOffering", "id": "urn:x:race", "name": "earlier"})
        await lie(league, bergen, "urn:x:race", body)
        return ()

    lubeck.bus.claims = none_yet  # type: ignore[assignment,method-assign]
    await lubeck.put("urn:x:race", name="later")
    await league.settle(riga)
    await league.run(5)
    assert await lubeck.catalogue() == {}
    (refusal,) = await lubeck.view.refusals()
    assert (refusal.refusal_code, refusal.claimed_by) == (str(Code.IDENTIFIER_CLAIMED), bergen.did)
    assert refusal.is_withdrawn, "the claim was submitted, came second, and is no burden to anybody"
    assert (await riga.catalogue())["urn:x:race"][1] == bergen.did
    assert lubeck.did not in {issuer for issuer, _ in await riga.evidence()}
    await lubeck.restart()
    await lubeck.put("urn:x:race", name="changed")
    await league.run(5)
    assert await lubeck.catalogue() == {}
    assert len(await lubeck.view.refusals()) == 1
    await lubeck.delete("urn:x:race")
    await league.settle(lubeck, riga)
    assert await lubeck.view.refusals() == ()
    assert await lubeck.view.conflicts() == ()
    assert await lubeck.catalogue() == await riga.catalogue(), "the other member's entity is here now"


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_crash_after_the_commit_of_a_claim_leaves_the_identifier_to_whoever_was_first(
    league: League, monkeypatch: pytest.MonkeyPatch, *, is_first: bool
) -> None:
    lubeck, bergen, riga = league.marketplaces
    claims, body = lubeck.bus.claims, canonical_json({"@type": "ProductOffering", "id": "urn:x:race"})

    async def claimed_meanwhile(_: Any) -> Any:
        lubeck.bus.claims = claims  # type: ignore[method-assign]
        await lie(league, bergen, "urn:x:race", body)
        return ()

    async def crashed(*_: Any) -> None:
        await asyncio.Event().wait()

    if not is_first:
        lubeck.bus.claims = claimed_meanwhile  # type: ignore[assignment,method-assign]
    with monkeypatch.context() as until_the_crash:
        until_the_crash.setattr(publications, "committed", crashed)
        await lubeck.put("urn:x:race")
        await league.run(1)
        await lubeck.stop()
    if is_first:
        await lie(league, bergen, "urn:x:race", body)
    lubeck.start()
    await league.settle(riga)
    await league.run(5)
    owner = lubeck if is_first else bergen
    assert (await riga.catalogue())["urn:x:race"][1] == owner.did
    assert await sees(lubeck, "urn:x:race") == is_first
    refusals = await lubeck.view.refusals()
    assert [(one.claimed_by, one.is_withdrawn) for one in refusals] == (
        [] if is_first else [(bergen.did, True)]
    )


async def test_a_nonce_is_on_the_ledger_when_the_store_is_lost(league: League) -> None:
    lubeck, _, _ = league.marketplaces
    entity_id = await lubeck.put_bound()
    await league.settle()
    stored = await lubeck.store.entity(entity_id)
    assert stored is not None
    assert await nonce_on_ledger(lubeck.bus, lubeck.did, entity_id) == stored.nonce
    assert await nonce_on_ledger(lubeck.bus, lubeck.did, "urn:x:none") is None


async def test_a_claim_that_a_lost_store_had_made_is_ours_still(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await lubeck.put("urn:x:1", n=1)
    await league.settle()
    await lubeck.stop()
    async with lubeck.store.transaction() as tx:
        await tx.delete("urn:x:1")
        await tx.sql.execute("DELETE FROM publication")
        await tx.set_cursor(PUBLISHER_CURSOR, await tx.feed_end())
    lubeck.start()
    await lubeck.put("urn:x:1", n=2)
    assert not await sees(lubeck, "urn:x:1")
    await league.run(2)
    await league.settle()
    assert await sees(lubeck, "urn:x:1")
    assert await bergen.catalogue() == await lubeck.catalogue() != {}


async def test_a_late_claim_on_a_chosen_identifier_is_evidence(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    await league.run(2 * RACE_MAX_S)
    body = canonical_json({"@type": "ProductOffering", "id": entity_id, "name": "stolen"})
    await lie(league, bergen, entity_id, body)
    await league.settle(lubeck, riga)
    assert await riga.evidence() == {(bergen.did, str(Code.IDENTIFIER_CLAIMED))}


async def test_an_identifier_with_a_prefix_is_its_members_alone(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces

    def registered(member: Member) -> Member:
        is_owner = member.did == lubeck.did
        return msgspec.structs.replace(member, prefixes=(PREFIX,)) if is_owner else member

    members = tuple(map(registered, league.registered))
    league.registered = members

    async def registry() -> tuple[Member, ...]:
        return members

    for one in league.marketplaces:
        one.bus.members = registry  # type: ignore[method-assign]
    body = canonical_json({"@type": "ProductOffering", "id": f"{PREFIX}1", "name": "stolen"})
    await lie(league, bergen, f"{PREFIX}1", body)
    await league.settle(riga)
    assert await riga.evidence() == {(bergen.did, str(Code.IDENTIFIER_STOLEN))}
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    await lubeck.put(f"{PREFIX}1")
    assert await sees(lubeck, f"{PREFIX}1")
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    await league.settle(lubeck, riga)
    assert (await riga.catalogue())[f"{PREFIX}1"][1] == lubeck.did
    assert await lubeck.view.conflicts() == ()


async def test_what_tells_an_identifier_that_is_still_to_be_claimed_waits_for_the_claim(
    league: League,
) -> None:
    lubeck, bergen, _ = league.marketplaces
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    category = await lubeck.put("urn:x:category")
    offering = await lubeck.put_bound(category=[{"id": category}])
    related = await lubeck.put_bound(related=[{"id": category}])
    await league.run(5)
    for each in (category, offering, related):
        assert not await sees(lubeck, each)
    contents = [row[0] for row in await lubeck.store.sql.fetch("SELECT content FROM outbox")]
    assert all(b"urn:x:category" not in content for content in contents)
    assert len(contents) == 2, "the event that would name the category waits"
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    await league.settle()
    await league.run(2)
    await league.settle()
    assert set(await lubeck.catalogue()) == {category, offering, related}
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_entities_that_refer_to_each_other_do_not_wait_for_ever(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await lubeck.put_many(
        [
            ("urn:x:a", "Launched", "ProductOffering", {"related": [{"id": "urn:x:b"}]}),
            ("urn:x:b", "Launched", "ProductOffering", {"related": [{"id": "urn:x:a"}]}),
        ]
    )
    await league.run(2)
    await league.settle()
    assert set(await bergen.catalogue()) == {"urn:x:a", "urn:x:b"}


@pytest.mark.parametrize("end", ["deleted", "private"])
async def test_what_waits_goes_on_when_the_other_is_not_to_be_claimed_any_more(
    league: League, end: str
) -> None:
    lubeck, bergen, _ = league.marketplaces
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    category = await lubeck.put("urn:x:category")
    offering = await lubeck.put_bound(category=[{"id": category}])
    await league.run(1)
    await lubeck.stop()
    await lubeck.store.sql.fetch("SELECT 1")
    async with lubeck.store.transaction() as tx:
        await tx.sql.execute("DELETE FROM outbox")
    if end == "deleted":
        await lubeck.delete(category)
    else:
        await lubeck.put(category, "In design")
    lubeck.bus.is_connected = True  # type: ignore[attr-defined]
    lubeck.start()
    await league.settle()
    assert set(await lubeck.catalogue()) == {offering}
    assert await bergen.catalogue() == await lubeck.catalogue()
