"""Writes under idempotency keys: carried out once, however often they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store.tables.writes import idempotency
from tests.support.asgi import Response
from tests.support.business import Business, open_business
from tests.unit.business.test_resources import OFFERINGS, check_refused

KEY = {"idempotency-key": "order-1"}
OFFER = {"name": "Backup"}


async def total(business: Business) -> int:
    return int((await business.reader.get(OFFERINGS)).headers["x-total-count"])


def said(answer: Response) -> tuple[int, bytes, str | None, str | None]:
    return answer.status, answer.body, answer.headers.get("location"), answer.headers.get("etag")


async def test_a_create_that_is_repeated_creates_once_and_is_answered_alike(business: Business) -> None:
    first = await business.provider.post(OFFERINGS, OFFER, headers=KEY)
    assert first.status == 201
    assert said(await business.provider.post(OFFERINGS, OFFER, headers=KEY)) == said(first)
    quoted = {"idempotency-key": '"order-1"'}
    assert said(await business.provider.post(OFFERINGS, OFFER, headers=quoted)) == said(first)
    assert await total(business) == 1


async def test_creates_under_one_key_that_arrive_together_create_once(business: Business) -> None:
    answers = await asyncio.gather(
        *(business.provider.post(OFFERINGS, OFFER, headers=KEY) for _ in range(50))
    )
    assert {said(answer) for answer in answers} == {said(answers[0])}
    assert answers[0].status == 201
    assert await total(business) == 1


async def test_changes_and_deletions_are_repeated_without_effect(business: Business) -> None:
    created = await business.provider.post(OFFERINGS, OFFER)
    path = f"{OFFERINGS}/{created.json()['id']}"
    headers = {**KEY, "if-match": created.headers["etag"]}
    first = await business.provider.patch(path, {"name": "Other"}, headers=headers)
    assert first.status == 200
    assert said(await business.provider.patch(path, {"name": "Other"}, headers=headers)) == said(first)
    replaced = {"idempotency-key": "put"}
    put = await business.provider.request("PUT", path, {"name": "Third"}, headers=replaced)
    assert said(await business.provider.request("PUT", path, {"name": "Third"}, headers=replaced)) == said(
        put
    )
    gone = {"idempotency-key": "delete"}
    assert (await business.provider.delete(path, headers=gone)).status == 204
    assert (await business.provider.delete(path, headers=gone)).status == 204
    assert (await business.provider.delete(path)).status == 404


async def test_a_patch_of_the_collection_is_repeated_without_effect(business: Business) -> None:
    headers = {**KEY, "content-type": "application/json-patch+json"}
    patch = [{"op": "add", "path": "/", "value": {"name": f"n{n}"}} for n in range(3)]
    first = await business.provider.patch(OFFERINGS, patch, headers=headers)
    assert first.status == 200, first.body
    assert said(await business.provider.patch(OFFERINGS, patch, headers=headers)) == said(first)
    assert await total(business) == 3


async def test_a_key_is_for_one_request_of_one_caller(business: Business) -> None:
    assert (await business.provider.post(OFFERINGS, OFFER, headers=KEY)).status == 201
    for method, path, body in (
        ("POST", OFFERINGS, {"name": "Other"}),
        ("POST", f"{OFFERINGS}?fields=id", OFFER),
        ("POST", OFFERINGS.replace("productOffering", "category"), OFFER),
    ):
        answer = await business.provider.request(method, path, body, headers=KEY)
        check_refused(answer, 422, "idempotency-key-reused")
    assert (await business.other_provider.post(OFFERINGS, {"name": "Other"}, headers=KEY)).status == 201
    assert await total(business) == 2


async def test_a_refused_write_takes_no_key(business: Business) -> None:
    check_refused(await business.provider.post(OFFERINGS, {"name": 7}, headers=KEY), 400, "invalid")
    assert (await business.provider.post(OFFERINGS, OFFER, headers=KEY)).status == 201


@pytest.mark.parametrize("key", ["", '""', "k" * 257, "a b", 'a"b', "ä"])
async def test_what_is_no_key_is_refused(business: Business, key: str) -> None:
    headers = {"idempotency-key": key}
    check_refused(await business.provider.post(OFFERINGS, OFFER, headers=headers), 400, "invalid")
    assert await total(business) == 0


async def test_a_result_outlasts_a_restart_and_ends_with_its_time(tmp_path: Path) -> None:
    clock, limits = ManualClock(), Limits(idempotency_lifetime_s=60.0)
    opened = await open_business(tmp_path / "store.db", clock=clock, limits=limits)
    first = await opened.provider.post(OFFERINGS, OFFER, headers=KEY)
    await opened.store.close()
    opened = await open_business(tmp_path / "store.db", clock=clock, limits=limits)
    assert said(await opened.provider.post(OFFERINGS, OFFER, headers=KEY)) == said(first)
    await clock.advance(61)
    path = f"{OFFERINGS}/{first.json()['id']}"
    assert (await opened.provider.patch(path, {"name": "Other"}, headers=KEY)).status == 200
    assert (await idempotency.account(opened.store, idempotency.ALL)).keys == 1
    await opened.store.close()


class SteppingClock(ManualClock):
    """A clock whose time of day steps."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = timedelta()

    def now(self) -> datetime:
        """The time of day, UTC."""
        return super().now() + self.offset


@pytest.mark.parametrize("steps_h", [(25,), (-25, 0), (-25, 25), (1000, -1000)])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
async def test_no_step_of_the_time_of_day_ends_a_key(
    tmp_path: Path, steps_h: tuple[int, ...], *, is_restarted: bool
) -> None:
    clock = SteppingClock()
    opened = await open_business(tmp_path / "store.db", clock=clock)
    answers = [said(await opened.provider.post(OFFERINGS, OFFER, headers=KEY))]
    for step_h in steps_h:
        clock.offset = timedelta(hours=step_h)
        if is_restarted:
            await opened.store.close()
            opened = await open_business(tmp_path / "store.db", clock=clock)
        other = {"idempotency-key": f"other-{step_h}"}
        offer = OFFER | {"id": f"urn:ngsi-ld:product-offering:at{step_h}"}
        assert (await opened.provider.post(OFFERINGS, offer, headers=other)).status == 201
        answers.append(said(await opened.provider.post(OFFERINGS, OFFER, headers=KEY)))
    assert answers == [answers[0]] * len(answers)
    assert await total(opened) == 1 + len(steps_h)
    await opened.store.close()


@pytest.fixture
async def narrow() -> AsyncIterator[Business]:
    limits = Limits(idempotency_keys_per_caller_max=10, idempotency_per_caller_max_bytes=1_000_000)
    opened = await open_business(limits=limits)
    yield opened
    await opened.store.close()


async def test_a_caller_that_uses_up_its_keys_stops_only_itself_and_evicts_none(narrow: Business) -> None:
    first = await narrow.provider.post(OFFERINGS, OFFER, headers=KEY)
    answers = [
        await narrow.provider.post(OFFERINGS, OFFER, headers={"idempotency-key": f"k{n}"}) for n in range(30)
    ]
    assert [answer.status for answer in answers] == [201] * 9 + [429] * 21
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3600
    assert await total(narrow) == 10
    assert said(await narrow.provider.post(OFFERINGS, OFFER, headers=KEY)) == said(first)
    assert (await narrow.provider.post(OFFERINGS, OFFER)).status == 201
    assert (await narrow.other_provider.post(OFFERINGS, OFFER, headers=KEY)).status == 201


async def test_large_results_are_remembered_by_their_identity(narrow: Business) -> None:
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(60_000))
    first = await narrow.provider.post(OFFERINGS, {"name": "x", "description": noise}, headers=KEY)
    assert first.status == 201
    again = await narrow.provider.post(OFFERINGS, {"name": "x", "description": noise}, headers=KEY)
    assert (again.status, again.headers["etag"]) == (201, first.headers["etag"])
    assert again.json().keys() == {"id", "href", "@type"}
    assert (await idempotency.account(narrow.store, idempotency.ALL)).size_bytes < 1000
