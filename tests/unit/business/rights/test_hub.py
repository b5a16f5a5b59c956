"""Listeners of organisations are sent what their organisation may read, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.business.hub import HubDispatcher
from hansa.business.hub.feed import VisibleEvents
from hansa.core.clock import epoch_s
from hansa.core.limits import Limits
from tests.support.business import PARTY
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.support.rights import (
    ACME,
    BOLT,
    DRAFT,
    LAUNCHED,
    OFFERINGS,
    ORDERS,
    RightsBusiness,
    code_of,
    few_models,
    open_rights,
    party,
)
from tests.unit.business.rights.test_lists import POLICIES, drafts_of, entities, one_by_one, organization

FEW = few_models("TMF620", "TMF622", "TMF632", "TMF688")
CATALOG_HUB = OFFERINGS.rpartition("/")[0] + "/hub"
ORDER_HUB = ORDERS.rpartition("/")[0] + "/hub"
TOPICS = "/tmf-api/event/v4/topic"


def url(name: str) -> str:
    return f"https://{name}.example/"


@pytest.fixture
async def market() -> AsyncIterator[RightsBusiness]:
    one = await open_rights(models=FEW)
    yield one
    await one.store.close()


@asynccontextmanager
async def dispatching(market: RightsBusiness, listeners: Listeners) -> AsyncIterator[HubDispatcher]:
    business = market.business
    dispatcher = HubDispatcher(
        *(market.store, business.models, listeners, business.clock, business.context.entropy),
        *(business.limits, business.endpoint),
        visible=VisibleEvents(market.context),
    )
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def registered(
    market: RightsBusiness, name: str, hub: str = CATALOG_HUB, query: str = "", callback: str = ""
) -> str:
    response = await market.as_(name).request(
        "POST", hub, {"callback": callback or url(name), "query": query}
    )
    assert response.status == 201, response.body
    return str(response.json()["id"])


def entities_of(listeners: Listeners, name: str) -> list[dict[str, Any]]:
    return [next(iter(one["event"].values())) for one in listeners.received[url(name)]]


def names_of(listeners: Listeners, name: str) -> list[str]:
    return [one["eventType"] for one in listeners.received[url(name)]]


@pytest.mark.parametrize("policies", ["shipped", "forbids", "permits", "roles", "starlark", "replaced"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(made=entities, is_order=st.booleans())
async def test_a_listener_is_sent_what_is_decided_one_by_one(
    policies: str, made: list[tuple[str, Any, bool]], is_order: bool
) -> None:
    market = await open_rights(POLICIES[policies], models=FEW)
    listeners, people = Listeners(), ("acme", "acme-clerk", "bolt")
    collection, hub = ("ProductOrder", ORDER_HUB) if is_order else ("ProductOffering", CATALOG_HUB)
    for name in (*people, "operator"):
        await registered(market, name, hub)
    drafts = drafts_of(collection, made)
    await market.put(
        organization("urn:ngsi-ld:organization:acme", ACME, None),
        organization("urn:ngsi-ld:organization:foreign", ACME, "did:web:elsewhere.example"),
        *drafts,
    )
    async with dispatching(market, listeners):
        await until(lambda: len(entities_of(listeners, "operator")) == len(drafts))
        await settled()
    for name in people:
        expected = await one_by_one(market, collection, drafts, name)
        assert [one["id"] for one in entities_of(listeners, name)] == (expected or [])
    await market.store.close()


async def settled() -> None:
    """Wait until no listener has anything left to be tested."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_whoever_ceases_to_be_a_party_is_told_no_more(market: RightsBusiness) -> None:
    listeners = Listeners()
    for name in ("bolt", "operator"):
        await registered(market, name)
    async with dispatching(market, listeners):
        made = await market.created("operator", OFFERINGS, {**DRAFT, "relatedParty": [party(BOLT)]})
        await until(lambda: len(entities_of(listeners, "bolt")) == 1)
        await market.patched("operator", made["href"], {"relatedParty": [party(ACME)]})
        await market.patched("operator", made["href"], {"version": "3"})
        await until(lambda: len(entities_of(listeners, "operator")) == 3)
        await settled()
    assert len(entities_of(listeners, "bolt")) == 1


async def test_a_policy_that_forbids_holds_for_the_next_event(market: RightsBusiness) -> None:
    listeners = Listeners()
    for name in ("bolt", "operator"):
        await registered(market, name)
    async with dispatching(market, listeners):
        made = await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: len(entities_of(listeners, "bolt")) == 1)
        market.adopt(
            {
                "f.cedar": '@id("f") forbid (principal, action == Action::"read", resource) when { principal has organization };'
            }
        )
        await market.patched("operator", made["href"], {"version": "2"})
        await until(lambda: len(entities_of(listeners, "operator")) == 2)
        await settled()
        assert len(entities_of(listeners, "bolt")) == 1
        market.adopt({})
        await market.patched("operator", made["href"], {"version": "3"})
        await until(lambda: len(entities_of(listeners, "bolt")) == 2)


@pytest.mark.parametrize("removed", ["b", BOLT, "credential-1"])
async def test_delivery_ends_at_once_for_whoever_is_removed(market: RightsBusiness, removed: str) -> None:
    market.callers["bolt"] = msgspec.structs.replace(market.callers["bolt"], credential_id="credential-1")
    listeners = Listeners()
    for name in ("bolt", "operator"):
        await registered(market, name)
    id = (await market.as_("bolt").request("GET", CATALOG_HUB)).json()[0]["id"]
    async with dispatching(market, listeners) as hub:
        await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: len(entities_of(listeners, "bolt")) == 1)
        market.removed.add(removed)
        await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: hub.counts_by_state()["paused"] == 1)
        await until(lambda: len(entities_of(listeners, "operator")) == 2)
        assert len(entities_of(listeners, "bolt")) == 1
        market.removed.clear()
        await market.as_("bolt").request("POST", f"{CATALOG_HUB}/{id}/resume")
        await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: len(entities_of(listeners, "bolt")) == 3)


async def test_a_listener_ends_with_the_credential_and_goes_on_with_the_next(market: RightsBusiness) -> None:
    now_s = epoch_s(market.business.clock)
    before = market.callers["bolt"]
    market.callers["bolt"] = msgspec.structs.replace(before, credential_expires_s=now_s - 1)
    listeners = Listeners()
    id = await registered(market, "bolt")
    async with dispatching(market, listeners) as hub:
        await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: hub.counts_by_state()["paused"] == 1)
        assert not listeners.attempts
        market.callers["bolt"] = msgspec.structs.replace(before, credential_expires_s=now_s + 100)
        resumed = await market.as_("bolt").request("POST", f"{CATALOG_HUB}/{id}/resume")
        assert resumed.status == 200
        await market.created("operator", OFFERINGS, LAUNCHED)
        await until(lambda: len(entities_of(listeners, "bolt")) == 2)


async def test_a_condition_on_what_is_hidden_tells_nothing(market: RightsBusiness) -> None:
    """An attribute that nobody of an organisation may see neither decides what it is sent, nor is in it."""
    listeners = Listeners()
    contact = [{"mediumType": "email", "characteristic": {"emailAddress": "secret@bolt.example"}}]
    hub = f"{PARTY}/hub"
    hidden = "event.organization.contactMedium.characteristic.emailAddress"
    await registered(market, "acme", hub, f"{hidden}=secret@bolt.example")
    await registered(market, "acme", hub, "event.organization.tradingName=Bolt", url("acme-open"))
    await registered(market, "operator", hub)
    async with dispatching(market, listeners):
        body = {"tradingName": "Bolt", "contactMedium": contact, "status": "validated"}
        response = await market.as_("operator").request("POST", f"{PARTY}/organization", body)
        assert response.status == 201, response.body
        await until(lambda: len(entities_of(listeners, "operator")) == 1)
        await settled()
    assert not listeners.received[url("acme")]
    (sent,) = entities_of(listeners, "acme-open")
    assert "contactMedium" not in sent


async def test_only_who_could_read_it_is_told_of_a_deletion(market: RightsBusiness) -> None:
    listeners = Listeners()
    for name in ("acme", "bolt", "operator"):
        await registered(market, name)
    async with dispatching(market, listeners):
        draft = await market.created("acme", OFFERINGS, DRAFT)
        public = await market.created("acme", OFFERINGS, LAUNCHED)
        for one in (draft, public):
            assert (await market.as_("acme").request("DELETE", one["href"])).status == 204
        await until(lambda: names_of(listeners, "operator").count("ProductOfferingDeleteEvent") == 2)
        await settled()
    deleted = {
        name: [
            next(iter(one["event"].values()))["id"]
            for one in listeners.received[url(name)]
            if one["eventType"] == "ProductOfferingDeleteEvent"
        ]
        for name in ("acme", "bolt")
    }
    assert deleted == {"acme": [draft["id"], public["id"]], "bolt": [public["id"]]}


async def test_a_registration_is_seen_by_who_made_it_for_that_organisation(market: RightsBusiness) -> None:
    market.callers["acme-too"] = msgspec.structs.replace(market.callers["bolt"], organization=ACME)
    id = await registered(market, "bolt")
    for name in ("acme", "acme-too", "city", "reader", "provider"):
        client = market.as_(name)
        assert (await client.request("GET", CATALOG_HUB)).json() == []
        for method, path in (("GET", id), ("DELETE", id), ("GET", f"{id}/secret"), ("POST", f"{id}/resend")):
            response = await client.request(method, f"{CATALOG_HUB}/{path}")
            assert response.status in {403, 404}, (name, method, path)
    assert (await market.as_("operator").request("GET", f"{CATALOG_HUB}/{id}")).status == 200
    assert (
        "pending" not in (await market.as_("bolt").request("GET", f"{CATALOG_HUB}/{id}")).json()["delivery"]
    )


async def test_two_organisations_register_the_same_callback(market: RightsBusiness) -> None:
    await registered(market, "bolt", callback=url("same"))
    await registered(market, "acme", callback=url("same"))
    again = await market.as_("acme").request("POST", CATALOG_HUB, {"callback": url("same")})
    assert code_of(again) == "conflict"


async def test_an_organisation_has_no_more_registrations_than_one_subject() -> None:
    market = await open_rights(models=FEW, limits=Limits(subscriptions_per_subject_max=2))
    for number in range(2):
        await registered(market, ("acme", "acme-clerk")[number % 2], callback=f"https://a.example/{number}")
    response = await market.as_("acme").request("POST", CATALOG_HUB, {"callback": "https://a.example/more"})
    assert (response.status, code_of(response)) == (429, "overloaded")
    await market.store.close()


async def test_the_hub_of_a_topic_is_for_who_may_read_the_topic(market: RightsBusiness) -> None:
    topic = await market.created("operator", TOPICS, {"name": "Prices"})
    hub = f"{TOPICS}/{topic['id']}/hub"
    response = await market.as_("acme").request("POST", hub, {"callback": url("acme")})
    assert response.status == 404
    assert (await market.as_("acme").request("GET", hub)).status == 404
