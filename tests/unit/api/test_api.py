"""`/league/v1`: what members and clients get, and how bad requests are refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from hansa.pubsub.ledger.commitments.app_hash import NEWEST_RULESET
from hansa.pubsub.ledger.commitments.proofs import holds_consistency, holds_inclusion, proved_records
from hansa.pubsub.proofs import ClaimsProof, ConsistencyProof, InclusionProof
from hansa.store.tables import announced
from tests.support.league import League, Marketplace
from tests.support.malformed import ERROR_MEMBERS

ENTITIES = "/league/v1/entities"
EVENTS = "/league/v1/events"
SOME_KEY = "ab" * 32
SOME_LINK = hashlink(b"{}")


def wanted(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"entities": [{"key": key, "hashlink": link} for key, link in pairs]}


async def published(league: League, *names: str) -> Marketplace:
    lubeck = league.marketplaces[0]
    for name in names or ("one",):
        await lubeck.put(name, name=name)
    await league.settle()
    return lubeck


async def key_and_link(member: Marketplace, entity_id: str) -> tuple[str, str]:
    entity = await member.store.entity(entity_id)
    assert entity is not None
    return entity_key(member.did, entity_id), entity.hashlink


# -- one entity -----------------------------------------------------------------------------------------------


async def test_an_entity_is_served_as_it_is_stored(league: League) -> None:
    lubeck = await published(league)
    entity = await lubeck.store.entity(lubeck.id("one"))
    assert entity is not None
    key, link = await key_and_link(lubeck, entity.id)
    for name in (entity.id, quote(entity.id, safe=""), key):
        for query in ("", f"?hl={link}"):
            answer = await lubeck.client.get(f"{ENTITIES}/{name}{query}")
            assert (answer.status, answer.body) == (200, entity.body)
            assert answer.headers["etag"] == f'"{link}"'
            assert answer.headers["content-type"] == "application/json"
    replica = await league.marketplaces[1].client.get(f"{ENTITIES}/{entity.id}?hl={link}")
    assert (replica.status, replica.body) == (200, entity.body)


async def test_what_is_not_here_or_not_public_is_not_found(league: League) -> None:
    lubeck = league.marketplaces[0]
    await lubeck.put("draft", "In design")
    await league.settle()
    for name in (
        lubeck.id("draft"),
        entity_key(lubeck.did, lubeck.id("draft")),
        SOME_KEY,
        "urn:x",
        "a/b%2Fc",
        "%00",
    ):
        answer = await lubeck.client.get(f"{ENTITIES}/{name}")
        assert answer.status == 404
        assert answer.json()["code"] == "not-found"


async def test_what_was_here_is_gone(league: League) -> None:
    lubeck = await published(league, "one", "two", "three")
    key, link = await key_and_link(lubeck, lubeck.id("one"))
    await lubeck.put("one", name="changed")
    await league.settle()
    async with lubeck.store.transaction() as tx:
        await announced.remove(tx, key)
    await lubeck.put("two", "In design")
    await lubeck.delete(lubeck.id("three"))
    await league.settle()
    for target in (
        f"{key}?hl={link}",
        lubeck.id("two"),
        lubeck.id("three"),
        entity_key(lubeck.did, lubeck.id("two")),
    ):
        answer = await lubeck.client.get(f"{ENTITIES}/{target}")
        assert answer.status == 410
        assert answer.json()["status"] == "410"
    assert (await lubeck.client.get(f"{ENTITIES}/{key}")).status == 200


# -- many entities --------------------------------------------------------------------------------------------


async def test_many_entities_come_as_lines_in_the_order_asked(league: League) -> None:
    lubeck = await published(league, "one", "two", "three", "four")
    pairs = {name: await key_and_link(lubeck, lubeck.id(name)) for name in ("one", "two", "three", "four")}
    await lubeck.put("two", name="newer")
    await lubeck.put("three", "In design")
    await lubeck.put("four", name="newer")
    await league.settle()
    async with lubeck.store.transaction() as tx:
        await announced.remove(tx, pairs["two"][0])
    asked = [pairs["four"], pairs["two"], (SOME_KEY, SOME_LINK), pairs["three"], pairs["one"]]
    answer = await lubeck.client.post(ENTITIES, wanted(*asked))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/jsonl"
    lines = answer.body.splitlines()
    assert [msgspec.json.decode(line)["status"] for line in lines] == [
        "found",
        "superseded",
        "unknown",
        "gone",
        "found",
    ]
    assert [msgspec.json.decode(line)["key"] for line in lines] == [key for key, _ in asked]
    assert b'"name":"four"' in lines[0], "the version before is retained"


async def test_an_answer_stops_before_it_becomes_too_large() -> None:
    async with League(["lubeck", "bergen"], Limits(retrieval_size_max_bytes=5000)) as league:
        league.start()
        lubeck = league.marketplaces[0]
        await lubeck.put_many(
            [(lubeck.id(str(n)), "Launched", "ProductOffering", {"name": "x" * 1000}) for n in range(10)]
        )
        await league.settle()
        pairs = [await key_and_link(lubeck, lubeck.id(str(n))) for n in range(10)]
        answer = await lubeck.client.post(ENTITIES, wanted(*pairs))
        found = [msgspec.json.decode(line)["status"] for line in answer.body.splitlines()]
        assert len(answer.body) <= 5000
        assert found == ["found"] * 3 + ["later"] * 7
        assert len(await league.marketplaces[1].catalogue()) == 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"entities":[]}',
        b'{"entities":{}}',
        b'{"entities":[1]}',
        b'{"entities":[{"key":"x","hashlink":"y"}]}',
        b'{"entities":[{"key":"%s"}]}' % SOME_KEY.encode(),
        b'{"entities":[{"key":"%s","hashlink":"hl:z1"}]}' % SOME_KEY.encode(),
        b'{"entities":[],"more":1}',
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"entities":' + b"[" * 20_000,
    ],
)
async def test_a_malformed_body_is_refused(league: League, body: bytes) -> None:
    answer = await league.marketplaces[0].client.request("POST", ENTITIES, body=body)
    assert answer.status == 400
    assert answer.json().keys() == ERROR_MEMBERS


async def test_too_much_at_once_is_refused(league: League) -> None:
    client = league.marketplaces[0].client
    many = await client.post(ENTITIES, wanted(*[(SOME_KEY, SOME_LINK)] * 201))
    assert (many.status, many.json()["code"]) == (400, "invalid")
    huge = await client.request("POST", ENTITIES, chunks=[b"x" * 10_000] * 1000)
    assert (huge.status, huge.json()["code"]) == (413, "too-large")


async def test_a_signature_that_does_not_hold_is_refused(league: League) -> None:
    lubeck = await published(league)
    bergen, riga = league.marketplaces[1:]
    body = msgspec.json.encode(wanted(await key_and_link(lubeck, lubeck.id("one"))))
    url = lubeck.endpoint + ENTITIES

    def signer(key: Any, did: str) -> MemberSigner:
        return MemberSigner(key, did, league.clock, bergen.entropy, league.limits)

    good = signer(bergen.key, bergen.did).headers(lubeck.did, "POST", url, body)
    assert (await lubeck.client.request("POST", ENTITIES, body=body, headers=good)).status == 200
    for headers in (
        good,  # used once
        signer(riga.key, bergen.did).headers(lubeck.did, "POST", url, body),
        signer(bergen.key, bergen.did).headers(riga.did, "POST", url, body),
        signer(bergen.key, bergen.did).headers(lubeck.did, "POST", url, body + b" "),
        {"member-token": "nonsense"},
    ):
        answer = await lubeck.client.request("POST", ENTITIES, body=body, headers=headers)
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")
    one = f"{ENTITIES}/{lubeck.id('one')}"
    assert (await lubeck.client.get(one, headers={"member-token": "nonsense"})).status == 401
    signed = signer(bergen.key, bergen.did).headers(lubeck.did, "GET", lubeck.endpoint + one, b"")
    assert (await lubeck.client.get(one, headers=signed)).status == 200


# -- events ---------------------------------------------------------------------------------------------------


async def test_events_come_a_page_at_a_time(league: League) -> None:
    lubeck = await published(league, "one", "two", "three")
    bergen = league.marketplaces[1]
    first = (await bergen.client.get(f"{EVENTS}?limit=2")).json()
    assert [row["position"] for row in first["events"]] == [1, 2]
    assert (first["scanned_to"], first["last_position"]) == (2, 3)
    rest = (await bergen.client.get(f"{EVENTS}?after=2")).json()
    assert [row["event"]["issuer"] for row in rest["events"]] == [lubeck.did]


async def test_events_are_filtered(league: League) -> None:
    lubeck = await published(league, "one", "two")
    bergen = league.marketplaces[1]
    await bergen.put("cat", None, "Category")
    await bergen.put("cat", "Launched", "Category")
    await league.run(2)
    await lubeck.put("one", "Retired")
    await league.settle()
    key = entity_key(lubeck.did, lubeck.id("one"))

    async def positions(query: str) -> list[int]:
        answer = await bergen.client.get(f"{EVENTS}?{query}")
        assert answer.status == 200, answer.body
        return [row["position"] for row in answer.json()["events"]]

    assert await positions(f"entity={key}") == [1, 4]
    assert await positions(f"entity={lubeck.id('one')}") == [1, 4]
    assert await positions(f"issuer={bergen.did}") == [3]
    assert await positions("type=productOfferingStateChangeEvent,categoryCreateEvent") == [3, 4]
    assert await positions("type=productOfferingStateChangeEvent&type=categoryCreateEvent") == [3, 4]
    assert await positions("from=2026-01-01T00:00:01Z") == [4]
    assert await positions("to=2026-01-01T00:00:01Z") == [1, 2, 3]
    assert await positions("from=2026-01-01T01:00:00%2B01:00&to=2027-01-01T00:00:00Z") == [1, 2, 3, 4]
    assert await positions("after=9007199254740992") == []
    assert await positions("issuer=did:web:nobody.example") == []


async def test_everything_that_is_wrong_with_a_query_is_named(league: League) -> None:
    client = league.marketplaces[0].client
    key = "a" * 63
    query = f"after=x&limit=0&from=today&issuer=lubeck&entity={key}&entity=hl:zQm&typ=x&until=1"
    for path in (EVENTS, f"{EVENTS}/stream"):
        answer = await client.get(f"{path}?{query}")
        assert (answer.status, answer.json()["code"]) == (400, "invalid")
        message = answer.json()["message"]
        for expected in ("after ", "from ", "issuer: 'lubeck' is no DID", "this has 63", "'typ'", "'until'"):
            assert expected in message, (expected, message)
        assert "did you mean type?" in message
    message = (await client.get("/league/v1/catalogue?limit=x&tpye=y&afterr=z")).json()["message"]
    for expected in ("limit ", "'tpye'; did you mean type?", "'afterr'; did you mean after?"):
        assert expected in message


async def test_events_come_as_cloud_events(league: League) -> None:
    lubeck = await published(league)
    answer = await lubeck.client.get(EVENTS, headers={"accept": "application/cloudevents+json"})
    assert answer.headers["content-type"] == "application/cloudevents-batch+json"
    (event,) = answer.json()
    assert event["specversion"] == "1.0"
    assert (event["source"], event["type"]) == (lubeck.did, "productOfferingCreateEvent")
    data = event["data"]
    assert data["event"]["id"] == event["id"]
    assert event["time"] == data["event"]["time"]
    assert (event["blocktime"], event["blockheight"]) == (data["time"], str(data["height"]))
    assert all(name.isalnum() and name.islower() for name in event)


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=9007199254740993",
        "after=1&after=2",
        "after=%D9%A1",
        "after=",
        "limit=0",
        "limit=501",
        "limit=1.5",
        "from=yesterday",
        "from=2026-01-01",
        "from=2026-01-01T00:00:00",
        "from=2026-01-01T00:00:00+00:00",
        "to=" + "9" * 5000,
        "type=",
        "type=a,,b",
        "entity=",
        "unknown=1",
        "=1",
        "type=%ff",
        "&".join("type=a" for _ in range(100)),
        "type=" + ",".join("a" * 1 for _ in range(100)),
        "x" * 10_000,
    ],
)
@pytest.mark.parametrize("path", [EVENTS, EVENTS + "/stream", "/league/v1/members", ENTITIES + "/urn:x"])
async def test_a_bad_parameter_is_refused(league: League, path: str, query: str) -> None:
    answer = await league.marketplaces[0].client.get(f"{path}?{query}")
    assert answer.status == 400
    assert answer.json().keys() == ERROR_MEMBERS


@pytest.mark.parametrize("path", [EVENTS, EVENTS + "/stream", "/league/v1/members", "/league/v1/ledger"])
async def test_while_the_ledger_is_away_the_answer_says_when_to_ask_again(league: League, path: str) -> None:
    lubeck = await published(league)
    lubeck.bus.is_connected = False  # type: ignore[attr-defined]
    await league.run(40)
    answer = await lubeck.client.get(path)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert (await lubeck.client.get(f"{ENTITIES}/{lubeck.id('one')}")).status == 200


async def test_other_methods_are_refused(league: League) -> None:
    client = league.marketplaces[0].client
    for method, path, allowed in (
        ("DELETE", ENTITIES, "OPTIONS, POST"),
        ("GET", ENTITIES, "OPTIONS, POST"),
        ("PUT", f"{ENTITIES}/urn:x", "GET, HEAD, OPTIONS"),
        ("POST", EVENTS, "GET, HEAD, OPTIONS"),
    ):
        answer = await client.request(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)
        assert answer.json()["code"] == "method-not-allowed"
        answer = await client.request("OPTIONS", path)
        assert (answer.status, answer.headers["allow"], answer.body) == (204, allowed, b"")


async def test_proofs_about_the_ledger_hold_for_its_application_hash(league: League) -> None:
    lubeck = await published(league)
    ledger = (await lubeck.client.get("/league/v1/ledger")).json()
    app_hash = bytes.fromhex(ledger["app_hash"])
    assert ledger["ruleset"] == NEWEST_RULESET
    paths = {
        "inclusion/1": InclusionProof,
        "consistency/1": ConsistencyProof,
        f"claims/{'0' * 64}": ClaimsProof,
    }
    proofs = {}
    for path, kind in paths.items():
        answer = await lubeck.client.get(f"/league/v1/ledger/{path}")
        assert answer.status == 200
        proofs[path] = msgspec.convert(answer.json(), kind)
    inclusion, consistency, claims = proofs.values()
    assert isinstance(inclusion, InclusionProof)
    assert holds_inclusion(inclusion, app_hash)
    assert isinstance(consistency, ConsistencyProof)
    assert holds_consistency(consistency, app_hash)
    assert isinstance(claims, ClaimsProof)
    assert proved_records(claims, app_hash) == ()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("inclusion/0", 400), ("inclusion/x", 400), ("inclusion/99999", 404), ("inclusion/1?x=1", 400),
        ("consistency/99999", 404), ("consistency/-1", 400), ("claims/none", 400), ("claims/" + "F" * 64, 400),
    ],
)  # fmt: skip
async def test_what_has_no_proof_is_refused(league: League, path: str, status: int) -> None:
    lubeck = await published(league)
    assert (await lubeck.client.get(f"/league/v1/ledger/{path}")).status == status


async def test_members_and_ledger_are_shown(league: League) -> None:
    lubeck = await published(league)
    members = (await lubeck.client.get("/league/v1/members")).json()
    by_name = {member["name"]: member for member in members}
    assert set(by_name) == {"lubeck", "bergen", "riga"}
    assert by_name["lubeck"]["endpoint"] == lubeck.endpoint
    assert by_name["lubeck"]["keys"][0]["kid"] == lubeck.key.kid
    ledger = (await lubeck.client.get("/league/v1/ledger")).json()
    assert ledger["position"] == 1
    assert len(ledger["validators"]) == 3
    assert len(ledger["app_hash"]) == 64


async def test_bytes_with_the_wrong_hash_never_leave_as_found(league: League) -> None:
    lubeck = await published(league)
    key, _ = await key_and_link(lubeck, lubeck.id("one"))
    answer = await lubeck.client.post(ENTITIES, wanted((key, hashlink(canonical_json({})))))
    assert msgspec.json.decode(answer.body) == {"key": key, "status": "superseded"}
