"""One registration, or one row of the feed, that cannot be served harms itself alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hansa.business.hub import HubDispatcher
from hansa.business.hub.events import events_of
from hansa.business.hub.subscription_filter import SubscriptionFilter
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.node.allowed_origins import ListenerOrigins
from hansa.store.tables import subscriptions
from tests.support.business import CATALOG, Business, open_business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import (
    ONE,
    TWO,
    clock_of,
    dispatching,
    full_pauses,
    let_positions_be_written,
    registered,
)
from tests.unit.business.test_resources import check_refused, made

HUB = f"{CATALOG}/hub"
CALLBACK = "https://listener.example/events"
BAD_CALLBACKS = (
    "http://xn--/",
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    "http://[::1",
    "http://x.example:99999/",
    "http://bücher.example/",
    "http://u:p@x.example/",
    "\ud7ff",
    "",
)
BAD_QUERIES = (
    "nmae=x",
    "eventType=NoSuchEvent",
    "filter=$[",
    "event.productOffering.name.regex=(",
    "a=b;&&;",
)


async def registered_by_an_older_release(
    business: Business, number: int, *, callback: str = CALLBACK, query: str = "", api: str = "TMF620"
) -> str:
    async with business.store.transaction() as tx:
        added = await subscriptions.add(
            tx, id=f"old-{number}", api=api, callback=callback, query=query, subscriber="provider"
        )
    assert added is not None
    return added.id


async def state_of(business: Business, subscription_id: str) -> tuple[str, str | None]:
    subscription = await subscriptions.get(business.store, subscription_id)
    assert subscription is not None
    return subscription.state, subscription.problem


async def test_rows_that_no_release_should_have_taken_stop_nobody_else(business: Business) -> None:
    bad = [
        await registered_by_an_older_release(business, number, callback=callback)
        for number, callback in enumerate(BAD_CALLBACKS)
    ]
    bad += [
        await registered_by_an_older_release(business, 100 + number, query=query)
        for number, query in enumerate(BAD_QUERIES)
    ]
    bad.append(await registered_by_an_older_release(business, 200, api="TMF999"))
    await registered(business, ONE)
    listeners = Listeners()
    async with dispatching(business, listeners) as dispatcher:
        await registered(business, TWO)
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1) and listeners.has_received(TWO, 1))
        assert dispatcher.counts_by_state() == {"active": 2, "failing": 0, "paused": len(bad)}
        for one in bad:
            assert await state_of(business, one) == ("paused", "listener-unusable")
        assert (await business.provider.post(f"{HUB}/{bad[0]}/resume", {})).status == 200
        assert (await business.provider.delete(f"{HUB}/{bad[1]}")).status == 204
        await made(business)
        await until(lambda: listeners.has_received(ONE, 2) and listeners.has_received(TWO, 2))
        assert dispatcher.counts_by_state()["paused"] == len(bad) - 1
    assert await state_of(business, bad[0]) == ("paused", "listener-unusable")
    assert set(listeners.attempts) == {ONE, TWO}


async def test_callbacks_that_are_no_addresses_take_no_other_origin_away(business: Business) -> None:
    for number, callback in enumerate(BAD_CALLBACKS):
        await registered_by_an_older_release(business, number, callback=callback)
    await registered(business, ONE)
    origins = ListenerOrigins(business.store)
    assert await origins.has_origin("https://one.example:443")
    assert not await origins.has_origin("http://x.example:80")
    await registered(business, TWO)
    assert await origins.has_origin("https://two.example:443")


async def test_a_fault_of_ours_at_one_listener_makes_that_one_wait(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(business, ONE, "fields=event.productOffering.id")
    await registered(business, TWO)
    body_of = SubscriptionFilter.body_of

    def faulty(self: SubscriptionFilter, event: Any) -> bytes:
        if self.fields is not None:
            raise ZeroDivisionError
        return body_of(self, event)

    monkeypatch.setattr(SubscriptionFilter, "body_of", faulty)
    listeners = Listeners()
    async with dispatching(business, listeners) as dispatcher:
        for _ in range(3):
            await made(business)
        await until(lambda: listeners.has_received(TWO, 3))
        assert dispatcher.counts_by_state() == {"active": 1, "failing": 1, "paused": 0}
        assert not listeners.received[ONE]
        monkeypatch.undo()
        await until(lambda: clock_of(business).sleepers == 2)
        await clock_of(business).advance(business.limits.notification_backoff_max_s)
        await until(lambda: listeners.has_received(ONE, 3))


async def test_a_filter_that_cannot_tell_lets_the_event_through(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(business, ONE, "event.productOffering.version.gt=1")
    await registered(business, TWO)

    def faulty(*_: object) -> bool:
        raise RecursionError

    monkeypatch.setattr("hansa.business.hub.subscription_filter.matches", faulty)
    listeners = Listeners()
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1) and listeners.has_received(TWO, 1))
    assert listeners.names(ONE) == listeners.names(TWO) == ["ProductOfferingCreateEvent"]


async def test_a_row_of_which_no_event_can_be_made_is_passed_over(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(business, ONE)
    await registered(business, TWO, "event.productOffering.name=Object storage")
    faults = [1]

    def faulty(*arguments: Any) -> Any:
        if faults:
            faults.pop()
            raise KeyError
        return events_of(*arguments)

    monkeypatch.setattr("hansa.business.hub.feed.events_of", faulty)
    listeners = Listeners()
    async with dispatching(business, listeners):
        await made(business)
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1))
        assert not faults
        await made(business)
        await until(lambda: listeners.has_received(ONE, 2))


async def test_a_position_that_cannot_be_written_keeps_no_other_from_being_written(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await registered(business, ONE), await registered(business, TWO)
    save = subscriptions.save

    async def faulty(tx: Any, progress: Any, *rest: Any) -> None:
        if any(one.id == bad for one in progress):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        await save(tx, progress, *rest)

    monkeypatch.setattr(subscriptions, "save", faulty)
    listeners = Listeners()
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.has_received(ONE, 1) and listeners.has_received(TWO, 1))
        await let_positions_be_written(business)
        saved = await subscriptions.get(business.store, good)
        assert saved is not None
        assert saved.delivered == 1
        await made(business)
        await until(lambda: listeners.has_received(ONE, 2) and listeners.has_received(TWO, 2))


async def test_a_hub_that_ended_with_a_failure_of_the_store_delivers_when_it_is_run_again(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registered(business, ONE)
    listeners = Listeners()
    dispatcher = HubDispatcher(
        *(business.store, business.models, listeners, business.clock),
        *(full_pauses, business.limits, business.endpoint),
    )

    async def broken(_: object) -> subscriptions.Revision:
        raise Unavailable(Code.UNAVAILABLE, "The disk does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(subscriptions, "revision", broken)
        with pytest.raises(ExceptionGroup):
            await dispatcher.run()
    await made(business)
    task = asyncio.create_task(dispatcher.run())
    await made(business)
    await until(lambda: listeners.has_received(ONE, 2))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("callback", [one for one in BAD_CALLBACKS if one])
async def test_the_door_refuses_what_cannot_be_used(business: Business, callback: str) -> None:
    answer = await business.provider.post(HUB, {"callback": callback})
    assert "callback" in check_refused(answer, 400, "invalid")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254"])
async def test_the_door_refuses_a_private_address(business: Business, host: str) -> None:
    answer = await business.provider.post(HUB, {"callback": f"http://{host}/"})
    assert "public" in check_refused(answer, 400, "invalid")


async def test_readers_register_nothing_and_move_nothing(business: Business) -> None:
    subscription = await registered(business, ONE)
    for client, status in ((business.reader, 403), (business.nobody, 403), (business.anonymous, 401)):
        for path in ("", f"/{subscription}/resend", f"/{subscription}/resume"):
            answer = await client.post(HUB + path, {"callback": CALLBACK} if not path else {})
            assert answer.status == status
    check_refused(await business.nobody.get(HUB), 403, "forbidden")
    assert await subscriptions.callbacks(business.store) == {ONE}


async def test_one_subject_has_so_many_registrations_and_leaves_room_for_others() -> None:
    business = await open_business(limits=Limits(subscriptions_per_subject_max=2))
    for number in range(2):
        await registered(business, f"{CALLBACK}/{number}")
    refused = await business.provider.post(HUB, {"callback": CALLBACK})
    assert "subscriptions_per_subject_max" in check_refused(refused, 429, "overloaded")
    assert refused.headers["retry-after"] == "60"
    for number in range(3):
        answer = await business.operator.post(HUB, {"callback": f"{CALLBACK}/operator/{number}"})
        assert answer.status == 201
    await business.store.close()
