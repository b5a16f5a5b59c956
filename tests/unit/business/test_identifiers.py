"""Identifiers of entities: bound ones, chosen ones that wait for their claim, and those of other members."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hansa.core.identifiers import is_bound_form, is_bound_to
from hansa.core.members import Member
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.store.tables import publications
from hansa.store.tables.publications import Outgoing
from tests.support.asgi import Response
from tests.support.business import CATALOG, DID, PARTY, Business, open_business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import ONE, dispatching, registered
from tests.unit.business.test_resources import check_refused

CATEGORIES = f"{CATALOG}/category"
OFFERINGS = f"{CATALOG}/productOffering"
SPECIFICATIONS = f"{CATALOG}/productSpecification"
CHOSEN = "urn:x:coveted"
OWN = Member(DID, "market", "http://market.example:8101", (), 1, prefixes=("urn:market:",))
OTHER = Member("did:web:other.example", "other", "https://other.example", (), 1, prefixes=("urn:other:",))


@pytest.fixture
async def league() -> AsyncIterator[Business]:
    opened = await open_business(members=(OWN, OTHER))
    yield opened
    await opened.store.close()


async def created(business: Business, resource: str = CATEGORIES, **attributes: Any) -> Response:
    response = await business.provider.post(
        resource, {"name": "Edge", "lifecycleStatus": "Launched", **attributes}
    )
    assert response.status == 201, response.body
    return response


async def commit_claim(business: Business, entity_id: str) -> None:
    """What the publisher does when the first event of an entity is committed, but for making it public."""
    entity = await business.store.entity(entity_id)
    assert entity is not None
    key = "ab" * 32
    event = Outgoing(0, entity_id, key, entity.type, 1, entity.hashlink, None, False, b"x", None)
    async with business.store.transaction() as tx:
        await publications.enqueue(tx, [event])
        await publications.committed(tx, [(event, 1)])


# -- bound identifiers -----------------------------------------------------------------------------------


async def test_an_identifier_that_is_made_here_is_bound_to_this_marketplace(league: Business) -> None:
    response = await created(league)
    identifier = response.json()["id"]
    entity = await league.store.entity(identifier)
    assert entity is not None
    assert is_bound_to(identifier, DID, entity.nonce)
    assert response.headers["hansa-publication"] == "public"
    assert (await league.anonymous.get(f"{CATEGORIES}/{identifier}")).status == 200


@pytest.mark.parametrize(
    "stolen",
    [
        "urn:ngsi-ld:category:3a77e8ef-5624-80ec-9142-d450e51b0130",
        "URN:NGSI-LD:Category:3A77E8EF-5624-80EC-9142-D450E51B0130",
        "urn:ngsi-ld:x:y:3a77e8ef-5624-80ec-9142-d450e51b0130",
    ],
)
async def test_an_identifier_of_that_form_that_was_not_made_here_is_refused(
    league: Business, business: Business, stolen: str
) -> None:
    for one in (league, business):
        message = check_refused(
            await one.provider.post(CATEGORIES, {"id": stolen, "name": "x"}), 409, "identifier-reserved"
        )
        assert 'leave out "id"' in message
        assert await one.store.entity(stolen) is None


async def test_an_identifier_that_was_made_here_can_be_used_again(league: Business) -> None:
    identifier = (await created(league)).json()["id"]
    assert (await league.provider.delete(f"{CATEGORIES}/{identifier}")).status == 204
    again = await created(league, id=identifier)
    assert again.headers["hansa-publication"] == "public"
    assert (await league.anonymous.get(f"{CATEGORIES}/{identifier}")).status == 200


async def test_an_identifier_that_was_made_here_is_recalled_from_the_ledger(league: Business) -> None:
    identifier, nonce = league.context.identifiers.new("Category")

    async def recall(entity_id: str) -> bytes | None:
        return nonce if entity_id == identifier else bytes(16)

    league.context.identifiers._recall = recall
    assert (await created(league, id=identifier)).headers["hansa-publication"] == "public"
    other, _ = OwnIdentifiers("did:web:other.example", random.Random(1).randbytes).new("Category")
    check_refused(
        await league.provider.post(CATEGORIES, {"id": other, "name": "x"}), 409, "identifier-reserved"
    )


async def test_entities_of_private_types_have_bound_identifiers_too(league: Business) -> None:
    response = await league.provider.post(f"{PARTY}/individual", {"givenName": "C", "familyName": "Clerk"})
    assert is_bound_form(response.json()["id"])
    assert response.headers["hansa-publication"] == "private; reason=type"


# -- identifiers that wait for their claim ---------------------------------------------------------------


async def test_what_waits_for_its_claim_is_there_for_token_holders_alone(league: Business) -> None:
    response = await created(league, id=CHOSEN)
    assert response.headers["hansa-publication"] == "pending"
    target = f"{CATEGORIES}/{CHOSEN}"
    for caller in (league.provider, league.operator, league.reader):
        seen = await caller.get(target)
        assert (seen.status, seen.headers["hansa-publication"]) == (200, "pending")
        listed = await caller.get(CATEGORIES)
        assert (listed.headers["x-total-count"], len(listed.json())) == ("1", 1)
    absent = await league.anonymous.get(f"{CATEGORIES}/urn:x:nothing")
    hidden = await league.anonymous.get(target)
    assert hidden.status == absent.status == 404
    assert hidden.body.replace(CHOSEN.encode(), b"urn:x:nothing") == absent.body
    assert hidden.headers.keys() == absent.headers.keys()
    etag = (await league.provider.get(target)).headers["etag"]
    assert (await league.anonymous.get(target, headers={"if-none-match": etag})).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"?id={CHOSEN}",
        "?name=Edge",
        "?filter=$[?(@.name=='Edge')]",
        "?name.regex=E.*",
        "?sort=name",
        "?limit=0",
    ],
)
async def test_no_list_and_no_count_tells_of_it(league: Business, query: str) -> None:
    await created(league, id=CHOSEN)
    response = await league.anonymous.get(CATEGORIES + query)
    assert (response.json(), response.headers["x-total-count"]) == ([], "0")


async def test_what_refers_to_it_waits_too_since_it_would_tell_the_identifier(league: Business) -> None:
    await created(league, id=CHOSEN)
    response = await created(league, OFFERINGS, category=[{"id": CHOSEN}])
    assert response.headers["hansa-publication"] == "pending"
    offering = response.json()["id"]
    for path in (OFFERINGS, f"{OFFERINGS}/{offering}", f"{OFFERINGS}?depth=1"):
        assert CHOSEN.encode() not in (await league.anonymous.get(path)).body
    assert (await league.anonymous.get(f"{OFFERINGS}/{offering}")).status == 404
    assert (await league.reader.get(f"{OFFERINGS}/{offering}")).status == 200


async def test_what_is_public_cannot_refer_to_it_yet(league: Business) -> None:
    offering = (await created(league, OFFERINGS)).json()["id"]
    await created(league, id=CHOSEN)
    target = f"{OFFERINGS}/{offering}"
    refused = await league.provider.patch(target, {"category": [{"id": CHOSEN}]})
    check_refused(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    await commit_claim(league, CHOSEN)
    assert (await league.provider.patch(f"{CATEGORIES}/{CHOSEN}", {"name": "x"})).status == 200
    assert (await league.provider.patch(target, {"category": [{"id": CHOSEN}]})).status == 200


async def test_what_belongs_to_another_member_anyway_can_be_referred_to(league: Business) -> None:
    await created(league, id=CHOSEN)
    async with league.store.transaction() as tx:
        await publications.lose(tx, CHOSEN, "ab" * 32, "Category", OTHER.did)
    offering = (await created(league, OFFERINGS)).json()["id"]
    patched = await league.provider.patch(f"{OFFERINGS}/{offering}", {"category": [{"id": CHOSEN}]})
    assert patched.headers["hansa-publication"] == "public"


async def test_it_stays_hidden_through_changes_and_is_public_when_its_claim_is_committed(
    league: Business,
) -> None:
    target = f"{CATEGORIES}/{CHOSEN}"
    await created(league, id=CHOSEN)
    patched = await league.provider.patch(target, {"name": "new"})
    assert (patched.status, patched.headers["hansa-publication"]) == (200, "pending")
    assert (await league.anonymous.get(target)).status == 404
    await commit_claim(league, CHOSEN)
    shown = await league.provider.patch(target, {"name": "newer"})
    assert shown.headers["hansa-publication"] == "public"
    assert (await league.anonymous.get(target)).json()["name"] == "newer"


async def test_a_draft_waits_when_it_is_launched(league: Business) -> None:
    drafted = await created(league, id=CHOSEN, lifecycleStatus="In study")
    draft = "private; reason=lifecycle-status"
    assert drafted.headers["hansa-publication"] == draft
    target = f"{CATEGORIES}/{CHOSEN}"
    for status, header in (
        ("In design", draft),
        ("In test", draft),
        ("Active", draft),
        ("Launched", "pending"),
    ):
        patched = await league.provider.patch(target, {"lifecycleStatus": status})
        assert (patched.status, patched.headers.get("hansa-publication")) == (200, header), status
    assert (await league.anonymous.get(target)).status == 404


async def test_an_identifier_whose_claim_is_committed_can_be_used_again(league: Business) -> None:
    await created(league, id=CHOSEN)
    await commit_claim(league, CHOSEN)
    await league.provider.delete(f"{CATEGORIES}/{CHOSEN}")
    again = await created(league, id=CHOSEN)
    assert again.headers["hansa-publication"] == "public"


async def test_a_claim_that_came_too_late_is_told_to_the_writer(league: Business) -> None:
    await created(league, id=CHOSEN)
    async with league.store.transaction() as tx:
        await publications.lose(tx, CHOSEN, "ab" * 32, "Category", OTHER.did)
    target = f"{CATEGORIES}/{CHOSEN}"
    told = "refused; reason=identifier-claimed"
    assert (await league.provider.get(target)).headers["hansa-publication"] == told
    same = await league.provider.patch(target, {"name": "Edge"})
    other = await league.provider.patch(target, {"name": "other"})
    assert [one.headers["hansa-publication"] for one in (same, other)] == [told, told]
    assert (await league.anonymous.get(target)).status == 404
    assert (await league.provider.delete(target)).status == 204
    again = await created(league, id=CHOSEN)
    assert again.headers["hansa-publication"] == told


async def test_without_a_ledger_nothing_waits(business: Business) -> None:
    response = await created(business, id=CHOSEN)
    assert response.headers["hansa-publication"] == "public"
    assert (await business.anonymous.get(f"{CATEGORIES}/{CHOSEN}")).status == 200


async def test_listeners_are_notified_when_it_becomes_public(league: Business) -> None:
    listeners = Listeners()
    await registered(league, ONE)
    async with dispatching(league, listeners):
        await created(league, id=CHOSEN)
        await league.provider.patch(f"{CATEGORIES}/{CHOSEN}", {"name": "new"})
        await created(league, id="urn:market:1")
        await until(lambda: listeners.has_received(ONE, 1))
        assert CHOSEN not in str(listeners.received)
        await commit_claim(league, CHOSEN)
        await league.provider.patch(f"{CATEGORIES}/{CHOSEN}", {"name": "newer"})
        await until(lambda: listeners.has_received(ONE, 2))
        event = listeners.received[ONE][1]
    assert event["eventType"].lower() == "categorycreateevent"
    assert event["event"]["category"]["name"] == "newer"


# -- prefixes --------------------------------------------------------------------------------------------


async def test_an_identifier_under_our_own_prefix_is_public_at_once(league: Business) -> None:
    response = await created(league, id="urn:market:1")
    assert response.headers["hansa-publication"] == "public"
    assert (await league.anonymous.get(f"{CATEGORIES}/urn:market:1")).status == 200


@pytest.mark.parametrize("identifier", ["urn:other:1", "URN:Other:1", "urn:other:"])
async def test_an_identifier_under_the_prefix_of_another_member_is_refused(
    league: Business, identifier: str
) -> None:
    message = check_refused(
        await league.provider.post(CATEGORIES, {"id": identifier, "name": "x"}), 409, "identifier-reserved"
    )
    assert "registered for other" in message
