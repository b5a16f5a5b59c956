"""Requests whose outcome a client looks at later."""

from __future__ import annotations

import msgspec

from tests.support.business import Business
from tests.unit.business.test_resources import OFFERINGS, check_refused

API = "/tmf-api/ServiceActivationAndConfiguration/v4"
SERVICE = {"state": "active", "name": "Line", "serviceSpecification": {"id": "s", "@referredType": "S"}}
ASYNC = {"prefer": "wait=10, respond-async"}


async def test_a_client_that_prefers_not_to_wait_gets_a_monitor(business: Business) -> None:
    answer = await business.provider.post(f"{API}/service", SERVICE, headers=ASYNC)
    assert answer.status == 202, answer.body
    assert answer.headers["preference-applied"] == "respond-async"
    address = answer.headers["link"].partition(">")[0].removeprefix("<")
    monitor = (await business.reader.get(address.removeprefix(business.endpoint))).json()
    assert monitor["state"] == "Completed"
    assert monitor["sourceHref"] == answer.headers["location"]
    assert msgspec.json.decode(monitor["request"]["body"]) == SERVICE
    assert monitor["response"]["statusCode"] == "201"
    service = await business.reader.get(answer.headers["location"].removeprefix(business.endpoint))
    assert service.json() == msgspec.json.decode(monitor["response"]["body"])


async def test_a_monitor_tells_of_a_write_that_was_refused(business: Business) -> None:
    answer = await business.provider.post(f"{API}/service", {"name": 7}, headers=ASYNC)
    assert answer.status == 202
    monitor = (await business.reader.get(answer.headers["location"].removeprefix(business.endpoint))).json()
    assert (monitor["state"], monitor["response"]["statusCode"]) == ("InError", "400")
    assert msgspec.json.decode(monitor["response"]["body"])["code"] == "invalid"


async def test_a_request_that_nobody_may_make_leaves_no_monitor(business: Business) -> None:
    check_refused(await business.reader.post(f"{API}/service", SERVICE, headers=ASYNC), 403, "forbidden")
    assert (await business.reader.get(f"{API}/monitor")).json() == []


async def test_no_secret_of_the_request_is_stored(business: Business) -> None:
    answer = await business.provider.post(f"{API}/service", SERVICE, headers=ASYNC)
    address = answer.headers["link"].partition(">")[0].removeprefix("<")
    assert b"Bearer" not in (await business.reader.get(address.removeprefix(business.endpoint))).body


async def test_nobody_writes_monitors(business: Business) -> None:
    check_refused(await business.operator.post(f"{API}/monitor", {}), 405, "method-not-allowed")


async def test_where_there_are_no_monitors_the_answer_comes_at_once(business: Business) -> None:
    assert (await business.provider.post(OFFERINGS, {"name": "x"}, headers=ASYNC)).status == 201
