"""Topics.

Events that are published into them, and the listeners at their hubs (TMF688, and TMF915 likewise).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.business import ENDPOINT, MODELS, Business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import ONE, TWO, dispatching, registered
from tests.unit.business.test_resources import check_refused

BASES = {api.id: api.base_path for api in MODELS.apis if api.id in {"TMF688", "TMF915"}}
THREE = "https://three.example/"


async def topic(business: Business, base: str, **attributes: Any) -> str:
    """Path of a new topic."""
    answer = await business.provider.post(f"{base}topic", {"name": "t", **attributes})
    assert answer.status == 201, answer.body
    return f"{base}topic/{answer.json()['id']}"


async def publish(business: Business, place: str, event_type: str, **attributes: Any) -> Any:
    """An event that was published into a topic."""
    body = {"eventType": event_type, "event": {"order": {"priority": 3}}, **attributes}
    answer = await business.provider.post(f"{place}/event", body)
    assert answer.status == 201, answer.body
    return answer.json()


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_listeners_of_a_topic_receive_its_events_as_they_were_published(
    business: Business, base: str
) -> None:
    listeners = Listeners()
    place, other = await topic(business, base), await topic(business, base)
    await registered(business, ONE, hub=f"{place}/hub")
    await registered(business, TWO, hub=f"{other}/hub")
    async with dispatching(business, listeners):
        first = await publish(business, place, "Alarm", eventId="e-1", domain="network")
        await publish(business, other, "Calm")
        await publish(business, place, "Alarm")
        await until(lambda: len(listeners.received[ONE]) == 2 and listeners.received[TWO])
    first, second = listeners.received[ONE]
    assert first["eventId"] == "e-1"
    assert first["eventType"] == "Alarm"
    assert first["domain"] == "network"
    assert first["event"] == {"order": {"priority": 3}}
    assert first["eventTime"]
    assert first["eventId"] == "e-1"
    assert second["eventId"] != "e-1"
    assert listeners.names(TWO) == ["Calm"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("eventType=a,c", ["a", "c"]),
        ("domain=network&event.order.priority.gt=2", ["b"]),
        ("event.order.priority=1;eventType=c", ["a", "c"]),
    ],
)
async def test_a_query_at_the_hub_of_a_topic_chooses_among_its_events(
    business: Business, query: str, expected: list[str]
) -> None:
    listeners = Listeners()
    place = await topic(business, BASES["TMF688"])
    await registered(business, ONE, query, f"{place}/hub")
    await registered(business, TWO, hub=f"{place}/hub")
    async with dispatching(business, listeners):
        await publish(business, place, "a", event={"order": {"priority": 1}}, domain="network")
        await publish(business, place, "b", event={"order": {"priority": 5}}, domain="network")
        await publish(business, place, "c", event={"order": {"priority": 5}}, domain="sales")
        await until(
            lambda: len(listeners.received[TWO]) == 3 and len(listeners.received[ONE]) == len(expected)
        )
    assert listeners.names(ONE) == expected


async def test_the_queries_of_a_topic_hold_for_all_its_listeners(business: Business) -> None:
    listeners = Listeners()
    base = BASES["TMF688"]
    place = await topic(business, base, headerQuery="domain=network", contentQuery="event.order.priority=3")
    await registered(business, ONE, hub=f"{place}/hub")
    await registered(business, TWO, "fields=event.order", f"{place}/hub")
    async with dispatching(business, listeners):
        await publish(business, place, "a")
        await publish(business, place, "b", domain="network", event={"order": {"priority": 2}})
        await publish(business, place, "c", domain="network")
        await until(lambda: listeners.received[ONE] and listeners.received[TWO])
    assert listeners.names(ONE) == listeners.names(TWO) == ["c"]
    assert listeners.received[TWO][0].keys() == {"eventId", "eventTime", "eventType", "event"}


async def test_the_hub_of_the_api_tells_of_topics_and_of_what_is_published(business: Business) -> None:
    listeners, base = Listeners(), BASES["TMF688"]
    await registered(business, ONE, hub=f"{base}hub")
    async with dispatching(business, listeners):
        place = await topic(business, base)
        published = await publish(business, place, "a")
        await business.provider.delete(place)
        await until(lambda: len(listeners.received[ONE]) >= 2 and "TopicDeleteEvent" in listeners.names(ONE))
    assert listeners.names(ONE)[:2] == ["TopicCreateEvent", "EventCreateEvent"]
    assert listeners.received[ONE][1]["event"]["event"]["href"] == published["href"]
    assert published["href"].startswith(f"{ENDPOINT}{place}/event/")


async def test_registrations_at_a_topic_are_its_own(business: Business) -> None:
    base = BASES["TMF688"]
    place, other = await topic(business, base), await topic(business, base)
    hub = f"{place}/hub"
    answer = await business.provider.post(hub, {"callback": ONE})
    made = answer.json()
    assert (answer.status, answer.headers["location"]) == (201, f"{ENDPOINT}{hub}/{made['id']}")
    assert (await business.provider.get(answer.headers["location"])).json()["callback"] == ONE
    check_refused(await business.provider.post(hub, {"callback": ONE}), 409, "conflict")
    assert (await business.provider.post(f"{other}/hub", {"callback": ONE})).status == 201
    assert [one["id"] for one in (await business.provider.get(hub)).json()] == [made["id"]]
    assert (await business.provider.get(f"{base}hub")).json() == []
    check_refused(await business.provider.get(f"{other}/hub/{made['id']}"), 404, "not-found")
    check_refused(await business.provider.get(f"{base}hub/{made['id']}"), 404, "not-found")
    assert (await business.provider.post(f"{base}hub/{made['id']}/resume", {})).status == 200
    check_refused(await business.provider.post(hub, {"callback": TWO, "query": "nmae=x"}), 400, "invalid")
    check_refused(await business.provider.post(f"{base}topic/none/hub", {"callback": ONE}), 404, "not-found")
    assert (await business.provider.delete(f"{hub}/{made['id']}")).status == 204


async def test_the_registrations_of_a_topic_end_with_it(business: Business) -> None:
    place = await topic(business, BASES["TMF688"])
    await registered(business, ONE, hub=f"{place}/hub")
    listeners = Listeners()
    async with dispatching(business, listeners) as dispatcher:
        await until(lambda: sum(dispatcher.counts_by_state().values()) == 1)
        assert (await business.provider.delete(place)).status == 204
        await until(lambda: sum(dispatcher.counts_by_state().values()) == 0)
