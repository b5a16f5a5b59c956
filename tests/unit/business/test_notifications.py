"""Delivery of notifications: every event, at least once, in order, whatever other listeners do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from hansa.business.hub import HubDispatcher
from hansa.business.hub.dispatcher import SAVE_INTERVAL_S
from hansa.business.hub.feed import CHUNK_ROWS
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock, rfc3339
from hansa.core.limits import Limits
from hansa.store import EntityDraft
from hansa.store.tables import subscriptions
from tests.support.business import CATALOG, ENDPOINT, PARTY, Business, open_business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_resources import made

OFFERINGS = f"{CATALOG}/productOffering"
HUB = f"{CATALOG}/hub"
ONE, TWO = "https://one.example/", "https://two.example/"


def full_pauses(size: int) -> bytes:
    """Entropy that makes each pause as long as it can be."""
    return b"\xff" * size


@asynccontextmanager
async def dispatching(
    business: Business, listeners: Listeners, limits: Limits | None = None
) -> AsyncIterator[HubDispatcher]:
    """A dispatcher at work."""
    dispatcher = HubDispatcher(
        business.store,
        business.models,
        listeners,
        business.clock,
        full_pauses,
        limits or business.limits,
        business.endpoint,
    )
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


async def registered(business: Business, callback: str, query: str = "", hub: str = HUB) -> str:
    """Identifier of a new registration."""
    answer = await business.provider.post(hub, {"callback": callback, "query": query})
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


def clock_of(business: Business) -> ManualClock:
    assert isinstance(business.clock, ManualClock)
    return business.clock


async def let_positions_be_written(business: Business) -> None:
    """Move the clock to the next time that they are written, and wait for that."""
    await clock_of(business).advance(SAVE_INTERVAL_S)
    for _ in range(2):
        async with business.store.transaction():
            pass  # committed with, or after, what was begun before it


async def test_a_listener_receives_what_happens_in_order(business: Business) -> None:
    listeners = Listeners()
    await registered(business, ONE)
    async with dispatching(business, listeners):
        entity = await made(business)
        await until(lambda: len(listeners.received[ONE]) == 1)
        changed = (await business.provider.patch(entity["href"], {"version": "2"})).json()
        await until(lambda: len(listeners.received[ONE]) == 2)
        await business.provider.patch(entity["href"], {"lifecycleStatus": "Retired"})
        await until(lambda: len(listeners.received[ONE]) == 3)
        await business.provider.delete(entity["href"])
        await until(lambda: len(listeners.received[ONE]) == 4)
    assert listeners.names(ONE) == [
        "ProductOfferingCreateEvent",
        "ProductOfferingAttributeValueChangeEvent",
        "ProductOfferingStateChangeEvent",
        "ProductOfferingDeleteEvent",
    ]
    first, second, _, last = listeners.received[ONE]
    assert first["event"] == {"productOffering": entity}
    assert second["event"] == {"productOffering": changed}
    assert last["event"] == {
        "productOffering": {"href": entity["href"], "id": entity["id"], "@type": "ProductOffering"}
    }
    assert first.keys() == {"eventId", "eventTime", "eventType", "timeOcurred", "event"}
    assert first["eventTime"] == rfc3339(business.clock.now())
    assert len({event["eventId"] for event in listeners.received[ONE]}) == 4


async def test_names_of_events_are_sent_as_documents_and_clients_spell_them(business: Business) -> None:
    """Clients compare them as text: FIWARE's contract management looks for exactly this one."""
    base = "/tmf-api/productOrderingManagement/v4"
    listeners = Listeners()
    await registered(business, ONE, "eventType=ProductOrderStateChangeEvent", f"{base}/hub")
    await registered(business, TWO, "eventType=productorderstatechangeevent", f"{base}/hub")
    async with dispatching(business, listeners):
        order = {"productOrderItem": [{"id": "1", "action": "add"}]}
        address = (await business.provider.post(f"{base}/productOrder", order)).json()["href"]
        for state in ("inProgress", "completed"):
            assert (await business.provider.patch(address, {"state": state})).status == 200
        await until(lambda: len(listeners.received[ONE]) == len(listeners.received[TWO]) == 2)
    assert listeners.names(ONE) == listeners.names(TWO) == ["ProductOrderStateChangeEvent"] * 2


async def test_changes_of_replicas_are_notified_too(business: Business) -> None:
    listeners = Listeners()
    await registered(business, ONE)
    body = canonical_json({"id": "r1", "@type": "Category", "name": "Far", "lifecycleStatus": "Launched"})
    async with dispatching(business, listeners):
        async with business.store.transaction() as tx:
            await tx.put(
                EntityDraft("r1", "Category", body, hashlink(body), public=True, origin="did:key:zFar")
            )
        await until(lambda: listeners.received[ONE])
    assert listeners.names(ONE) == ["CategoryCreateEvent"]
    assert listeners.received[ONE][0]["event"]["category"]["href"] == f"{ENDPOINT}{CATALOG}/category/r1"


async def test_a_listener_hears_nothing_from_before_its_registration(business: Business) -> None:
    listeners = Listeners()
    await made(business, name="before")
    async with dispatching(business, listeners):
        await made(business, name="before, too")
        await registered(business, ONE)
        await made(business, name="after")
        await until(lambda: listeners.received[ONE])
    assert [event["event"]["productOffering"]["name"] for event in listeners.received[ONE]] == ["after"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a:create", "b:create", "category", "b:state"]),
        ("eventType=ProductOfferingCreateEvent", ["a:create", "b:create"]),
        ("eventType=ProductOfferingStateChangeNotification,CategoryCreateEvent", ["category", "b:state"]),
        ("event.productOffering.name=b", ["b:create", "b:state"]),
        ("eventType=ProductOfferingCreateEvent&event.productOffering.category.id=edge", ["a:create"]),
        ("event.productOffering.isBundle=true", ["b:create", "b:state"]),
        ("eventType=CatalogBatchEvent", []),
    ],
)
async def test_a_query_chooses_events_by_type_and_content(
    business: Business, query: str, expected: list[str]
) -> None:
    listeners = Listeners()
    await registered(business, ONE, query)
    await registered(business, TWO)
    async with dispatching(business, listeners):
        await made(business, name="a", category=[{"id": "edge"}], isBundle=False)
        b = await made(business, name="b", isBundle=True)
        await made(business, f"{CATALOG}/category")
        await until(lambda: len(listeners.received[TWO]) == 3)
        await business.provider.patch(b["href"], {"lifecycleStatus": "Retired"})
        await until(
            lambda: len(listeners.received[TWO]) == 4 and len(listeners.received[ONE]) == len(expected)
        )
    short = {"ProductOfferingCreateEvent": ":create", "ProductOfferingStateChangeEvent": ":state"}
    received = [
        event["event"]["productOffering"]["name"] + short[event["eventType"]]
        if "productOffering" in event["event"]
        else "category"
        for event in listeners.received[ONE]
    ]
    assert received == expected


async def test_an_api_tells_its_own_events_only(business: Business) -> None:
    listeners = Listeners()
    await registered(business, ONE)
    await registered(business, TWO, hub=f"{PARTY}/hub")
    async with dispatching(business, listeners):
        await business.provider.post(f"{PARTY}/individual", {"givenName": "Jane", "familyName": "Doe"})
        await made(business)
        await until(lambda: listeners.received[ONE] and listeners.received[TWO])
    assert listeners.names(ONE) == ["ProductOfferingCreateEvent"]
    assert listeners.names(TWO) == ["IndividualCreateEvent"]


@pytest.mark.parametrize("failure", [0, 500, 503, 429, 302, 199])
async def test_a_failed_delivery_is_repeated_with_growing_pauses(business: Business, failure: int) -> None:
    listeners, clock = Listeners(), clock_of(business)
    listeners.answers[ONE] = [failure, failure, failure]
    await registered(business, ONE)
    async with dispatching(business, listeners) as dispatcher:
        await made(business, name="first")
        await until(lambda: listeners.attempts[ONE] == 1)
        await made(business, name="second")
        for attempt, pause_s in ((2, 1.0), (3, 2.0), (4, 4.0)):
            await until(lambda: clock.sleepers == 2)
            assert dispatcher.counts_by_state()["failing"] == 1
            await clock.advance(pause_s * 0.9)
            assert listeners.attempts[ONE] == attempt - 1
            await clock.advance(pause_s * 0.1)
            await until(partial(listeners.was_tried, ONE, attempt))
        await until(lambda: len(listeners.received[ONE]) == 2)
        assert dispatcher.counts_by_state()["failing"] == 0
    assert [event["event"]["productOffering"]["name"] for event in listeners.received[ONE]] == [
        "first",
        "second",
    ]


async def test_pauses_end_at_the_limit_and_the_number_of_failures_is_stored(business: Business) -> None:
    listeners, clock = Listeners(), clock_of(business)
    listeners.dead.add(ONE)
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business)
        for attempt in range(1, 14):
            await until(partial(listeners.was_tried, ONE, attempt))
            await until(lambda: clock.sleepers == 2)
            await clock.advance(business.limits.notification_backoff_max_s)
    stored = await subscriptions.get(business.store, subscription)
    assert stored is not None
    assert (stored.failures, stored.problem) == (listeners.attempts[ONE], "listener-unreachable")
    assert stored.failures >= 13


async def test_dead_and_silent_listeners_delay_nobody_else() -> None:
    business = await open_business(limits=Limits(notifications_in_flight_max=8))
    listeners = Listeners()
    dead = [f"https://dead-{n}.example/" for n in range(30)]
    listeners.dead.update(dead)
    for address in (*dead, ONE):
        await registered(business, address)
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.received[ONE])
        for address in dead:  # from now on they swallow what is sent, and never answer
            listeners.silent[address] = asyncio.Event()
        for n in range(2, 20):
            await clock_of(business).advance(5)
            await made(business)
            await until(partial(listeners.has_received, ONE, n))
        assert listeners.in_flight_max <= 8
    await business.store.close()


async def test_a_listener_that_falls_behind_reads_the_feed_and_misses_nothing(business: Business) -> None:
    listeners, clock = Listeners(), clock_of(business)
    listeners.answers[ONE] = [503]
    await registered(business, ONE, "eventType=ProductOfferingCreateEvent")
    names = [f"n{n}" for n in range(CHUNK_ROWS + 70)]
    async with dispatching(business, listeners):
        for name in names:
            await made(business, name=name)
            await made(business, f"{CATALOG}/category")
        await until(lambda: listeners.attempts[ONE] == 1)
        await clock.advance(1)
        await until(lambda: len(listeners.received[ONE]) == len(names))
        await made(business, name="and on")
        await until(lambda: len(listeners.received[ONE]) > len(names))
    assert [event["event"]["productOffering"]["name"] for event in listeners.received[ONE]] == [
        *names,
        "and on",
    ]


async def test_what_happened_while_nobody_dispatched_is_delivered_later(tmp_path: Path) -> None:
    business, listeners = await open_business(tmp_path / "store.db"), Listeners()
    await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business, name="first")
        await until(lambda: listeners.received[ONE])
    await made(business, name="second")
    await business.store.close()

    reopened = await open_business(tmp_path / "store.db")
    await made(reopened, id="third", name="third")
    async with dispatching(reopened, listeners):
        await until(lambda: len(listeners.received[ONE]) == 3)
        await made(reopened, id="fourth", name="fourth")
        await until(lambda: len(listeners.received[ONE]) == 4)
    names = [event["event"]["productOffering"]["name"] for event in listeners.received[ONE]]
    assert names == ["first", "second", "third", "fourth"]
    await reopened.store.close()


async def test_after_a_crash_an_event_is_repeated_under_its_identifier(business: Business) -> None:
    listeners = Listeners()
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.received[ONE])
        await let_positions_be_written(business)
        stored = await subscriptions.get(business.store, subscription)
        assert stored is not None
        assert stored.position == await business.store.last_change()
    async with business.store.transaction() as tx:  # as if the position had not been written
        await subscriptions.save(tx, [subscriptions.DeliveryProgress(subscription, 0)])
    async with dispatching(business, listeners):
        await until(lambda: len(listeners.received[ONE]) == 2)
    first, again = listeners.received[ONE]
    assert first == again


async def test_a_registration_that_ended_hears_no_more(business: Business) -> None:
    listeners, clock = Listeners(), clock_of(business)
    listeners.dead.add(ONE)
    subscription = await registered(business, ONE)
    await registered(business, TWO)
    async with dispatching(business, listeners) as dispatcher:
        await made(business)
        await until(lambda: listeners.attempts[ONE] == 1)
        await business.provider.delete(f"{HUB}/{subscription}")
        for n in range(2, 5):
            await clock.advance(60)
            await made(business)
            await until(partial(listeners.has_received, TWO, n))
        assert listeners.attempts[ONE] == 1
        assert sum(dispatcher.counts_by_state().values()) == 1


async def test_reaching_a_state_that_has_an_event_is_notified_however_late(business: Business) -> None:
    base = next(api.base_path for api in business.models.apis if api.id == "TMF621")
    listeners = Listeners()
    await registered(business, ONE, "eventType=TroubleTicketResolvedEvent", f"{base}hub")
    await registered(business, TWO, hub=f"{base}hub")
    body = {"description": "x", "severity": "low", "ticketType": "complaint"}
    ticket = (await business.provider.post(f"{base}troubleTicket", body)).json()
    for status in ("inProgress", "resolved", "closed"):
        answer = await business.provider.patch(ticket["href"], {"status": status})
        assert answer.status == 200, answer.body
    async with dispatching(business, listeners):
        await until(lambda: listeners.received[ONE] and len(listeners.received[TWO]) == 5)
    assert listeners.names(ONE) == ["TroubleTicketResolvedEvent"]
    assert listeners.names(TWO) == [
        "TroubleTicketCreateEvent",
        "TroubleTicketStatusChangeEvent",
        "TroubleTicketStatusChangeEvent",
        "TroubleTicketResolvedEvent",
        "TroubleTicketStatusChangeEvent",
    ]
    assert len({event["eventId"] for event in listeners.received[TWO]}) == 5


async def test_fields_choose_what_a_listener_is_sent(business: Business) -> None:
    listeners = Listeners()
    await registered(business, ONE, "fields=event.productOffering.id,event.ProductOffering.name")
    await registered(business, TWO, "fields=none")
    async with dispatching(business, listeners):
        entity = await made(business, name="a", version="7")
        await until(lambda: listeners.received[ONE] and listeners.received[TWO])
    assert listeners.received[ONE][0]["event"] == {"productOffering": {"id": entity["id"], "name": "a"}}
    assert listeners.received[ONE][0].keys() == {"eventId", "eventTime", "eventType", "event"}
    assert listeners.received[TWO][0].keys() == {"eventId", "eventTime", "eventType"}


async def test_a_sub_resource_is_sent_with_its_address_even_when_it_was_deleted(business: Business) -> None:
    base = next(api.base_path for api in business.models.apis if api.id == "TMF688")
    listeners = Listeners()
    await registered(business, ONE, "eventType=EventCreateEvent", f"{base}hub")
    topic = (await business.provider.post(f"{base}topic", {"name": "t"})).json()
    published = await business.provider.post(f"{base}topic/{topic['id']}/event", {"eventType": "x"})
    async with business.store.transaction() as tx:
        await tx.delete(published.json()["href"].rpartition("/")[2])
    async with dispatching(business, listeners):
        await until(lambda: listeners.received[ONE])
    assert listeners.received[ONE][0]["event"]["event"]["href"] == published.json()["href"]


async def test_ten_thousand_listeners_are_served_although_half_of_them_are_dead(business: Business) -> None:
    listeners = Listeners()
    dead = [f"https://dead-{number}.example/" for number in range(5000)]
    living = [f"https://living-{number}.example/" for number in range(5000)]
    listeners.dead.update(dead)
    async with business.store.transaction() as tx:
        for url in (*dead, *living):
            query = "eventType=ProductOfferingCreateEvent"
            await subscriptions.add(tx, id=url, api="TMF620", callback=url, query=query, subscriber="reader")
    async with dispatching(business, listeners) as dispatcher:
        await until(lambda: sum(dispatcher.counts_by_state().values()) == 10_000)
        for name in ("a", "b", "c"):
            await made(business, name=name)
        await until(lambda: all(len(listeners.received[url]) == 3 for url in living))
        await until(lambda: all(listeners.attempts[url] >= 1 for url in dead))
    assert all(listeners.names(url) == ["ProductOfferingCreateEvent"] * 3 for url in living)
    assert listeners.in_flight_max <= business.limits.notifications_in_flight_max
