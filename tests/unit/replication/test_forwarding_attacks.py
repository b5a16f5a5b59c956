"""Attacks on forwarded writes: by strangers, holders of tokens, other members, and origins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.api.writes.receiving import WAITS_PER_MEMBER_MAX
from hansa.core.forwarding import DELEGATION_HEADER, WRITES_PATH, Actor, ForwardedWrite, OriginAnswer
from hansa.core.http import JSON
from hansa.core.limits import Limits
from tests.support.asgi import Response
from tests.support.forwarding import ForwardingLeague, forwarded, send, write_to
from tests.support.network import changed

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
CANCELLATIONS = "/tmf-api/productOrderingManagement/v4/cancelProductOrder"
RENAMED = {"name": "Renamed"}
ASYNC = {"prefer": "respond-async"}


@pytest.fixture
async def league() -> AsyncIterator[ForwardingLeague]:
    async with ForwardingLeague() as league:
        yield league


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


async def test_strangers_and_holders_of_tokens_forward_nothing(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    write = write_to(path, path.rpartition("/")[2])
    body = msgspec.json.encode(write)
    roles = Actor(frozenset({"provider"}))
    delegation = {DELEGATION_HEADER: other.delegations.delegation(origin.did, "0" * 64, roles, write, body)}
    operator = origin.client.with_headers(authorization="Bearer root:operator")
    for client, headers in (
        (origin.client, {}),
        (origin.client, delegation),
        (operator, {}),
        (operator, delegation),
    ):
        answer = await client.post(WRITES_PATH, body=body, headers={"content-type": JSON, **headers})
        assert code_of(answer) == (401, "unauthenticated")
    assert await origin.name_of(path) == "backup"


async def test_a_flood_of_one_member_is_bounded_and_holds_up_no_other() -> None:
    async with ForwardingLeague(3, limits=Limits(delegations_per_member_max=40)) as league:
        path = await league.shared_offering()
        entity_id = path.rpartition("/")[2]
        origin, flooding, third = league.members
        await origin.marketplace.stop()  # nothing is announced, so that no position comes
        writes = [write_to(path, entity_id, f"k{n}") for n in range(60)]
        flood = [asyncio.create_task(forwarded(league, flooding, one)) for one in writes]
        await league.league.run(0.5)
        answered = [task.result().status for task in flood if task.done()]
        assert (answered.count(200), answered.count(429)) == (40 - WAITS_PER_MEMBER_MAX, 20)
        await league.league.run(3)
        assert sorted(task.result().status for task in flood) == [200] * 40 + [429] * 20
        assert (await send(league, third, write_to(path, entity_id, "third"))).status == 200
        await league.league.run(2 * league.league.limits.request_age_max_s + 1, step_s=10.0)
        assert (await send(league, flooding, write_to(path, entity_id, "later"))).status == 200


async def test_a_monitor_shows_no_words_of_the_origin(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    said = msgspec.json.encode(OriginAnswer("our words", "our words", b"{}", "our words", position=7))
    for method, target in (("PATCH", RENAMED), ("DELETE", msgspec.UNSET)):
        league.league.network.faults[origin.marketplace.endpoint] = changed(lambda _: said)
        answer = await league.done(other.ada.request(method, path, target, headers=ASYNC))
        assert answer.status == 202, answer.body
        running = asyncio.create_task(other.queue.run())
        await league.league.run(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        monitor = answer.headers["location"].removeprefix(other.marketplace.endpoint)
        report = await other.ada.get(monitor)
        assert report.json()["state"] == "InProgress"
        assert b"our words" not in report.body + answer.body


async def test_no_task_reaches_what_the_member_may_not_have(league: ForwardingLeague) -> None:
    origin, other = league.members
    ordered = await origin.ada.post(ORDERS, {"productOrderItem": [{"id": "1", "action": "add"}]})
    assert ordered.status == 201, ordered.body
    answers = []
    for n, order_id in enumerate((ordered.json()["id"], "urn:ngsi-ld:product-order:none")):
        task = {"productOrder": {"id": order_id}, "cancellationReason": "none of theirs"}
        write = ForwardedWrite(
            *("POST", CANCELLATIONS, "TMF622", "CancelProductOrder", f"k{n}"),
            content=msgspec.json.encode(task),
        )
        answers.append(await send(league, other, write))
    assert [code_of(one) for one in answers] == [(404, "not-found")] * 2, answers[0].body
    assert (await origin.ada.get(f"{ORDERS}/{ordered.json()['id']}")).json()["state"] == "acknowledged"
    assert (await origin.ada.get(CANCELLATIONS)).json() == []
