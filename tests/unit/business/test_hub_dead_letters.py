"""Dead letters, listeners that are paused, and how they are served again."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hansa.core.limits import Limits
from tests.support.business import CATALOG, Business, open_business
from tests.support.conditions import until
from tests.support.listeners import Listeners
from tests.unit.business.test_notifications import (
    HUB,
    ONE,
    TWO,
    clock_of,
    dispatching,
    let_positions_be_written,
    registered,
)
from tests.unit.business.test_resources import check_refused, made


async def delivery(business: Business, subscription: str) -> dict[str, Any]:
    """How the delivery to a listener goes, after that was written."""
    await let_positions_be_written(business)
    shown = (await business.provider.get(f"{HUB}/{subscription}")).json()
    state: dict[str, Any] = shown["delivery"]
    return state


async def dead_letters(business: Business, subscription: str) -> list[dict[str, Any]]:
    """Dead letters of a registration, after they were written."""
    await let_positions_be_written(business)
    answer = await business.provider.get(f"{HUB}/{subscription}/deadLetter")
    assert answer.status == 200
    assert answer.headers["x-total-count"] == str(len(answer.json()))
    letters: list[dict[str, Any]] = answer.json()
    return letters


def received_names(listeners: Listeners, url: str = ONE) -> list[str]:
    """Names of the offerings in the events that a listener received, in order."""
    return [event["event"]["productOffering"]["name"] for event in listeners.received[url]]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 422])
async def test_an_event_that_is_refused_becomes_a_dead_letter_and_the_next_one_is_sent(
    business: Business, status: int
) -> None:
    listeners = Listeners()
    listeners.answers[ONE] = [status]
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        first = await made(business, name="first")
        await made(business, name="second")
        await until(lambda: received_names(listeners) == ["second"])
        (letter,) = await dead_letters(business, subscription)
        assert letter == {
            "eventId": letter["eventId"],
            "eventType": "ProductOfferingCreateEvent",
            "time": "2026-01-01T00:00:00.000Z",
            "attempts": 1,
            "problem": "listener-refused",
            "answered": status,
            "isDue": False,
        }
        assert await delivery(business, subscription) == {
            "state": "active",
            "delivered": 1,
            "failures": 0,
            "pending": 0,
            "deadLetters": 1,
            "deadLettersDropped": 0,
        }
        answer = await business.provider.post(f"{HUB}/{subscription}/resend", {"eventId": letter["eventId"]})
        assert (answer.status, answer.json()["id"]) == (202, subscription)
        await let_positions_be_written(business)
        await until(lambda: received_names(listeners) == ["second", "first"])
        again = listeners.received[ONE][1]
        assert (again["eventId"], again["event"]["productOffering"]["id"]) == (letter["eventId"], first["id"])
        assert await dead_letters(business, subscription) == []


async def test_an_event_at_which_a_listener_fails_again_and_again_becomes_a_dead_letter(
    business: Business,
) -> None:
    listeners, clock = Listeners(), clock_of(business)
    attempts = business.limits.notification_attempts_max
    listeners.answers[ONE] = [500] * attempts
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business, name="first")
        await made(business, name="second")
        for attempt in range(1, attempts):
            await until(partial(listeners.was_tried, ONE, attempt))
            await until(lambda: clock.sleepers == 2)
            await clock.advance(business.limits.notification_backoff_max_s)
        await until(lambda: received_names(listeners) == ["second"])
        (letter,) = await dead_letters(business, subscription)
    assert (letter["attempts"], letter["problem"], letter["answered"]) == (attempts, "listener-failed", 500)


@pytest.mark.parametrize("status", [0, 408, 425, 429, 502, 503, 504])
async def test_a_listener_that_is_away_loses_nothing_and_is_paused_in_the_end(status: int) -> None:
    business = await open_business(limits=Limits(listener_dead_after_s=1000))
    listeners, clock = Listeners(), clock_of(business)
    listeners.answers[ONE] = [status] * 1000
    subscription = await registered(business, ONE)
    await registered(business, TWO)
    async with dispatching(business, listeners) as dispatcher:
        for name in ("first", "second", "third"):
            await made(business, name=name)
        for _ in range(60):
            await clock.advance(30)
        await until(lambda: dispatcher.counts_by_state()["paused"] == 1)
        attempts = listeners.attempts[ONE]
        shown = await delivery(business, subscription)
        assert shown["state"] == "paused"
        assert shown["failures"] == attempts
        assert shown["failingSince"] == "2026-01-01T00:00:00.000Z"
        assert shown["deadLetters"] == 0
        assert shown["problem"].startswith("listener-")
        assert shown.get("answered", 0) == status
        await made(business, name="fourth")
        await until(lambda: len(listeners.received[TWO]) == 4)
        await clock.advance(10_000)
        assert listeners.attempts[ONE] == attempts
        paused = await business.provider.get(f"{HUB}?state=paused")
        assert [one["id"] for one in paused.json()] == [subscription]

        listeners.answers[ONE].clear()
        answer = await business.provider.post(f"{HUB}/{subscription}/resume", {})
        assert (answer.status, answer.json()["delivery"]["state"]) == (200, "active")
        await let_positions_be_written(business)
        await until(lambda: received_names(listeners) == ["first", "second", "third", "fourth"])
        assert (await delivery(business, subscription))["state"] == "active"
    await business.store.close()


async def test_a_listener_that_refuses_everything_is_paused() -> None:
    business = await open_business(limits=Limits(refusals_in_row_max=3))
    listeners = Listeners()
    listeners.answers[ONE] = [404] * 3
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners) as dispatcher:
        for number in range(5):
            await made(business, name=str(number))
        await until(lambda: dispatcher.counts_by_state()["paused"] == 1)
        shown = await delivery(business, subscription)
        assert (shown["state"], shown["deadLetters"], shown["answered"]) == ("paused", 3, 404)
        await business.provider.post(f"{HUB}/{subscription}/resend", {})
        await business.provider.post(f"{HUB}/{subscription}/resume", {})
        await let_positions_be_written(business)
        await until(lambda: received_names(listeners) == ["0", "1", "2", "3", "4"])
    await business.store.close()


async def test_a_dead_letter_that_is_refused_again_stays(business: Business) -> None:
    listeners = Listeners()
    listeners.answers[ONE] = [400, 400]
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.attempts[ONE] == 1)
        await dead_letters(business, subscription)
        assert (await business.operator.request("POST", f"{HUB}/{subscription}/resend")).status == 202
        await let_positions_be_written(business)
        await until(lambda: listeners.attempts[ONE] == 2)
        (letter,) = await dead_letters(business, subscription)
        assert (letter["attempts"], letter["isDue"]) == (2, False)


async def test_a_dead_letter_that_is_dropped_while_it_is_sent_again_repeats_nothing(
    business: Business,
) -> None:
    listeners = Listeners()
    listeners.answers[ONE] = [400]
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business, name="first")
        await made(business, name="second")
        await until(lambda: received_names(listeners) == ["second"])
        assert len(await dead_letters(business, subscription)) == 1
        listeners.silent[ONE] = asyncio.Event()
        await business.provider.post(f"{HUB}/{subscription}/resend", {})
        await let_positions_be_written(business)
        await until(lambda: listeners.attempts[ONE] == 3)
        async with business.store.transaction() as tx:
            await tx.sql.execute("DELETE FROM dead_letter")
        await business.provider.post(f"{HUB}/{subscription}/resend", {})
        await let_positions_be_written(business)
        listeners.silent.pop(ONE).set()
        await until(lambda: received_names(listeners) == ["second", "first"])
        await made(business, name="third")
        await until(lambda: len(received_names(listeners)) >= 3)
        assert received_names(listeners) == ["second", "first", "third"]
        assert (await delivery(business, subscription))["state"] == "active"


async def test_the_number_of_dead_letters_is_bounded_and_the_oldest_make_room() -> None:
    business = await open_business(limits=Limits(dead_letters_max=2, refusals_in_row_max=100))
    listeners = Listeners()
    listeners.answers[ONE] = [400] * 5
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        ids = [(await made(business, name=str(number)))["id"] for number in range(6)]
        await until(lambda: listeners.received[ONE])
        retained = await dead_letters(business, subscription)
        shown = await delivery(business, subscription)
        assert (len(retained), shown["deadLetters"], shown["deadLettersDropped"]) == (2, 2, 3)
        await business.provider.post(f"{HUB}/{subscription}/resend", {})
        await let_positions_be_written(business)
        await until(lambda: len(listeners.received[ONE]) == 3)
    received = [event["event"]["productOffering"]["id"] for event in listeners.received[ONE]]
    assert received == [ids[5], ids[3], ids[4]]
    await business.store.close()


async def test_dead_letters_and_pauses_outlive_a_restart(tmp_path: Path) -> None:
    limits = Limits(refusals_in_row_max=1)
    business, listeners = await open_business(tmp_path / "store.db", limits=limits), Listeners()
    listeners.answers[ONE] = [400]
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners) as dispatcher:
        await made(business, name="first")
        await until(lambda: dispatcher.counts_by_state()["paused"] == 1)
    await business.store.close()

    reopened = await open_business(tmp_path / "store.db", limits=limits)
    await made(reopened, id="second", name="second")
    async with dispatching(reopened, listeners) as dispatcher:
        await until(lambda: dispatcher.counts_by_state()["paused"] == 1)
        await reopened.provider.post(f"{HUB}/{subscription}/resend", {})
    async with dispatching(reopened, listeners):
        assert listeners.received[ONE] == []
        await reopened.provider.post(f"{HUB}/{subscription}/resume", {})
        await let_positions_be_written(reopened)
        await until(lambda: received_names(listeners) == ["first", "second"])
    await reopened.store.close()


async def test_dead_letters_and_requests_are_for_the_subscriber_and_the_operator(business: Business) -> None:
    subscription = await registered(business, ONE)
    here = f"{HUB}/{subscription}"
    for method, target in (("GET", "deadLetter"), ("POST", "resend"), ("POST", "resume")):
        body: dict[str, Any] | None = {} if method == "POST" else None
        anonymous = await business.anonymous.request(method, f"{here}/{target}", body)
        check_refused(anonymous, 401, "unauthenticated")
        other = await business.other_provider.request(method, f"{here}/{target}", body)
        check_refused(other, 404, "not-found")
        assert (await business.operator.request(method, f"{here}/{target}", body)).status in {200, 202}
        gone = await business.operator.request(method, f"{HUB}/none/{target}", body)
        check_refused(gone, 404, "not-found")
    check_refused(await business.provider.post(f"{here}/resend", {"eventId": "none"}), 404, "not-found")
    check_refused(await business.provider.post(f"{here}/resend", {"eventId": 7}), 400, "invalid")
    check_refused(await business.provider.post(f"{here}/resend", {"id": "x"}), 400, "invalid")
    check_refused(await business.provider.get(f"{HUB}?state=tired"), 400, "invalid")
    check_refused(await business.provider.delete(f"{here}/deadLetter"), 405, "method-not-allowed")


async def test_a_registration_takes_its_dead_letters_with_it(business: Business) -> None:
    listeners = Listeners()
    listeners.answers[ONE] = [400]
    subscription = await registered(business, ONE)
    async with dispatching(business, listeners):
        await made(business)
        await until(lambda: listeners.attempts[ONE] == 1)
        assert len(await dead_letters(business, subscription)) == 1
        await business.provider.delete(f"{HUB}/{subscription}")
    assert await business.store.sql.fetch("SELECT count(*) FROM dead_letter") == [(0,)]


async def test_events_stay_in_order_for_listeners_with_the_same_query(business: Business) -> None:
    listeners, clock = Listeners(), clock_of(business)
    urls = [f"https://same-{number}.example/" for number in range(20)]
    for number, url in enumerate(urls):
        listeners.answers[url] = [503] * (number % 3)
        await registered(business, url, "eventType=ProductOfferingCreateEvent")
    async with dispatching(business, listeners):
        for number in range(40):
            await made(business, name=str(number))
            await made(business, f"{CATALOG}/category")
        for _ in range(5):
            await clock.advance(2)
        await until(lambda: all(len(listeners.received[url]) == 40 for url in urls))
    assert all(received_names(listeners, url) == [str(number) for number in range(40)] for url in urls)
