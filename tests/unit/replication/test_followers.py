"""What a member says that it has of the entities of another one, which asks for them by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.business.visibility import PublicParts
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import entity_key
from hansa.node.parts.pages.offers.sights import ANSWERED_S, ReportedSights
from hansa.portal.providers.offers.elsewhere.sights import MemberSight
from hansa.pubsub.memory import MemoryBus
from hansa.replication.sources.peers import KEYS_MAX
from tests.support.business import MODELS
from tests.support.league import League, Marketplace
from tests.support.league_parts import peers_of

OPERATOR = {"authorization": "Bearer otto:operator"}


@pytest.fixture
async def league(tmp_path: Path) -> AsyncIterator[League]:
    async with League(["lubeck", "bergen", "riga"], folder=tmp_path) as league:
        league.start()
        yield league


def sights_of(member: Marketplace) -> ReportedSights:
    parts = PublicParts(MODELS)
    return ReportedSights(member.store, peers_of(member), member.bus, parts, member.did, member.league.clock)


async def seen(sights: ReportedSights, entity_id: str) -> dict[str, MemberSight]:
    """What the members say, by their names."""
    return {one.name: one for one in (await sights.holders((entity_id,), 3.0))[entity_id]}


async def test_a_member_says_which_version_it_has_and_since_when(league: League) -> None:
    lubeck, *_ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    sights = await seen(sights_of(lubeck), entity_id)
    assert {name: (one.state, one.version) for name, one in sights.items()} == {
        "bergen": ("current", 1),
        "riga": ("current", 1),
    }
    assert all(one.since for one in sights.values())


async def test_a_member_that_is_away_is_silent_and_the_others_are_not(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    league.network.down.add(bergen.endpoint)
    sights = await seen(sights_of(lubeck), entity_id)
    assert (sights["bergen"].state, sights["bergen"].code) == ("silent", "retrieval-unreachable")
    assert sights["riga"].state == "current"


async def test_a_member_that_does_not_take_it_in_says_the_code_of_the_reason(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    bergen.policy.drop_origins(frozenset({lubeck.did}))
    entity_id = await lubeck.put("cloud")
    await league.settle()
    sights = await seen(sights_of(lubeck), entity_id)
    assert (sights["bergen"].state, sights["bergen"].code) == ("kept-out", "condition-unmet")


async def test_a_member_that_is_paused_is_not_asked(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    assert (await lubeck.client.post(f"/league/v1/peers/{bergen.did}/pause", headers=OPERATOR)).status == 200
    league.network.requests.clear()
    sights = await seen(sights_of(lubeck), entity_id)
    assert (sights["bergen"].state, sights["bergen"].code) == ("silent", "")
    assert league.network.requests_to(bergen.endpoint) == []


async def test_a_page_that_is_loaded_again_asks_nobody_again_for_a_while(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    sights = sights_of(lubeck)
    await seen(sights, entity_id)
    league.network.requests.clear()
    await seen(sights, entity_id)
    assert league.network.requests_to(bergen.endpoint) == []
    await league.run(ANSWERED_S + 1)
    league.network.requests.clear()
    await seen(sights, entity_id)
    assert len(league.network.requests_to(bergen.endpoint)) == 1


async def test_of_a_draft_nobody_is_asked(league: League) -> None:
    lubeck, *_ = league.marketplaces
    entity_id = await lubeck.put("cloud", "Active")
    await league.settle()
    assert await sights_of(lubeck).holders((entity_id,), 3.0) == {}


async def test_a_member_learns_nothing_of_what_others_have_published(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    key = entity_key(lubeck.did, entity_id)
    progress = await peers_of(riga).own_progress(bergen.did, (key,))
    assert progress.entities == ()
    (answer, _) = await peers_of(lubeck).followers((key,))
    assert answer.progress is not None
    assert [one.key for one in answer.progress.entities] == [key]


@pytest.mark.parametrize(
    "query", ["key=x", "key=", "entity=x", "key=" + ",".join(["0" * 64] * (KEYS_MAX + 1))]
)
async def test_what_is_no_ledger_key_or_too_much_is_refused(league: League, query: str) -> None:
    lubeck, *_ = league.marketplaces
    assert (await lubeck.client.get(f"/league/v1/followed?{query}")).status == 400


async def test_a_stranger_is_told_nothing(league: League) -> None:
    lubeck, *_ = league.marketplaces
    assert (await lubeck.client.get(f"/league/v1/followed?key={'0' * 64}")).status == 401


async def test_versions_are_those_of_the_ledger_and_their_content_is_what_is_left_of_it(
    league: League,
) -> None:
    lubeck, *_ = league.marketplaces
    entity_id = await lubeck.put("cloud", description="one")
    await league.settle()
    await lubeck.put("cloud", description="two")
    await league.settle()
    sights = sights_of(lubeck)
    history, contents = await sights.history(entity_id)
    assert [one.version for one in history.versions] == [2, 1]
    assert history.versions[0].has_content
    assert b"two" in contents[2]
    assert 3 not in contents


async def test_while_the_ledger_is_away_the_history_says_so(league: League) -> None:
    lubeck, *_ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    assert isinstance(lubeck.bus, MemoryBus)
    lubeck.bus.is_connected = False
    history, _ = await sights_of(lubeck).history(entity_id)
    assert history.is_ledger_silent


ENTITY = {
    "key": "",
    "state": "stored",
    "version": 1,
    "replica_version": 1,
    "stored_since": None,
    "problem": None,
}
NUMBERS = dict.fromkeys(("heads", "stored", "pending", "deferred", "skipped", "rejected", "deleted"), 0)


@pytest.mark.parametrize(
    ("said", "state", "since", "code"),
    [
        ({"stored_since": "<b>buy at bergen</b>"}, "current", "", ""),
        ({"problem": "buy-at-bergen", "state": "skipped", "replica_version": 0}, "kept-out", "", ""),
        ({"replica_version": 10**18}, "unsaid", "", ""),
        ({"replica_version": -1}, "unsaid", "", ""),
        ({"state": "best of all"}, "silent", "", "retrieval-answer-invalid"),
        ({"key": "0" * 64}, "unsaid", "", ""),
    ],
)
async def test_what_a_member_makes_up_is_not_shown_in_its_words(
    league: League, said: dict[str, Any], state: str, since: str, code: str
) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("cloud")
    await league.settle()
    entity = {**ENTITY, "key": entity_key(lubeck.did, entity_id), **said}
    body = msgspec.json.encode({"position": 10**15, **NUMBERS, "entities": [entity]})

    def lies(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        del request, answer
        return HttpResponse(200, {}, body)

    league.network.faults[bergen.endpoint] = lies
    sight = (await seen(sights_of(lubeck), entity_id))["bergen"]
    assert (sight.state, sight.since, sight.code) == (state, since, code)
