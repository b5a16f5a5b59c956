"""Notifications are signed in the form of Standard Webhooks, and a listener can be sent a test event."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.hub.signatures import message_id, signature_headers
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.store.tables import subscriptions
from tests.support.asgi import AsgiClient
from tests.support.business import Business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import HUB, ONE, clock_of, dispatching, registered
from tests.unit.business.test_resources import check_refused, made


class Recorder(Listeners):
    """Remembers whole requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Receive one notification."""
        self.requests.append(request)
        return await super().send(request)


def verifies(request: HttpRequest, secret: str) -> bool:
    """What a listener does, as docs/integrators/events.md tells it."""
    headers = request.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, expected) for one in headers["webhook-signature"].split(" "))


async def secret_of(business: Business, subscription: str) -> str:
    return str((await business.provider.get(f"{HUB}/{subscription}/secret")).json()["secret"])


def test_the_example_of_the_standard_has_its_signature() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, the tests of its libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = signature_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_a_notification_is_signed_with_the_secret_of_its_registration(business: Business) -> None:
    listeners = Recorder()
    secret = await secret_of(business, await registered(business, ONE))
    listeners.answers[ONE] = [500]
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: len(listeners.requests) == 1 and clock_of(business).sleepers == 2)
        await clock_of(business).advance(business.limits.notification_backoff_max_s)
        await until(lambda: listeners.has_received(ONE, 1))
    first, again = listeners.requests
    assert verifies(first, secret)
    assert verifies(again, secret)
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == listeners.received[ONE][0]["eventId"]
    assert first.headers["webhook-timestamp"] < again.headers["webhook-timestamp"]
    other = await secret_of(business, await registered(business, "https://other.example/"))
    assert not verifies(first, other)
    forged = msgspec.structs.replace(first, body=first.body + b" ")
    assert not verifies(forged, secret)


async def test_an_exchanged_secret_is_good_for_a_while(business: Business) -> None:
    listeners = Recorder()
    subscription = await registered(business, ONE)
    old = await secret_of(business, subscription)
    async with dispatching(business, listeners):
        answer = await business.provider.post(f"{HUB}/{subscription}/secret")
        new = answer.json()["secret"]
        assert new != old
        assert "no-store" in answer.headers["cache-control"]
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1))
        assert verifies(listeners.requests[0], old)
        assert verifies(listeners.requests[0], new)
        await clock_of(business).advance(business.limits.webhook_secret_overlap_s)
        await made(business)
        await until(lambda: listeners.has_received(ONE, 2))
    assert verifies(listeners.requests[-1], new)
    assert not verifies(listeners.requests[-1], old)


async def test_a_registration_of_an_older_release_gets_a_secret_on_request(business: Business) -> None:
    listeners = Recorder()
    async with business.store.transaction() as tx:
        await subscriptions.add(tx, id="old", api="TMF620", callback=ONE, query="", subscriber="provider")
    assert (await business.provider.get(f"{HUB}/old/secret")).json() == {}
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1))
        secret = (await business.provider.post(f"{HUB}/old/secret")).json()["secret"]
        await made(business)
        await until(lambda: listeners.has_received(ONE, 2))
    assert "webhook-signature" not in listeners.requests[0].headers
    assert verifies(listeners.requests[1], secret)


async def test_a_secret_is_for_its_owner_and_stands_in_no_other_answer(business: Business) -> None:
    subscription = await registered(business, ONE)
    secret = await secret_of(business, subscription)
    for method in ("GET", "POST"):
        for client, status in (
            (business.anonymous, 401),
            (business.reader, 403),
            (business.nobody, 403),
            (business.other_provider, 404),
        ):
            for path in ("secret", "test") if method == "POST" else ("secret",):
                assert (await client.request(method, f"{HUB}/{subscription}/{path}")).status == status
    assert await secret_of(business, subscription) == secret
    for path in (HUB, f"{HUB}/{subscription}", f"{HUB}/{subscription}/deadLetter"):
        for client in (business.provider, business.operator):
            assert b"whsec" not in (await client.get(path)).body


@pytest.mark.parametrize("event_id", ["a\r\nx: y", "a.1.b", "ä", "", "x" * 500, "\ud800", "a b"])
def test_the_identifier_of_an_event_cannot_end_a_header_or_move_what_is_signed(event_id: str) -> None:
    identifier = message_id(event_id)
    assert identifier == message_id(event_id)
    assert identifier.startswith("msg_")
    assert identifier.replace("_", "").isalnum()


def with_listeners(business: Business, listeners: Any) -> AsgiClient:
    context = msgspec.structs.replace(business.context, to_listeners=listeners)
    return AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")


async def test_a_listener_is_sent_a_test_event_on_request(business: Business) -> None:
    listeners = Recorder()
    subscription = await registered(business, ONE)
    client = with_listeners(business, listeners)
    listeners.answers[ONE] = [204, 401, 0]
    outcomes = [(await client.post(f"{HUB}/{subscription}/test")).json() for _ in range(3)]
    assert outcomes == [
        {"delivered": True, "answered": 204},
        {"delivered": False, "problem": "listener-refused", "answered": 401},
        {"delivered": False, "problem": "listener-unreachable"},
    ]
    (event,) = listeners.received[ONE]
    assert event["eventType"] == "HubTestEvent"
    assert verifies(listeners.requests[0], await secret_of(business, subscription))
    state = (await business.provider.get(f"{HUB}/{subscription}")).json()["delivery"]
    assert (state["delivered"], state["failures"]) == (0, 0)


async def test_test_events_are_bounded(business: Business) -> None:
    class Full:
        async def send(self, _: HttpRequest) -> HttpResponse:
            answer = await client.post(f"{HUB}/{subscription}/test")
            statuses.append(answer.status)
            raise Unavailable(Code.RETRIEVAL_TIMEOUT, "No answer.")

    statuses: list[int] = []
    subscription = await registered(business, ONE)
    client = with_listeners(business, Full())
    assert (await client.post(f"{HUB}/{subscription}/test")).json()["problem"] == "listener-timeout"
    assert statuses == [429, 200, 200, 200]
    check_refused(await business.provider.post(f"{HUB}/{subscription}/test"), 503, "unavailable")
