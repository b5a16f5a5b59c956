"""A member may send anything. What does not hold is not stored, leaves evidence, and harms nobody else."""

from __future__ import annotations

import msgspec
import pytest
import structlog

from hansa.core.batches import BatchSigner
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.entity_form import ENTITY_SIZE_MAX_BYTES
from hansa.core.errors import Code, Refused
from hansa.core.events import ENTITIES_PATH, EntityVersion, encode_event
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.replication.claims import RACE_MAX_S
from hansa.replication.exchange import encode_line
from hansa.store.tables import evidence, heads, origins
from tests.support.league import League, Marketplace
from tests.support.network import Fault, oversize, replaced, status


def serving(bodies: dict[str, bytes]) -> Fault:
    """Answers with these bytes, whatever the marketplace behind would say."""

    def fault(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if not request.url.endswith(ENTITIES_PATH):
            return answer
        keys = [one["key"] for one in msgspec.json.decode(request.body)["entities"]]
        lines = [encode_line(key, "found", bodies[key]) for key in keys]
        return HttpResponse(200, {}, b"".join(lines))

    return fault


async def lie(league: League, liar: Marketplace, entity_id: str, body: bytes, **event: object) -> None:
    """The liar announces an entity and serves these bytes for it."""
    announced = await liar.announce(entity_id, body, **event)
    league.network.faults[liar.endpoint] = serving({announced.entity.key: body})


async def expect_refusal(league: League, liar: Marketplace, code: Code) -> None:
    """Everybody else refuses, with this code; nothing is stored, and life goes on."""
    honest = [member for member in league.marketplaces if member is not liar]
    await league.settle(*honest)
    for member in honest:
        assert await member.evidence() == {(liar.did, str(code))}
        assert await member.catalogue() == {}
        (record,) = await member.view.evidence_records()
        assert record.reason.endswith(".")
    await honest[0].put("after")
    await league.settle(*honest)
    assert len(await honest[1].catalogue()) == 1


async def test_wrong_bytes_are_not_stored_and_are_requested_again(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.network.faults[lubeck.endpoint] = replaced(b"Edge node", b"Evil node")
    entity_id = await lubeck.put("one", name="Edge node")
    good_id = await lubeck.put("two", name="Core node")
    await league.until(lambda: bergen.store.entity(good_id))
    await league.run(10)
    assert await bergen.store.entity(entity_id) is None
    assert await bergen.evidence() == {(lubeck.did, "hash-mismatch")}
    (record,) = await bergen.view.evidence_records()
    assert record.count > 1
    assert record.key == entity_key(lubeck.did, entity_id)
    assert len(league.network.requests_to(lubeck.endpoint)) < 50
    league.network.faults.clear()
    await league.settle()
    assert await bergen.catalogue() == await lubeck.catalogue() == await riga.catalogue()


async def test_many_entities_that_an_origin_does_not_serve_fill_no_log(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    with structlog.testing.capture_logs() as logs:
        for number in range(50):
            await bergen.announce(f"urn:x:{number}", b"nowhere")
        await league.until(lambda: announced_and_refused(lubeck, 50))
    lines = [line for line in logs if line["event"] == "entities_rejected"]
    assert 0 < len(lines) <= 20
    assert sum(line["count"] for line in lines) >= 50


async def announced_and_refused(member: Marketplace, count: int) -> bool:
    return len(await evidence.records(member.store, count)) == count


async def test_an_event_for_another_entity_is_refused(league: League) -> None:
    _, bergen, _ = league.marketplaces
    body = canonical_json({"@type": "ProductOffering", "id": "urn:x:real"})
    key = entity_key(bergen.did, "urn:x:other")
    await lie(
        league,
        bergen,
        "urn:x:real",
        body,
        entity=EntityVersion(key, "ProductOffering", 1),
    )
    await expect_refusal(league, bergen, Code.KEY_MISMATCH)


async def test_an_identifier_that_another_member_owns_cannot_be_claimed(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = await lubeck.put("one")
    await league.settle()
    await league.run(2 * RACE_MAX_S)
    body = canonical_json({"@type": "ProductOffering", "id": entity_id, "name": "mine"})
    await lie(league, bergen, entity_id, body)
    await league.settle(lubeck, riga)
    for member in (lubeck, riga):
        assert await member.catalogue() == {entity_id: ((await lubeck.catalogue())[entity_id][0], lubeck.did)}
        assert await member.evidence() == {(bergen.did, "identifier-claimed")}
    assert await lubeck.view.conflicts() == ()


async def test_an_identifier_belongs_to_whoever_claimed_it_first_even_if_that_is_retrieved_last(
    league: League,
) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.network.down.add(bergen.endpoint)
    await bergen.put("urn:x:both", n=1)
    await league.settle(bergen)
    await lubeck.put("urn:x:both", n=2)
    await league.run(5)
    assert await riga.store.entity("urn:x:both") is None
    league.network.down.clear()
    await league.settle()
    assert (await riga.catalogue())["urn:x:both"][1] == bergen.did
    # Whoever came second is told, before anybody saw anything, and is accused of nothing.
    assert await riga.evidence() == set()
    assert "urn:x:both" not in await lubeck.catalogue()
    (refusal,) = await lubeck.view.refusals()
    assert (refusal.entity_id, refusal.refusal_code) == ("urn:x:both", "identifier-claimed")
    assert [(c.entity_id, c.issuer) for c in await lubeck.view.conflicts()] == [("urn:x:both", bergen.did)]


async def test_an_event_of_a_private_type_is_evidence(league: League) -> None:
    _, bergen, _ = league.marketplaces
    body = canonical_json({"@type": "Individual", "id": "urn:x:person"})
    key = entity_key(bergen.did, "urn:x:person")
    await lie(
        league,
        bergen,
        "urn:x:person",
        body,
        type="individualCreateEvent",
        entity=EntityVersion(key, "Individual", 1),
    )
    await expect_refusal(league, bergen, Code.ENTITY_INVALID)
    assert league.network.requests_to(bergen.endpoint) == []


BAD_BODIES = {
    "not canonical": b'{"id":"urn:x:1","@type":"ProductOffering"}',
    "spaces": b'{"@type": "ProductOffering", "id": "urn:x:1"}',
    "duplicate names": b'{"@type":"ProductOffering","id":"x","id":"urn:x:1"}',
    "no type": b'{"id":"urn:x:1"}',
    "another type": b'{"@type":"Category","id":"urn:x:1"}',
    "no identifier": b'{"@type":"ProductOffering"}',
    "a number for an identifier": b'{"@type":"ProductOffering","id":7}',
    "an empty identifier": b'{"@type":"ProductOffering","id":""}',
    "an endless identifier": b'{"@type":"ProductOffering","id":"%s"}' % (b"x" * 10_000),
    "an href": b'{"@type":"ProductOffering","href":"http://x/","id":"urn:x:1"}',
    "an array": b"[1,2]",
    "null": b"null",
    "deep nesting": b'{"@type":"ProductOffering","a":%s1%s,"id":"urn:x:1"}' % (b"[" * 70, b"]" * 70),
    "very deep nesting": b'{"@type":"ProductOffering","a":%s1%s,"id":"urn:x:1"}' % (b"[" * 700, b"]" * 700),
    "a lossy number": b'{"@type":"ProductOffering","a":12345678901234567890,"id":"urn:x:1"}',
    "a wrong character": b'{"@type":"ProductOffering","a":"\xff","id":"urn:x:1"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=list(BAD_BODIES))
async def test_bytes_that_are_no_entity_are_refused_though_their_hash_is_right(
    league: League, body: bytes
) -> None:
    _, bergen, _ = league.marketplaces
    await lie(league, bergen, "urn:x:1", body)
    await expect_refusal(league, bergen, Code.ENTITY_INVALID)


async def test_an_entity_that_is_larger_than_any_may_be_is_refused(league: League) -> None:
    _, bergen, _ = league.marketplaces
    name = "x" * ENTITY_SIZE_MAX_BYTES
    body = canonical_json({"@type": "ProductOffering", "id": "urn:x:1", "name": name})
    await lie(league, bergen, "urn:x:1", body)
    await expect_refusal(league, bergen, Code.RETRIEVAL_TOO_LARGE)


async def test_a_limit_of_the_reader_alone_is_no_evidence() -> None:
    async with League(["lubeck", "bergen"], Limits(entity_size_max_bytes=5000)) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put("large", name="x" * 6000)
        await lubeck.put("small")
        await league.settle()
        assert set(await bergen.catalogue()) == {lubeck.id("small")}
        assert await bergen.evidence() == set()
        (head,) = await heads.page(bergen.store, ["skipped"], None, 0, 9)
        assert "entity_size_max_bytes" in str(head.reason)


ODD_IDENTIFIERS = (
    "a/b",
    "../x",
    "a/../b",
    "nul\x00",
    "<script>alert(1)</script>",
    "a b",
    "ä",
    "urn:x:?",
    "a#b",
)


@pytest.mark.parametrize("entity_id", ODD_IDENTIFIERS)
async def test_an_identifier_that_no_client_may_choose_is_rejected(league: League, entity_id: str) -> None:
    _, bergen, _ = league.marketplaces
    body = canonical_json({"@type": "ProductOffering", "id": entity_id})
    await lie(league, bergen, entity_id, body)
    await expect_refusal(league, bergen, Code.ENTITY_INVALID)


def first_line_only(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    return HttpResponse(200, {}, answer.body.split(b"\n")[0] + b"\n")


def backwards(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    return HttpResponse(200, {}, b"\n".join(reversed(answer.body.rstrip(b"\n").split(b"\n"))) + b"\n")


def not_found_yet_there(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    return HttpResponse(200, {}, answer.body.replace(b"found", b"later"))


def put_off(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    keys = [one["key"] for one in msgspec.json.decode(request.body)["entities"]]
    return HttpResponse(200, {}, b"".join(encode_line(key, "later") for key in keys))


ANSWERS: dict[str, tuple[Fault, str]] = {
    "a redirect": (status(302, {"location": "http://169.254.169.254/"}), "retrieval-answer-invalid"),
    "not found": (status(404), "retrieval-answer-invalid"),
    "an inner error": (status(500), "retrieval-unreachable"),
    "overloaded": (status(503, {"retry-after": "5"}), "retrieval-unreachable"),
    "overloaded for ever": (status(503, {"retry-after": "99999999"}), "retrieval-unreachable"),
    "not JSON": (replaced(b"{", b"<"), "retrieval-answer-invalid"),
    "half a line": (lambda _, answer: HttpResponse(200, {}, answer.body[:-9]), "retrieval-answer-invalid"),
    "nothing": (lambda *_: HttpResponse(200, {}, b""), "retrieval-answer-invalid"),
    "an entity that is put off": (not_found_yet_there, "retrieval-answer-invalid"),
    "later for ever": (put_off, "retrieval-answer-invalid"),
    "deep nesting": (
        lambda *_: HttpResponse(200, {}, b'{"key":' + b"[" * 100_000 + b"\n" + b"{}\n"),
        "retrieval-answer-invalid",
    ),
    "no end": (oversize(20_000_000), "retrieval-too-large"),
    "bytes that are no text": (replaced(b"found", b"\xff\xfe"), "retrieval-answer-invalid"),
}


@pytest.mark.parametrize(("fault", "code"), ANSWERS.values(), ids=list(ANSWERS))
async def test_an_answer_that_is_none_delays_its_origin_alone(
    league: League, fault: Fault, code: str
) -> None:
    lubeck, bergen, riga = league.marketplaces
    league.network.faults[lubeck.endpoint] = fault
    await lubeck.put_many([(lubeck.id(n), "Launched", "ProductOffering", {"name": n}) for n in "abc"])
    await riga.put("other")
    await league.until(lambda: bergen.store.entity(riga.id("other")), 0.5)
    await league.run(20)
    assert len(await bergen.catalogue()) == 1
    members = {origin.did: origin for origin in await origins.origins(bergen.store)}
    assert members[lubeck.did].problem == code
    assert await bergen.evidence() == set()  # it may be a proxy's answer
    assert len(league.network.requests_to(lubeck.endpoint)) < 150
    assert not any(b"our words" in str(e).encode() for e in await bergen.view.evidence_records())
    league.network.faults.clear()
    await league.settle()
    assert await bergen.catalogue() == await lubeck.catalogue()


@pytest.mark.parametrize("fault", [first_line_only, backwards])
async def test_an_answer_to_another_question_is_none(league: League, fault: Fault) -> None:
    lubeck, bergen, _ = league.marketplaces
    league.network.faults[lubeck.endpoint] = fault
    await lubeck.put_many([(lubeck.id(n), "Launched", "ProductOffering", {}) for n in "abc"])
    await league.settle()  # asked for one at a time, the origin answers well
    assert await bergen.evidence() == set()
    assert await bergen.catalogue() == await lubeck.catalogue()


async def test_one_entity_that_spoils_every_answer_does_not_keep_the_others_away(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces

    def spoil(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        return status(400)(request, answer) if b"poison" in answer.body else answer

    league.network.faults[lubeck.endpoint] = spoil
    await lubeck.put_many([(lubeck.id(str(n)), "Launched", "ProductOffering", {}) for n in range(100)])
    await lubeck.put("poison")
    await league.run(60)
    assert len(await bergen.catalogue()) == 100
    started_s = league.clock.monotonic()
    await lubeck.put("later")
    await league.until(lambda: bergen.store.entity(lubeck.id("later")))
    assert league.clock.monotonic() - started_s <= 3.0


async def test_what_an_origin_never_had_is_requested_ever_more_rarely() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        body = canonical_json({"@type": "ProductOffering", "id": "urn:x:1"})
        event = await bergen.announce("urn:x:1", body)
        await league.run(43_200, 30.0)
        assert await lubeck.evidence() == {(bergen.did, "retrieval-missing")}
        assert 12 < len(league.network.requests) < 50
        (head,) = await heads.of_all_members(lubeck.store, event.entity.key)
        assert (head.state, head.problem) == ("pending", "retrieval-missing")
        now_ms = league.clock.now().timestamp() * 1000
        assert now_ms - 60_000 < head.due_ms <= now_ms + 3_600_000


async def test_an_entity_that_spoils_its_line_of_a_response_is_rejected_for_good() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        body = b'{"@type":"ProductOffering","a":"\\ud800","id":"urn:x:1"}'
        await lie(league, bergen, "urn:x:1", body)
        await league.settle(lubeck)
        assert await lubeck.evidence() == {(bergen.did, "entity-invalid")}
        assert await lubeck.catalogue() == {}
        assert len(league.network.requests) == 1
        league.network.faults.clear()
        await bergen.put("good")
        await league.settle(lubeck)
        assert len(await lubeck.catalogue()) == 1


async def test_a_forged_event_never_gets_onto_the_ledger(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    body = canonical_json({"@type": "ProductOffering", "id": "urn:x:1"})
    await lubeck.announce("urn:x:0", body)
    page = await league.ledger.bus().search(0)
    genuine = page.events[0].event
    key = entity_key(lubeck.did, "urn:x:1")
    forged = msgspec.structs.replace(
        genuine,
        id=genuine.id[:-1] + ("0" if genuine.id[-1] != "0" else "1"),
        entity=EntityVersion(key, "ProductOffering", 1),
        hashlink=hashlink(body),
    )
    forger = BatchSigner(bergen.key, lubeck.did, league.clock)
    with pytest.raises(Refused) as refusal:
        await bergen.bus.publish([encode_event(forged)], forger)
    assert refusal.value.code is Code.EVENT_SIGNATURE_INVALID
    assert (await league.ledger.bus().search(0)).last_position == 1
    assert await riga.catalogue() == {}


async def test_a_replayed_event_changes_nothing(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await lubeck.put("one", n=1)
    await league.settle()
    old = (await bergen.bus.search(0)).events[0]
    await lubeck.put("one", n=2)
    await league.settle()
    assert await bergen.bus.publish([old.content], lubeck.signer) == (old.position,)
    await league.settle()
    assert await bergen.catalogue() == await lubeck.catalogue()
    assert (await bergen.bus.search(0)).last_position == 2


async def test_evidence_does_not_grow_without_bound() -> None:
    async with League(["lubeck", "bergen"], Limits(evidence_rows_max=10)) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        bodies: dict[str, bytes] = {}
        for n in range(30):
            body = b'{"id":"%d"}' % n
            bodies[(await bergen.announce(str(n), body)).entity.key] = body
        league.network.faults[bergen.endpoint] = serving(bodies)
        await league.settle(lubeck)
        assert await lubeck.view.evidence() == 10
