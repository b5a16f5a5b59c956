"""What the marketplace sets in entities, and where the client's word stands."""

from __future__ import annotations

from typing import Any

from hansa.core.clock import ManualClock
from tests.support.business import open_business
from tests.support.examples import full_body

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
TICKETS = "/tmf-api/troubleTicket/v4/troubleTicket"
SERVICES = "/tmf-api/serviceInventory/v4/service"
SPECIFICATION = {"id": "s1", "name": "Storage"}


async def made(path: str, body: dict[str, Any], *patches: dict[str, Any]) -> list[dict[str, Any]]:
    """The entity after its create and after each patch, a minute apart."""
    clock = ManualClock()
    business = await open_business(clock=clock)
    answer = await business.operator.post(path, body)
    assert answer.status == 201, answer.body
    found = [answer.json()]
    for patch in patches:
        await clock.advance(60)
        answer = await business.operator.patch(f"{path}/{found[0]['id']}", patch)
        assert answer.status == 200, answer.body
        found.append(answer.json())
    await business.store.close()
    return found


async def test_an_order_and_its_items_begin_acknowledged() -> None:
    first, second = await made(
        ORDERS,
        {"productOrderItem": [{"id": "1", "action": "add"}, {"id": "2", "action": "add", "state": "held"}]},
        {
            "productOrderItem": [
                {"id": "1", "action": "add", "state": "inProgress"},
                {"id": "3", "action": "add"},
            ]
        },
    )
    assert first["state"] == "acknowledged"
    assert first["orderDate"].endswith("Z")
    assert [item["state"] for item in first["productOrderItem"]] == ["acknowledged", "held"]
    assert [item["state"] for item in second["productOrderItem"]] == ["inProgress", "acknowledged"]


async def test_the_date_of_a_status_follows_the_status() -> None:
    ticket = {"description": "No light", "severity": "high", "ticketType": "outage"}
    first, second, third = await made(TICKETS, ticket, {"severity": "low"}, {"status": "inProgress"})
    assert first["statusChangeDate"] == second["statusChangeDate"] == first["creationDate"]
    assert third["statusChangeDate"] == third["lastUpdate"] > second["lastUpdate"] > first["lastUpdate"]
    assert third["creationDate"] == first["creationDate"]


async def test_a_date_that_a_create_may_hold_is_the_clients_to_say() -> None:
    brought = {"state": "active", "serviceSpecification": SPECIFICATION, "serviceDate": "2019-05-01"}
    here = {"state": "active", "serviceSpecification": SPECIFICATION}
    assert (await made(SERVICES, brought))[0]["serviceDate"] == "2019-05-01"
    assert (await made(SERVICES, here))[0]["serviceDate"].endswith("Z")


async def test_dates_of_the_marketplace_are_set_whatever_a_body_says() -> None:
    order = {"productOrderItem": [{"id": "1", "action": "add"}], "orderDate": "2001-01-01T00:00:00Z"}
    first, second = await made(ORDERS, order, {"orderDate": "2002-01-01T00:00:00Z", "description": "new"})
    assert first["orderDate"] == second["orderDate"] > "2002"


async def test_the_marketplaces_own_systems_say_what_others_only_read() -> None:
    business = await open_business()
    payments, buckets = "/payment/v4/payment", "/tmf-api/prepayBalanceManagement/v4/bucket"
    api, resource = business.models.served("Payment")
    body = full_body(api, resource)
    assert (await business.provider.post(payments, {**body, "status": "done"})).status == 400
    payment = f"{payments}/{(await business.provider.post(payments, body)).json()['id']}"
    assert (await business.provider.patch(payment, {"status": "done"})).status == 405
    assert (await business.operator.patch(payment, {"status": "done"})).json()["status"] == "done"
    assert (await business.operator.patch(payment, {"id": "another"})).status == 400
    assert (await business.provider.post(buckets, {"name": "x"})).status == 405
    await business.store.close()
