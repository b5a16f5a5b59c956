"""Versions that their origins do not serve come from whoever has them; who lies harms itself alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from hansa.core.canonical import canonical_json
from hansa.core.clock import ManualClock
from hansa.core.errors import Code
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.identity import MemberAnswerSigner, MemberSigner
from hansa.replication.exchange import AnswerProof, encode_line
from hansa.replication.sources.ranking import HEDGED_SHARE, LATENCIES_MIN, SourceRanking
from hansa.store.tables import evidence, origins
from tests.support.league import League, Marketplace
from tests.support.network import Fault, changed, oversize, replaced, status

NAMES = ["lubeck", "bergen", "riga", "bruges"]
COUNT = 7


@pytest.fixture
async def league() -> AsyncIterator[League]:
    """Three members have what lubeck published; riga has just arrived, and lubeck is away."""
    async with League(NAMES, has_pushes=False) as league:
        lubeck, bergen, riga, bruges = league.marketplaces
        for member in (lubeck, bergen, bruges):
            member.start()
        for n in range(COUNT):
            await lubeck.put(str(n), name=f"offering {n}")
        await league.settle(lubeck, bergen, bruges)
        league.network.requests.clear()
        league.network.down.add(lubeck.endpoint)
        riga.start()
        yield league


async def has_everything(league: League, member: Marketplace) -> bool:
    return len(await member.catalogue()) == COUNT == len(await league.marketplaces[1].catalogue())


async def source_evidence(member: Marketplace) -> set[tuple[str, str]]:
    return {one for one in await member.evidence() if one[1] == Code.SOURCE_WRONG_BYTES}


def requests_for_entities(league: League, member: Marketplace) -> list[HttpRequest]:
    return [one for one in league.network.requests_to(member.endpoint) if one.url.endswith(ENTITIES_PATH)]


async def test_what_an_origin_published_that_is_away_comes_from_the_others(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    await league.until(lambda: has_everything(league, riga))
    assert await riga.catalogue() == await bergen.catalogue()
    assert await riga.evidence() == set()
    (origin,) = await origins.origins(riga.store)
    assert (origin.did, origin.pending, origin.stored) == (lubeck.did, 0, COUNT)


async def test_what_an_origin_has_lost_comes_from_the_others(league: League) -> None:
    lubeck, _, riga, _ = league.marketplaces
    league.network.down.clear()
    lost = entity_key(lubeck.did, lubeck.id("3"))

    def without(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        del request
        lines = answer.body.splitlines(keepends=True)
        kept = [encode_line(lost, "unknown") if lost.encode() in line else line for line in lines]
        return HttpResponse(200, {}, b"".join(kept))

    league.network.faults[lubeck.endpoint] = without
    await league.until(lambda: has_everything(league, riga))
    assert await riga.evidence() == {(lubeck.did, "retrieval-missing")}


def other_version(member: Marketplace, league: League) -> Fault:
    """Every entity is sent as another one that this member has."""
    del member
    lubeck = league.marketplaces[0]
    body = canonical_json({"@type": "ProductOffering", "id": lubeck.id("0"), "lifecycleStatus": "Launched"})

    def fault(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        del answer
        keys = [one["key"] for one in msgspec.json.decode(request.body)["entities"]]
        return HttpResponse(200, {}, b"".join(encode_line(key, "found", body) for key in keys))

    return fault


WRONG: dict[str, Callable[[Marketplace, League], Fault]] = {
    "wrong": lambda *_: replaced(b"offering", b"evil"),
    "stale": other_version,
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_bytes_are_evidence_against_their_source_alone(league: League, name: str) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    league.network.faults[bergen.endpoint] = WRONG[name](bergen, league)
    league.network.down.add(bruges.endpoint)
    await league.until(lambda: source_evidence(riga))
    assert await riga.catalogue() == {}
    assert await riga.evidence() == {(bergen.did, str(Code.SOURCE_WRONG_BYTES))}
    records = await evidence.records(riga.store, 100)
    assert {one.key for one in records} == {entity_key(lubeck.did, lubeck.id(str(n))) for n in range(COUNT)}
    # Request and signed answer show it to everybody.
    ((proved, proof),) = await evidence.proofs(riga.store, bergen.did)
    assert proved.is_proved
    shown = msgspec.json.decode(proof, type=AnswerProof)
    assert b"entities" in shown.request
    assert shown.answer_token.count(".") == 2
    # It is left alone, and whoever is honest is not.
    asked = len(requests_for_entities(league, bergen))
    league.network.down.discard(bruges.endpoint)
    await league.until(lambda: has_everything(league, riga))
    assert len(requests_for_entities(league, bergen)) == asked
    assert (await riga.catalogue()) == (await bruges.catalogue())


async def test_who_sent_wrong_bytes_is_the_last_one_after_a_restart_too(league: League) -> None:
    _, bergen, riga, bruges = league.marketplaces
    league.network.faults[bergen.endpoint] = replaced(b"offering", b"evil")
    league.network.down.add(bruges.endpoint)
    await league.until(lambda: source_evidence(riga))
    await riga.restart()
    league.network.down.discard(bruges.endpoint)
    league.network.requests.clear()
    await league.until(lambda: has_everything(league, riga))
    assert requests_for_entities(league, bergen) == []


def forged(league: League) -> Fault:
    """Wrong bytes, signed by somebody else's key in the name of the source."""
    bergen = league.marketplaces[1]
    somebody = MemberAnswerSigner(SigningKey.generate(), bergen.did, league.clock)
    league.network.signers[bergen.endpoint] = somebody
    return replaced(b"offering", b"evil")


def unsigned(league: League) -> Fault:
    bergen = league.marketplaces[1]
    del league.network.signers[bergen.endpoint]
    return lambda _, answer: HttpResponse(200, {}, answer.body.replace(b"offering", b"evil"))


NO_PROOFS: dict[str, Callable[[League], Fault]] = {"forged": forged, "unsigned": unsigned}


@pytest.mark.parametrize("name", NO_PROOFS)
async def test_wrong_bytes_that_the_source_has_not_signed_are_no_evidence(league: League, name: str) -> None:
    _, bergen, riga, _ = league.marketplaces
    league.network.faults[bergen.endpoint] = NO_PROOFS[name](league)
    await league.until(lambda: has_everything(league, riga))
    await league.run(30)
    assert await riga.evidence() == set()


async def test_the_answer_to_another_request_is_not_believed(league: League) -> None:
    _, bergen, riga, bruges = league.marketplaces
    league.network.down.add(bruges.endpoint)
    answers: list[HttpResponse] = []

    def replay(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if not request.url.endswith(ENTITIES_PATH):
            return answer
        answers.append(answer)
        return msgspec.structs.replace(answer, body=b"") if len(answers) == 1 else answers[0]

    league.network.tampering[bergen.endpoint] = replay
    await league.until(lambda: len(answers) > 2)
    assert await riga.catalogue() == {}
    assert await riga.evidence() == set()
    league.network.tampering.clear()
    await league.until(lambda: has_everything(league, riga))


USELESS: dict[str, Fault] = {
    "truncated": changed(lambda body: body[: len(body) // 2]),
    "endless": oversize(Limits().retrieval_size_max_bytes),
    "withheld": lambda request, _: HttpResponse(
        200,
        {},
        b"".join(encode_line(one["key"], "unknown") for one in msgspec.json.decode(request.body)["entities"]),
    ),
    "overloaded": status(503),
    "page": lambda *_: HttpResponse(200, {"content-type": "text/html"}, b"<html>"),
}


@pytest.mark.parametrize("name", USELESS)
async def test_a_source_of_no_use_costs_little_and_is_accused_of_nothing(league: League, name: str) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    for one in (bergen, bruges):
        league.network.faults[one.endpoint] = USELESS[name]
    await league.run(3600, 20.0)
    assert await riga.catalogue() == {}
    assert len(requests_for_entities(league, bergen)) < 60
    assert await riga.evidence() == set()
    league.network.down.clear()
    await league.until(lambda: has_everything(league, riga))
    (origin,) = await origins.origins(riga.store)
    assert (origin.did, origin.attempts, origin.failed) == (lubeck.did, 0, 0)


async def test_limits_of_a_reader_are_no_evidence_against_a_source() -> None:
    async with League(NAMES[:3], Limits(entity_size_max_bytes=2000), has_pushes=False) as league:
        lubeck, bergen, riga = league.marketplaces
        lubeck.start()
        bergen.start()
        await lubeck.put("small", name="x")
        await league.settle(lubeck, bergen)
        large = await lubeck.put("large", text="y" * 3000)
        await league.settle(lubeck, bergen)
        assert await bergen.store.entity(large) is None
        league.network.down.add(lubeck.endpoint)
        riga.start()
        await league.until(lambda: riga.store.entity(lubeck.id("small")))
        await league.run(60)
        assert await riga.evidence() == await bergen.evidence() == set()


async def test_drafts_and_replicas_for_strangers_are_served_to_nobody(league: League) -> None:
    _, bergen, riga, _ = league.marketplaces
    lubeck = league.marketplaces[0]
    draft_id = await bergen.put("draft", status="In design", name="secret")
    draft = await bergen.store.entity(draft_id)
    public = await bergen.store.entity(lubeck.id("1"))
    assert draft is not None
    assert public is not None
    entities = [
        {"key": entity_key(bergen.did, draft_id), "hashlink": draft.hashlink},
        {"key": entity_key(lubeck.did, lubeck.id("1")), "hashlink": public.hashlink},
        {"key": entity_key(lubeck.did, lubeck.id("2")), "hashlink": public.hashlink},
        {"key": entity_key(bergen.did, lubeck.id("1")), "hashlink": public.hashlink},
    ]
    body = msgspec.json.encode({"entities": entities})
    plain = {"content-type": "application/json"}
    answer = await bergen.client.request("POST", ENTITIES_PATH, body=body, headers=plain)
    statuses = [msgspec.json.decode(line)["status"] for line in answer.body.splitlines()]
    assert statuses == ["unknown"] * 4
    assert "member-answer" not in answer.headers
    signer = MemberSigner(riga.key, riga.did, league.clock, riga.entropy, league.limits)
    url = bergen.endpoint + ENTITIES_PATH
    request = HttpRequest("POST", url, plain | signer.headers(bergen.did, "POST", url, body), body)
    response = await league.network.send(request)
    lines = [msgspec.json.decode(line) for line in response.body.splitlines()]
    assert [line["status"] for line in lines] == ["unknown", "found", "unknown", "unknown"]
    assert "member-answer" in response.headers


async def test_a_replica_that_a_disk_has_altered_is_not_served(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    league.network.down.add(bruges.endpoint)
    entity = await bergen.store.entity(lubeck.id("1"))
    assert entity is not None
    async with bergen.store.transaction() as tx:
        await tx.sql.execute("UPDATE entity SET body = ? WHERE id = ?", (b'{"id":"x"}', entity.id))
    await league.until(lambda: riga.store.entity(lubeck.id("2")))
    await league.run(5)
    assert await riga.store.entity(lubeck.id("1")) is None
    assert await riga.evidence() == set()


async def test_a_signed_request_of_a_failing_origin_has_it_requested_at_once(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    league.network.down |= {bergen.endpoint, bruges.endpoint}
    await league.run(600, 10.0)
    (origin,) = await origins.origins(riga.store)
    assert origin.attempts > 3
    league.network.down.discard(lubeck.endpoint)
    url = riga.endpoint + ENTITIES_PATH
    body = msgspec.json.encode(
        {
            "entities": [
                {"key": entity_key(riga.did, "x"), "hashlink": (await bergen.catalogue())[lubeck.id("1")][0]}
            ]
        }
    )
    signer = MemberSigner(lubeck.key, lubeck.did, league.clock, lubeck.entropy, league.limits)
    headers = {"content-type": "application/json"} | signer.headers(riga.did, "POST", url, body)
    await league.network.send(HttpRequest("POST", url, headers, body))
    await league.until(lambda: has_everything(league, riga), 5)
    (origin,) = await origins.origins(riga.store)
    assert origin.attempts == 0


async def test_what_a_slow_origin_published_comes_from_another_member_meanwhile(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    league.network.down.clear()
    league.network.delays_s[lubeck.endpoint] = 15.0
    ranking = riga.retriever.sources.ranking
    for did in (lubeck.did, bergen.did):
        for _ in range(LATENCIES_MIN):
            ranking.answered(did, 0.01, 1, 1)
            ranking.hedge_after_s(did)
    await league.until(lambda: has_everything(league, riga), 5)
    assert ranking.hedges == 1
    assert requests_for_entities(league, lubeck)


def test_one_request_in_ten_at_most_is_hedged() -> None:
    ranking = SourceRanking(ManualClock(), bytes)
    for _ in range(LATENCIES_MIN):
        ranking.answered("slow", 1.0, 1, 1)
    requests = 200
    for _ in range(requests):
        if ranking.hedge_after_s("slow") is not None:
            ranking.hedged()
    assert 0 < ranking.hedges <= HEDGED_SHARE * requests


def test_a_ranking_prefers_who_is_honest_then_rich_then_fast() -> None:
    clock = ManualClock()
    ranking = SourceRanking(clock, bytes)
    for did, latency_s, received in (
        ("slow", 2.0, 10),
        ("fast", 0.1, 10),
        ("poor", 0.01, 0),
        ("liar", 0.01, 10),
    ):
        for _ in range(10):
            ranking.answered(did, latency_s, 10, received)
    ranking.sent_wrong("liar", 1)
    assert ranking.ready(["poor", "liar", "slow", "fast"]) == ["fast", "slow", "poor"]
    ranking.failed("fast")
    assert ranking.ready(["poor", "slow", "fast"]) == ["slow", "poor"]
    ranking.is_alive("fast")
    ranking.is_alive("liar")
    assert ranking.ready(["liar", "slow", "fast"]) == ["slow", "fast"]
