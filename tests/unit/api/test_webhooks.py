"""`/league/v1/subscriptions`: events of the league arrive at listeners, in order, at least once, signed."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest

from hansa.api.webhooks import LedgerNotifier, subscription_filter
from hansa.api.webhooks.notifier import REFRESH_INTERVAL_S, SAVE_INTERVAL_S
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.replication.registry import MemberRegistry
from tests.support.asgi import AsgiClient
from tests.support.conditions import until
from tests.support.league import TYPES, League, Marketplace

SUBSCRIPTIONS = "/league/v1/subscriptions"
ONE, TWO = "https://one.example/", "https://two.example/"
STATUSES = "lifecycleStatus=Launched"


def full_pauses(size: int) -> bytes:
    return b"\xff" * size


def client_of(member: Marketplace, token: str) -> AsgiClient:
    return member.client.with_headers(authorization=f"Bearer {token}")


class BeginsLater:
    """A ledger that has not begun when it is first read."""

    def __init__(self, bus: Any, refusals: int) -> None:
        self._bus = bus
        self.refusals = refusals

    async def search(self, *arguments: Any, **named: Any) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable(Code.UNAVAILABLE, "The ledger has not begun yet.")
        return await self._bus.search(*arguments, **named)

    def follow(self, after: int) -> Any:
        return self._bus.follow(after)


@asynccontextmanager
async def notifying(
    member: Marketplace, limits: Limits | None = None, bus: Any = None
) -> AsyncIterator[LedgerNotifier]:
    """A notifier at work."""
    league = member.league
    registry = MemberRegistry(member.bus, league.clock)
    limits = limits or league.limits
    notifier = LedgerNotifier(
        bus or member.bus,
        registry,
        partial(subscription_filter, types=TYPES, registry=registry, limits=limits),
        member.store,
        league.listeners,
        league.clock,
        full_pauses,
        limits,
    )
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), task.exception()


@pytest.fixture
def lubeck(league: League) -> Marketplace:
    return league.marketplaces[0]


@pytest.fixture
def provider(lubeck: Marketplace) -> AsgiClient:
    return client_of(lubeck, "ada:provider")


async def registered(client: AsgiClient, callback: str = ONE, **fields: Any) -> str:
    response = await client.post(SUBSCRIPTIONS, {"callback": callback, **fields})
    assert response.status == 201, response.body
    assert response.headers["location"].endswith(response.json()["id"])
    return str(response.json()["id"])


async def published(member: Marketplace, *names: str) -> None:
    for name in names:
        await member.put(name, name=name)
    await member.league.settle()


async def delivery(client: AsgiClient, id: str, league: League) -> dict[str, Any]:
    """The state of a delivery, after it was written."""
    await league.clock.advance(SAVE_INTERVAL_S)
    await league.settle()
    report: dict[str, Any] = (await client.get(f"{SUBSCRIPTIONS}/{id}")).json()["delivery"]
    return report


async def later(league: League, condition: Callable[[], bool]) -> None:
    """Move the clock until a condition holds."""
    for _ in range(60):
        if condition():
            return
        await league.clock.advance(1)
        await league.settle()
    assert condition()


def positions(league: League, url: str = ONE) -> list[int]:
    return [int(event["sequence"]) for event in league.listeners.received[url]]


async def test_events_are_delivered_once_a_ledger_begins_that_had_not(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    await registered(provider)
    bus = BeginsLater(lubeck.bus, 3)
    async with notifying(lubeck, bus=bus):
        await published(lubeck, "one")
        await later(league, lambda: positions(league) == [1])
    assert bus.refusals == 0


async def test_a_listener_receives_what_is_committed_in_order(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    await published(lubeck, "before")
    await registered(provider)
    async with notifying(lubeck):
        await published(lubeck, "one", "two")
        await published(league.marketplaces[1], "three")
        await until(lambda: positions(league) == [2, 3, 4])
    first = league.listeners.received[ONE][0]
    assert first["specversion"] == "1.0"
    assert first["source"] == lubeck.did
    assert first["data"]["proof"]["jws"]
    page = (await lubeck.client.get("/league/v1/events?after=1&limit=1")).json()
    assert first["data"] == page["events"][0]


async def test_the_past_is_sent_on_request(league: League, lubeck: Marketplace, provider: AsgiClient) -> None:
    await published(lubeck, *map(str, range(20)))
    await registered(provider, after=3)
    async with notifying(lubeck):
        await until(lambda: positions(league) == list(range(4, 21)))


async def test_the_query_selects(league: League, lubeck: Marketplace, provider: AsgiClient) -> None:
    bergen = league.marketplaces[1]
    await registered(provider, ONE, query=f"issuer={bergen.did}&type=productOfferingCreateEvent")
    await registered(provider, TWO, query=f"lifecycleStatus=Retired,Launched&entity={lubeck.id('two')}")
    async with notifying(lubeck):
        await published(lubeck, "one", "two")
        await published(bergen, "three", "four")
        await until(lambda: positions(league, ONE) == [3, 4] and positions(league, TWO) == [2])


async def test_events_are_signed_with_the_secret_of_the_registration(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    id = await registered(provider)
    secret = (await provider.get(f"{SUBSCRIPTIONS}/{id}/secret")).json()["secret"]
    async with notifying(lubeck):
        await published(lubeck, "one")
        await until(lambda: positions(league) == [1])
    (headers,) = league.listeners.headers[ONE]
    assert headers["webhook-id"] == "league-1"
    body = msgspec.json.encode(league.listeners.received[ONE][0])
    content = f"league-1.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    assert headers["webhook-signature"] == signature
    exchanged = (await provider.post(f"{SUBSCRIPTIONS}/{id}/secret", {})).json()
    assert exchanged["secret"] != secret
    assert "secret_before_until" in exchanged


async def test_a_listener_that_is_away_misses_nothing(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    league.listeners.answers[ONE] = [0, 503]
    id = await registered(provider)
    async with notifying(lubeck):
        await published(lubeck, "one", "two")
        await until(lambda: league.listeners.was_tried(ONE, 1))
        assert (await delivery(provider, id, league))["state"] == "failing"
        await later(league, lambda: positions(league) == [1, 2])
        assert (await delivery(provider, id, league))["state"] == "active"
    assert league.listeners.attempts[ONE] == 4


async def test_a_refused_event_is_a_dead_letter_and_can_be_sent_again(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    league.listeners.answers[ONE] = [410]
    id = await registered(provider)
    async with notifying(lubeck):
        await published(lubeck, "one", "two")
        await until(lambda: positions(league) == [2])
        state = await delivery(provider, id, league)
        assert (state["delivered"], state["dead_letters"]) == (1, 1)
        letters = (await provider.get(f"{SUBSCRIPTIONS}/{id}/dead-letters")).json()
        assert letters["total"] == 1
        assert letters["dead_letters"][0]["event_id"] == "league-1"
        again = await provider.post(f"{SUBSCRIPTIONS}/{id}/resend", {"event_id": "league-1"})
        assert again.status == 200
        await league.clock.advance(REFRESH_INTERVAL_S)
        await until(lambda: positions(league) == [2, 1])
        assert (await delivery(provider, id, league))["dead_letters"] == 0
        missing = await provider.post(f"{SUBSCRIPTIONS}/{id}/resend", {"event_id": "league-9"})
        assert missing.status == 404


async def test_one_that_is_dead_is_paused_and_resumed_on_request(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    league.listeners.dead.add(ONE)
    limits = msgspec.structs.replace(league.limits, listener_dead_after_s=1.0)
    id = await registered(provider)
    await registered(provider, TWO)
    async with notifying(lubeck, limits):
        await published(lubeck, "one")
        await later(league, lambda: league.listeners.was_tried(ONE, 2))
        await published(lubeck, "two")
        await until(lambda: positions(league, TWO) == [1, 2])
        assert (await delivery(provider, id, league))["state"] == "paused"
        league.listeners.dead.clear()
        assert (await provider.post(f"{SUBSCRIPTIONS}/{id}/resume", {})).status == 200
        await league.clock.advance(REFRESH_INTERVAL_S)
        await until(lambda: positions(league) == [1, 2])


async def test_delivery_goes_on_after_a_restart_where_it_was(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    await registered(provider)
    async with notifying(lubeck):
        await published(lubeck, "one")
        await until(lambda: positions(league) == [1])
    await published(lubeck, "two", "three")
    async with notifying(lubeck):
        await until(lambda: positions(league) == [1, 2, 3])


async def test_an_ended_registration_receives_nothing_more(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    id = await registered(provider)
    await registered(provider, TWO)
    async with notifying(lubeck):
        await published(lubeck, "one")
        await until(lambda: positions(league) == positions(league, TWO) == [1])
        assert (await provider.delete(f"{SUBSCRIPTIONS}/{id}")).status == 204
        await league.clock.advance(REFRESH_INTERVAL_S)
        await published(lubeck, "two")
        await until(lambda: positions(league, TWO) == [1, 2])
    assert positions(league) == [1]
    assert (await provider.get(f"{SUBSCRIPTIONS}/{id}")).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"callback": "ftp://x.example/"}, 400),
        ({"callback": "http://10.0.0.1/"}, 400),
        ({"callback": "http://xn--/"}, 400),
        ({"callback": ONE, "query": "colour=red"}, 400),
        ({"callback": ONE, "query": "type="}, 400),
        ({"callback": ONE, "query": "region=Ü"}, 400),
        ({"callback": ONE, "query": "after=1"}, 400),
        ({"callback": ONE, "after": 10**6}, 400),
        ({"callback": ONE, "after": -1}, 400),
        ({"callback": ONE, "more": 1}, 400),
        ({}, 400),
    ],
)
async def test_what_cannot_be_served_is_not_registered(
    provider: AsgiClient, fields: dict[str, Any], status: int
) -> None:
    assert (await provider.post(SUBSCRIPTIONS, fields)).status == status
    assert (await provider.get(SUBSCRIPTIONS)).json() == {"subscriptions": [], "total": 0}


async def test_registrations_are_for_those_who_may_write_and_are_their_own(
    lubeck: Marketplace, provider: AsgiClient
) -> None:
    id = await registered(provider)
    assert (await provider.post(SUBSCRIPTIONS, {"callback": ONE})).status == 409
    stranger, reader = lubeck.client, client_of(lubeck, "bob:reader")
    other, operator = client_of(lubeck, "eve:provider"), client_of(lubeck, "joe:operator")
    new = {"callback": TWO}
    assert [(await one.post(SUBSCRIPTIONS, new)).status for one in (stranger, reader)] == [401, 403]
    for path in ("", "/secret", "/dead-letters"):
        statuses = [
            (await one.get(f"{SUBSCRIPTIONS}/{id}{path}")).status for one in (stranger, other, operator)
        ]
        assert statuses == [401, 404, 200], path
    assert (await other.delete(f"{SUBSCRIPTIONS}/{id}")).status == 404
    totals = [(await one.get(SUBSCRIPTIONS)).json()["total"] for one in (provider, other, operator)]
    assert totals == [1, 0, 1]


async def test_a_subject_has_a_bounded_number_of_registrations(
    league: League, lubeck: Marketplace, provider: AsgiClient
) -> None:
    for number in range(league.limits.subscriptions_per_subject_max):
        await registered(provider, f"https://{number}.example/")
    full = await provider.post(SUBSCRIPTIONS, {"callback": ONE})
    assert full.status == 429
    assert "retry-after" in full.headers


async def test_a_test_event_arrives_at_once(league: League, provider: AsgiClient) -> None:
    id = await registered(provider)
    outcome = await provider.post(f"{SUBSCRIPTIONS}/{id}/test", {})
    assert outcome.json() == {"delivered": True, "answered": 201}
    assert league.listeners.has_received(ONE, 1)


async def test_the_hub_leaves_registrations_for_the_ledger_alone(
    lubeck: Marketplace, provider: AsgiClient
) -> None:
    """They share a table; each dispatcher serves its own."""
    id = await registered(provider)
    report = (await provider.get(f"{SUBSCRIPTIONS}/{id}")).json()
    assert report["delivery"] == {"state": "active", "position": 0, "delivered": 0, "dead_letters": 0}
