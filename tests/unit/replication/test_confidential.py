"""Confidential entities reach their parties, and nobody else learns anything of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hansa.core.canonical import hashlink
from hansa.core.confidential.agreement import AgreementKey
from hansa.core.errors import Code, Unavailable
from hansa.core.events import encode_event
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import AgreementSet
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.pubsub.ledger.commitments.governance import LEAGUE as LEAGUE_FORM
from hansa.store import EntityDraft, Transaction
from hansa.store.tables import audit
from hansa.store.tables.confidential import announced, received
from tests.support.asgi import AsgiClient
from tests.support.confidential import (
    entity_of,
    events_of,
    party,
    post_parts,
    put,
    replica,
    request_parts,
    sealed_keys,
    settle,
)
from tests.support.league import League, Marketplace

SECRET = "ninety-nine forklifts"
COUNTRIES = {"lubeck": "DE", "bergen": "NO", "riga": "LV", "bruges": "BE"}


@pytest.fixture
async def league(tmp_path: Path) -> AsyncIterator[League]:
    names = ["lubeck", "bergen", "riga", "bruges"]
    async with League(names, folder=tmp_path, countries=COUNTRIES) as league:
        league.start()
        yield league


def parties(seller: Marketplace, buyer: Marketplace) -> list[dict[str, str]]:
    return [party("SellerOperator", seller.did), party("BuyerOperator", buyer.did)]


def bytes_of(folder: Path, market: Marketplace) -> bytes:
    """All files of a marketplace's store."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{market.name}.db*")))


async def test_an_order_reaches_its_parties_alone(league: League, tmp_path: Path) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    order = await put(
        *(lubeck, "ProductOrder"), relatedParty=parties(bergen, lubeck), description=SECRET, price=31_415_926
    )
    await settle(league)
    assert (await replica(bergen, order) or {})["description"] == SECRET
    stored = await entity_of(bergen, order)
    assert stored.origin == lubeck.did
    assert not stored.public
    for market in (riga, bruges):
        assert await replica(market, order) is None
    nothing_of = [order.encode(), SECRET.encode(), b"31415926", b"ProductOrder", order[-12:].encode()]
    nothing_of += [entity_key(lubeck.did, order).encode(), bytes.fromhex(entity_key(lubeck.did, order))]
    nothing_of.append(hashlink(stored.body).encode())
    on_the_ledger = b"".join(one.content for one in await events_of(league))
    assert len(await sealed_keys(league)) == 1
    ledger_file = league.ledger.application.state.connection.serialize("main")
    for haystack in (on_the_ledger, ledger_file, bytes_of(tmp_path, riga), bytes_of(tmp_path, bruges)):
        assert len(haystack) > 100
        assert [one for one in nothing_of if one in haystack] == []
    for party_did in (bergen.did,):
        assert party_did.encode() not in on_the_ledger, "nothing says with whom"


async def test_the_bytes_are_searched_for_where_they_would_be_found(league: League, tmp_path: Path) -> None:
    """Otherwise the test before proves nothing."""
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), description=SECRET)
    await settle(league)
    for market in (lubeck, bergen):
        haystack = bytes_of(tmp_path, market)
        assert order.encode() in haystack
        assert SECRET.encode() in haystack


async def test_sealed_events_look_alike_whatever_they_announce(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await settle(league)
    everybody = [party("Seller", one.did) for one in (bergen, riga, bruges)]
    await put(lubeck, "Quote", relatedParty=everybody, description="x" * 3000)
    await settle(league)
    await put(lubeck, "ProductOrder", entity_id=order, relatedParty=parties(bergen, lubeck), description="b")
    await settle(league)
    await lubeck.delete(order)
    await settle(league)
    events = [one.event for one in await events_of(league)]
    assert len(events) == 4
    assert len({len(encode_event(one)) for one in events}) == 1
    assert {(one.entity.type, one.entity.version, one.type) for one in events} == {
        ("Confidential", 1, "confidentialCreateEvent")
    }
    assert len({one.entity.key for one in events}) == len(events), "no two events are about one key"
    assert len({one.hashlink for one in events}) == len(events)


async def test_changes_and_deletions_follow(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), state="acknowledged")
    await settle(league)
    for state in ("inProgress", "completed"):
        await put(lubeck, "ProductOrder", entity_id=order, relatedParty=parties(bergen, lubeck), state=state)
        await settle(league)
        assert (await replica(bergen, order) or {})["state"] == state
    await lubeck.delete(order)
    await settle(league)
    assert await replica(bergen, order) is None
    known = (await announced.states(lubeck.store, [order]))[order]
    assert (known.members, known.hashlink) == (frozenset(), None)
    assert await lubeck.store.sql.fetch("SELECT 1 FROM confidential_part") == [], "no bytes are left"


async def test_a_party_that_is_removed_loses_the_entity_and_its_bytes(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    both = [*parties(bergen, lubeck), party("Buyer", riga.did)]
    order = await put(lubeck, "ProductOrder", relatedParty=both)
    await settle(league)
    assert await replica(riga, order) is not None
    keys = await sealed_keys(league)
    await put(lubeck, "ProductOrder", entity_id=order, relatedParty=parties(bergen, lubeck), note="new terms")
    await settle(league)
    assert await replica(riga, order) is None
    assert (await replica(bergen, order) or {})["note"] == "new terms"
    for line in await request_parts(riga, lubeck, [*keys, *await sealed_keys(league)]):
        assert line.status == "unknown", "not even the version that it had"
    await put(lubeck, "ProductOrder", entity_id=order, relatedParty=both)
    await settle(league)
    assert await replica(riga, order) is not None, "and it has it again when it is a party again"


async def test_nobody_else_gets_the_bytes(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), description=SECRET)
    await settle(league)
    keys = await sealed_keys(league)
    assert [one.status for one in await request_parts(bergen, lubeck, keys)] == ["sent"]
    recorded = [
        one for one in await audit.page(lubeck.store, 0, 100) if b'"authority":"recipient"' in one.content
    ]
    assert len(recorded) == 2, "once for the retriever, and once for this request"
    assert all(bergen.did.encode() in one.content and order.encode() not in one.content for one in recorded)
    assert [one.status for one in await request_parts(riga, lubeck, keys)] == ["unknown"]
    retrieved = [one for one in await audit.page(bergen.store, 0, 100) if one.kind == "retrieved"]
    assert [lubeck.did.encode() in one.content for one in retrieved] == [True]
    unheard_of = ["ab" * 32]
    lines = await request_parts(riga, lubeck, unheard_of)
    assert [one.status for one in lines] == ["unknown"], "the same as of what there never was"
    for status, path in (
        (404, f"/league/v1/entities/{order}"),
        (404, f"/league/v1/entities/{keys[0]}"),
        (404, f"/league/v1/entities/{entity_key(lubeck.did, order)}"),
    ):
        for market in (lubeck, bergen):
            response = await market.client.get(path)
            assert response.status == status
            assert SECRET.encode() not in response.body
    for market in (lubeck, bergen):
        catalogue = await market.client.get("/league/v1/catalogue")
        assert order.encode() not in catalogue.body
        assert await market.catalogue() == {}
    unsigned = AsgiClient(league.network.applications[lubeck.endpoint], {"content-type": "application/json"})
    refused = await unsigned.request(
        "POST", "/league/v1/confidential", body=msgspec.json.encode({"keys": keys})
    )
    assert refused.status == 401


async def test_a_request_of_a_recipient_is_of_no_use_to_somebody_else(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), description=SECRET)
    await settle(league)
    (request,) = [one for one in league.network.requests if one.url.endswith("/league/v1/confidential")]
    replayed = await league.network.send(request)
    assert replayed.status == 401, "a token is good once"
    stolen = HttpRequest("POST", request.url, dict(request.headers), request.body.replace(b"a", b"b"))
    assert (await league.network.send(stolen)).status == 401
    at_another = HttpRequest(
        "POST", request.url.replace(lubeck.endpoint, riga.endpoint), dict(request.headers), request.body
    )
    assert (await league.network.send(at_another)).status == 401


async def test_a_recipient_hands_nothing_on(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await settle(league)
    keys = await sealed_keys(league)
    assert [one.status for one in await request_parts(riga, bergen, keys)] == ["unknown"]
    before = len(await events_of(league))
    await bergen.restart()
    await settle(league)
    assert len(await events_of(league)) == before, "a replica is announced by its origin alone"
    assert await replica(riga, order) is None


async def test_a_copied_seal_is_for_nobody(league: League) -> None:
    """A member that copies what another one has sealed reaches nobody with it, and learns nothing."""
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await settle(league)
    (original,) = [one.event for one in await events_of(league)]
    for overrides in (
        {"entity": original.entity, "hashlink": original.hashlink},
        {"entity": msgspec.structs.replace(original.entity, key="cd" * 32), "hashlink": original.hashlink},
    ):
        await riga.announce("x", b"{}", type=original.type, sealed=original.sealed, **overrides)
    await settle(league)
    head = await received.of_entity(bergen.store, riga.did, bytes.fromhex(entity_key(riga.did, order)))
    assert head is None
    assert await bergen.evidence() == set()
    assert (await entity_of(bergen, order)).origin == lubeck.did


async def test_an_origin_that_sends_something_else_is_not_believed(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    part = b"\0" * 1040

    def another(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if not request.url.endswith("/confidential"):
            return answer
        (key,) = msgspec.json.decode(request.body)["keys"]
        line = msgspec.json.encode({"key": key, "status": "sent", "part": part})
        return msgspec.structs.replace(answer, body=line + b"\n")

    league.network.faults[lubeck.endpoint] = another
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await league.run(5)
    assert await replica(bergen, order) is None
    assert await bergen.evidence() == {(lubeck.did, "hash-mismatch")}
    del league.network.faults[lubeck.endpoint]
    await settle(league)
    assert await replica(bergen, order) is not None, "and as soon as it sends what it announced, it is here"


async def test_chosen_marketplaces_and_countries_get_an_offering(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    chosen = await put(lubeck, "ProductOffering", "Launched", visibleTo=[bergen.did])
    country = await put(lubeck, "ProductOffering", "Launched", visibleTo=["country:LV", "country:DE"])
    draft_one = await put(lubeck, "ProductOffering", "In design", visibleTo=[bergen.did])
    await settle(league)
    here = {
        market.name: {one for one in (chosen, country, draft_one) if await replica(market, one) is not None}
        for market in (bergen, riga, bruges)
    }
    assert here == {"bergen": {chosen}, "riga": {country}, "bruges": set()}
    assert not (await entity_of(bergen, chosen)).public
    assert all(one.event.sealed is not None for one in await events_of(league))


async def test_an_offering_becomes_public_and_confidential_again(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    offering = await put(lubeck, "ProductOffering", "Launched", visibleTo=[bergen.did])
    await settle(league)
    await put(lubeck, "ProductOffering", "Launched", entity_id=offering)
    await settle(league)
    for market in (bergen, riga):
        assert (await entity_of(market, offering)).public
    await put(lubeck, "ProductOffering", "Launched", entity_id=offering, visibleTo=[riga.did])
    await settle(league)
    await league.run(10)
    assert await replica(bergen, offering) is None
    assert not (await entity_of(riga, offering)).public


async def test_many_recipients_have_several_events(tmp_path: Path) -> None:
    names = [f"member-{n}" for n in range(7)]
    async with League(names, folder=tmp_path, countries=dict.fromkeys(names, "SE")) as league:
        league.start()
        first, *others = league.marketplaces
        offering = await put(first, "ProductOffering", "Launched", visibleTo=["country:SE"])
        await settle(league)
        assert len(await sealed_keys(league)) == 2
        for market in others:
            assert await replica(market, offering) is not None


async def test_what_cannot_be_sent_says_why(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    unknown = await put(lubeck, "Quote", relatedParty=[party("Seller", "did:elsi:VATES-B60645900")])
    chosen_id = await put(
        *(lubeck, "Quote"), entity_id="urn:acme:quote-1", relatedParty=parties(bergen, lubeck)
    )
    await settle(league)
    problems = {one.entity_id: one.problem for one in await announced.problems(lubeck.store, 10)}
    assert "no operator in this league" in (problems[unknown] or "")
    assert "chosen by a client" in (problems[chosen_id] or "")
    assert await events_of(league) == []
    assert await replica(bergen, chosen_id) is None


async def test_an_operator_is_named_for_parties_that_are_no_members(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    lubeck.party_operators["did:elsi:VATES-B60645900"] = riga.did
    await lubeck.restart()
    quote = await put(lubeck, "Quote", relatedParty=[party("Seller", "did:elsi:VATES-B60645900")])
    await settle(league)
    assert await replica(riga, quote) is not None
    assert await replica(bergen, quote) is None


async def test_a_member_cannot_send_what_belongs_to_another(league: League) -> None:
    """An identifier that is bound to another member, or already somebody's, is no way in."""
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), note="right")
    await settle(league)
    stolen = await entity_of(bergen, order)
    async with riga.store.transaction() as tx:
        body = stolen.body.replace(b"right", b"wrong")
        draft = msgspec.structs.replace(
            _draft(order, body),
            nonce=(await lubeck.store.entity(order)).nonce,  # type: ignore[union-attr]
        )
        await tx.put(draft)
    await settle(league, lubeck, bergen)
    await league.run(2)
    assert (await replica(bergen, order) or {})["note"] == "right"


def _draft(entity_id: str, body: bytes) -> EntityDraft:
    return EntityDraft(entity_id, "ProductOrder", body, hashlink(body), public=False)


async def test_another_key_of_a_recipient_gets_everything_anew(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), note="first")
    await settle(league)
    new = AgreementKey.generate(bergen.entropy)
    bergen.agreement_keys = [new]  # the one before is lost
    await _state(league, bergen, new)
    await bergen.store.close()
    (Path(bergen.path or "")).unlink()
    await bergen.stop()
    await bergen.open()
    bergen.start()
    await lubeck.following.members(0.0)
    await settle(league)
    assert (await replica(bergen, order) or {})["note"] == "first"


async def _state(league: League, member: Marketplace, key: AgreementKey) -> None:
    state = await member.bus.league()
    record = state.record("league", "league")
    assert record is not None
    signer = GovernanceSigner(member.key, member.did, LEAGUE_FORM.read(record).id, league.clock)
    governed = await member.bus.govern(
        "member", member.did, lambda seq: signer.state(AgreementSet(key.public), seq=seq)
    )
    assert governed.height > 0


async def test_a_crash_anywhere_loses_nothing_and_sends_nothing_twice(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    orders = []
    for n in range(6):
        orders.append(await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=n))
        await league.run(0.05 * n)
        await (lubeck if n % 2 else bergen).restart()
    await settle(league)
    assert [(await replica(bergen, one) or {}).get("n") for one in orders] == list(range(6))
    assert len(await sealed_keys(league)) == 6


async def test_an_origin_over_its_bound_waits(tmp_path: Path) -> None:
    limits = Limits(confidential_entities_per_origin_max=2)
    async with League(["lubeck", "bergen"], limits, tmp_path) as league:
        league.start()
        lubeck, bergen = league.marketplaces
        orders = [
            await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=n) for n in range(3)
        ]
        await league.run(10)
        here = [one for one in orders if await replica(bergen, one) is not None]
        assert len(here) == 2
        await lubeck.delete(here[0])
        await league.run(600, 1.0)
        await settle(league)
        assert sum([await replica(bergen, one) is not None for one in orders]) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"keys":[]}', b'{"keys":["x"]}', b'{"keys":["%b"]}' % (b"a" * 63), b'{"x":1}'],
    ids=repr,
)
async def test_a_request_in_another_form_is_refused(league: League, body: bytes) -> None:
    lubeck, bergen, *_ = league.marketplaces
    assert (await post_parts(bergen, lubeck, body)).status == 400


async def test_a_request_names_only_so_many_events(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    keys = [f"{n:064x}" for n in range(51)]
    assert (await post_parts(bergen, lubeck, msgspec.json.encode({"keys": keys}))).status == 400
    assert len(await request_parts(bergen, lubeck, keys[:50])) == 50


async def test_what_waits_for_its_withdrawal_is_looked_at_now_and_then(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    offering = await put(lubeck, "ProductOffering", "Launched")
    await settle(league)
    looks: list[float] = []
    resume = announced.resume

    async def counted(tx: Transaction) -> bool:
        looks.append(league.clock.monotonic())
        return await resume(tx)

    def refused(_: bytes) -> None:
        raise Unavailable(Code.UNAVAILABLE, "There is no engine.")

    monkeypatch.setattr(announced, "resume", counted)
    with monkeypatch.context() as without_engine:
        without_engine.setattr(league.ledger, "submit", refused)
        await put(lubeck, "ProductOffering", "Launched", offering, visibleTo=[bergen.did])
        await league.run(5.0)
        assert 3 <= len(looks) <= 8
    await settle(league)
    await league.run(5.0)
    await settle(league)
    assert (await replica(bergen, offering) or {})["visibleTo"] == [bergen.did]
    assert await replica(riga, offering) is None
