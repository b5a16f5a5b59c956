"""Task resources: what they do to what they are about, in one transaction, or that they could not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.business import Business

ORDERS = "/tmf-api/productOrderingManagement/v4"
ALARMS = "/tmf-api/alarm/v4"
BALANCES = "/tmf-api/prepayBalanceManagement/v4"
STOCK = "/tmf-api/stock/v4"
PROBLEMS = "/tmf-api/serviceProblemManagement/v4"
INCIDENTS = "/tmf-api/Incident/v4"

Body = dict[str, Any]


async def created(business: Business, path: str, body: Body) -> Body:
    answer = await business.operator.post(path, json=body)
    assert answer.status < 300, answer.body
    found: Body = answer.json()
    return found


async def read(business: Business, path: str) -> Body:
    answer = await business.operator.get(path)
    assert answer.status == 200, answer.body
    found: Body = answer.json()
    return found


async def operations(business: Business, entity_id: str) -> list[str]:
    return [one.operation for one in await business.store.changes(0, 1000) if one.entity_id == entity_id]


async def an_order(business: Business, **attributes: Any) -> Body:
    item = {"id": "1", "action": "add", "quantity": 1}
    return await created(business, f"{ORDERS}/productOrder", {"productOrderItem": [item], **attributes})


async def test_cancelling_an_order_sets_its_state_and_ends_the_task(business: Business) -> None:
    order = await an_order(business)
    task = await created(business, f"{ORDERS}/cancelProductOrder", {"productOrder": {"id": order["id"]}})
    assert task["state"] == "done"
    assert task["effectiveCancellationDate"].startswith("2026-01-01T00:00:00")
    assert (await read(business, f"{ORDERS}/productOrder/{order['id']}"))["state"] == "cancelled"
    assert await operations(business, task["id"]) == ["create", "state"]
    assert await operations(business, order["id"]) == ["create", "state"]


async def test_an_order_that_cannot_be_cancelled_any_more_stays_as_it_is(business: Business) -> None:
    order = await an_order(business)
    path = f"{ORDERS}/productOrder/{order['id']}"
    assert (await business.operator.patch(path, json={"state": "completed"})).status == 200
    task = await created(business, f"{ORDERS}/cancelProductOrder", {"productOrder": {"id": order["id"]}})
    assert task["state"] == "terminatedWithError"
    assert (await read(business, path))["state"] == "completed"


async def test_a_task_about_an_order_that_is_not_here_fails(business: Business) -> None:
    task = await created(business, f"{ORDERS}/cancelProductOrder", {"productOrder": {"id": "nowhere"}})
    assert task["state"] == "terminatedWithError"


async def test_a_task_whose_time_has_not_come_waits(business: Business) -> None:
    order = await an_order(business)
    body = {"productOrder": {"id": order["id"]}, "requestedCancellationDate": "2026-01-01T01:00:00+00:00"}
    task = await created(business, f"{ORDERS}/cancelProductOrder", body)
    assert task["state"] == "acknowledged"
    assert (await read(business, f"{ORDERS}/productOrder/{order['id']}"))["state"] == "acknowledged"


async def an_alarm(business: Business, **attributes: Any) -> Body:
    body = {
        "alarmRaisedTime": "2026-01-01T00:00:00Z",
        "alarmType": "communicationsAlarm",
        "perceivedSeverity": "major",
        "probableCause": "cable",
        "sourceSystemId": "probe",
        "state": "raised",
        "alarmedObject": {"id": "port"},
        **attributes,
    }
    return await created(business, f"{ALARMS}/alarm", body)


async def test_a_pattern_means_every_alarm_with_its_attributes(business: Business) -> None:
    one, two = await an_alarm(business), await an_alarm(business)
    other = await an_alarm(business, probableCause="power")
    body = {"ackSystemId": "desk", "ackUserId": "ann", "alarmPattern": [{"probableCause": "cable"}]}
    task = await created(business, f"{ALARMS}/ackAlarms", body)
    assert task["state"] == "done"
    assert [ref["href"] for ref in task["ackedAlarm"]] == [one["href"], two["href"]]
    acked = [await read(business, f"{ALARMS}/alarm/{alarm['id']}") for alarm in (one, two, other)]
    assert [alarm.get("ackState") for alarm in acked] == ["acknowledged", "acknowledged", None]
    assert acked[0]["ackUserId"] == "ann"


async def test_alarms_are_cleared_commented_and_grouped(business: Business) -> None:
    parent, child = await an_alarm(business), await an_alarm(business)
    pattern = [{"id": child["id"]}]
    comment = {"comment": "a spade", "userId": "ann"}
    await created(business, f"{ALARMS}/commentAlarms", {"alarmPattern": pattern, "comment": comment})
    group = {
        "alarmChangedTime": "2026-01-01T00:00:01Z",
        "sourceSystemId": "desk",
        "correlatedAlarm": [{"id": child["id"]}],
        "parentAlarm": {"id": parent["id"]},
    }
    await created(business, f"{ALARMS}/groupAlarms", group)
    clear = {
        "alarmClearedTime": "2026-01-01T00:00:02Z",
        "clearSystemId": "desk",
        "clearUserId": "ann",
        "alarmPattern": pattern,
    }
    assert (await created(business, f"{ALARMS}/clearAlarms", clear))["state"] == "done"
    after = await read(business, f"{ALARMS}/alarm/{child['id']}")
    assert after["comment"] == [comment]
    assert after["parentAlarm"] == [{"id": parent["id"]}]
    assert (after["state"], after["perceivedSeverity"]) == ("cleared", "cleared")
    above = await read(business, f"{ALARMS}/alarm/{parent['id']}")
    assert above["correlatedAlarm"] == [{"id": child["id"]}]
    await created(business, f"{ALARMS}/unGroupAlarms", group)
    assert (await read(business, f"{ALARMS}/alarm/{child['id']}"))["parentAlarm"] == []


async def a_bucket(business: Business, amount: float) -> str:
    body = {"usageType": "monetary", "remainingValue": {"amount": amount, "units": "EUR"}}
    return str((await created(business, f"{BALANCES}/bucket", body))["id"])


async def test_a_transfer_between_balances_is_exact_and_whole(business: Business) -> None:
    source, target = await a_bucket(business, 10.3), await a_bucket(business, 0)
    body = {
        "reason": "gift",
        "amount": {"amount": 0.1, "units": "EUR"},
        "bucket": {"id": source},
        "receiverBucket": {"id": target},
        "channel": {"id": "1"},
        "logicalResource": [{"id": "1"}],
        "receiverBucketUsageType": "monetary",
        "receiverLogicalResource": {"id": "2"},
        "usageType": "monetary",
    }
    task = await created(business, f"{BALANCES}/transferBalance", body)
    assert task["status"] == "completed"
    task = await created(
        business, f"{BALANCES}/transferBalance", {**body, "amount": {"amount": 99, "units": "EUR"}}
    )
    assert task["status"] == "failed"
    left = await read(business, f"{BALANCES}/bucket/{source}")
    come = await read(business, f"{BALANCES}/bucket/{target}")
    assert left["remainingValue"] == {"amount": 10.2, "units": "EUR"}
    assert come["remainingValue"] == {"amount": 0.1, "units": "EUR"}


@pytest.mark.parametrize(("quantity", "state", "left"), [(2, "done", 3), (9, "terminatedWithError", 5)])
async def test_stock_is_reserved_when_there_is_enough(
    business: Business, quantity: int, state: str, left: int
) -> None:
    stock = {
        "productStockLevel": {"amount": 5},
        "productStockStatusType": "available",
        "stockedProduct": {"id": "p"},
    }
    stock_id = (await created(business, f"{STOCK}/productStock", stock))["id"]
    item = {
        "id": "1",
        "productStockRequested": {"id": stock_id},
        "quantityRequested": {"amount": quantity},
        "requestedProduct": {"id": "p"},
    }
    task = await created(business, f"{STOCK}/reserveProductStock", {"reserveProductStockItem": [item]})
    assert task["reserveProductStockState"] == state
    level = (await read(business, f"{STOCK}/productStock/{stock_id}"))["productStockLevel"]
    assert level["amount"] == left
    if state == "done":
        reserved = task["reserveProductStockItem"][0]
        assert reserved["quantityReserved"] == {"amount": quantity}
        assert reserved["reserveProductStockState"] == "done"


async def test_a_task_without_a_state_says_what_it_did(business: Business) -> None:
    problem = {
        "category": "c",
        "description": "d",
        "priority": 1,
        "reason": "r",
        "originatorParty": {"id": "1", "@referredType": "Individual"},
    }
    problem_id = (await created(business, f"{PROBLEMS}/serviceProblem", problem))["id"]
    body = {"problem": [{"id": problem_id}, {"id": "nowhere"}], "trackingRecord": {"description": "seen"}}
    task = await created(business, f"{PROBLEMS}/problemAcknowledgement", body)
    assert [one["id"] for one in task["ackProblem"]] == [problem_id]
    after = await read(business, f"{PROBLEMS}/serviceProblem/{problem_id}")
    assert [record["description"] for record in after["trackingRecord"]] == ["seen"]


async def test_a_failed_task_says_why(business: Business) -> None:
    task = await created(business, f"{INCIDENTS}/resolveIncident", {"incident": {"id": "nowhere"}})
    assert task["state"] == "terminatedWithError"
    assert "nowhere" in task["errorLog"]
