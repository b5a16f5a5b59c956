"""Registrations at the hub (TMF630 Part 1, section 10.1)."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.limits import Limits
from hansa.store.tables import subscriptions
from tests.support.business import CATALOG, ENDPOINT, PARTY, Business, open_business
from tests.unit.business.test_resources import check_refused

HUB = f"{CATALOG}/hub"
CALLBACK = "https://listener.example/events"
FRESH = {
    "state": "active",
    "delivered": 0,
    "failures": 0,
    "pending": 0,
    "deadLetters": 0,
    "deadLettersDropped": 0,
}


async def test_a_registration_answers_201_with_its_location(business: Business) -> None:
    registration = {"callback": CALLBACK, "query": "eventType=ProductOfferingCreateEvent"}
    answer = await business.provider.post(HUB, registration)
    made = answer.json()
    assert answer.status == 201
    assert made == {"id": made["id"], **registration}
    assert answer.headers["location"] == f"{ENDPOINT}{HUB}/{made['id']}"
    shown = (await business.provider.get(answer.headers["location"])).json()
    assert shown == {**made, "delivery": FRESH}
    listed = await business.provider.get(HUB)
    assert listed.json() == [shown]
    assert (listed.headers["x-total-count"], listed.headers["x-result-count"]) == ("1", "1")


async def test_a_registration_without_query_hears_everything(business: Business) -> None:
    for body in ({"callback": CALLBACK}, {"callback": CALLBACK + "2", "query": None, "@type": "Hub"}):
        answer = await business.provider.post(HUB, body)
        assert (answer.status, answer.json().keys()) == (201, {"id", "callback"})


async def test_the_same_registration_twice_conflicts_until_it_has_ended(business: Business) -> None:
    made = (await business.provider.post(HUB, {"callback": CALLBACK})).json()
    check_refused(await business.provider.post(HUB, {"callback": CALLBACK}), 409, "conflict")
    other_query = {"callback": CALLBACK, "query": "eventType=CatalogCreateEvent"}
    assert (await business.provider.post(HUB, other_query)).status == 201
    assert (await business.provider.post(f"{PARTY}/hub", {"callback": CALLBACK})).status == 201
    assert (await business.provider.delete(f"{HUB}/{made['id']}")).status == 204
    check_refused(await business.provider.get(f"{HUB}/{made['id']}"), 404, "not-found")
    check_refused(await business.provider.delete(f"{HUB}/{made['id']}"), 404, "not-found")
    assert (await business.provider.post(HUB, {"callback": CALLBACK})).status == 201


async def test_the_hub_needs_a_token(business: Business) -> None:
    for method, target in (("POST", HUB), ("GET", HUB), ("GET", f"{HUB}/x"), ("DELETE", f"{HUB}/x")):
        check_refused(
            await business.anonymous.request(method, target, {"callback": CALLBACK}), 401, "unauthenticated"
        )


async def test_a_registration_belongs_to_who_made_it_and_to_the_operator(business: Business) -> None:
    made = (await business.provider.post(HUB, {"callback": CALLBACK})).json()
    for method in ("GET", "DELETE"):
        check_refused(await business.other_provider.request(method, f"{HUB}/{made['id']}"), 404, "not-found")
    assert (await business.other_provider.get(HUB)).json() == []
    assert (await business.operator.get(HUB)).json() == [{**made, "delivery": FRESH}]
    check_refused(await business.provider.get(f"{PARTY}/hub/{made['id']}"), 404, "not-found")
    assert (await business.operator.delete(f"{HUB}/{made['id']}")).status == 204


@pytest.mark.parametrize(
    "callback",
    [
        None,
        "",
        7,
        "listener.example",
        "ftp://listener.example/",
        "http://",
        "http:///x",
        "https://u:p@x.example/",
        "https://u@x.example/",
        "http://x.example/#part",
        "http://x.example/a b",
        "http://x.example:port/",
        "http://x.example:0/",
        "http://[::1/",
        "http://x.example/\n",
        "file:///etc/passwd",
        "http://x.example/" + "a" * 2048,
    ],
)
async def test_a_callback_that_is_no_web_address_is_refused(business: Business, callback: object) -> None:
    assert "callback" in check_refused(
        await business.provider.post(HUB, {"callback": callback}), 400, "invalid"
    )


@pytest.mark.parametrize(
    "query",
    [
        "eventType=CatalogCreateEvent",
        "eventType = CatalogCreateEvent",
        "eventType=CatalogCreateNotification",
        "eventType=CatalogCreateEvent,CatalogDeleteEvent&eventType=CategoryCreateEvent",
        "event.productOffering.lifecycleStatus=Launched",
        "eventType=ProductOfferingCreateEvent&event.productOffering.category.id=edge",
        "",
    ],
)
async def test_queries_within_the_api_are_taken(business: Business, query: str) -> None:
    assert (await business.provider.post(HUB, {"callback": CALLBACK, "query": query})).status == 201


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("eventType=IndividualCreateEvent", "no event of TMF620 'IndividualCreateEvent'"),
        ("eventType=", "no event of TMF620 ''"),
        ("event.productOffering.nmae=x", "no 'nmae'"),
        ("event.individual.id=x", "has no 'event.individual.id'"),
        ("name=x", "has no 'name'"),
        ("everything", "has no 'everything'"),
        (7, "must be a string"),
        ({}, "must be a string"),
        ("x" * 9000, "at most 8192 characters"),
    ],
)
async def test_a_query_that_no_event_can_satisfy_is_refused(
    business: Business, query: Any, message: str
) -> None:
    answer = await business.provider.post(HUB, {"callback": CALLBACK, "query": query})
    assert message in check_refused(answer, 400, "invalid")


async def test_a_registration_has_nothing_else(business: Business) -> None:
    answer = await business.provider.post(HUB, {"callback": CALLBACK, "qery": "x"})
    assert "qery" in check_refused(answer, 400, "invalid")


async def test_registrations_are_listed_by_pages(business: Business) -> None:
    made = [(await business.provider.post(HUB, {"callback": f"{CALLBACK}/{n}"})).json() for n in range(5)]
    answer = await business.provider.get(f"{HUB}?offset=9&limit=2")
    assert (answer.status, answer.json()) == (200, [])
    answer = await business.provider.get(f"{HUB}?offset=1&limit=2")
    assert answer.status == 206
    assert [one["id"] for one in answer.json()] == [one["id"] for one in made[1:3]]
    assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("5", "2")
    for query in ("limit=-1", "limit=x", "name=x"):
        check_refused(await business.provider.get(f"{HUB}?{query}"), 400, "invalid")


async def test_the_number_of_registrations_is_bounded() -> None:
    business = await open_business(limits=Limits(subscriptions_max=2))
    for n in range(2):
        assert (await business.provider.post(HUB, {"callback": f"{CALLBACK}/{n}"})).status == 201
    answer = await business.provider.post(HUB, {"callback": f"{CALLBACK}/2"})
    check_refused(answer, 429, "overloaded")
    assert await subscriptions.callbacks(business.store) == {f"{CALLBACK}/0", f"{CALLBACK}/1"}
    await business.store.close()
