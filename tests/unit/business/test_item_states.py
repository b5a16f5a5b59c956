"""An order and its items end together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.context import Policies
from hansa.business.models import Api, Resource
from tests.support.asgi import AsgiClient
from tests.support.business import MODELS, Business
from tests.unit.business.test_resources import check_refused

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
WITH_ITEMS = [
    (api, resource)
    for api in MODELS.apis
    for resource in api.resources
    if (machine := MODELS.lifecycle(resource)) is not None and machine.items
]


def items(*states: str) -> list[dict[str, Any]]:
    return [{"id": str(n), "action": "add", "state": state} for n, state in enumerate(states, 1)]


async def ordered(client: AsgiClient, *states: str) -> str:
    answer = await client.post(ORDERS, {"productOrderItem": items(*states)})
    assert answer.status == 201, answer.body
    return answer.headers["location"]


async def test_items_follow_an_order_that_ends_as_a_whole(business: Business) -> None:
    address = await ordered(business.provider, "acknowledged", "inProgress", "cancelled")
    order = (await business.provider.patch(address, {"state": "completed"})).json()
    assert [item["state"] for item in order["productOrderItem"]] == ["completed", "completed", "cancelled"]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("completed", "completed"), "completed"),
        (("failed", "failed"), "failed"),
        (("completed", "failed"), "partial"),
        (("cancelled", "cancelled"), "cancelled"),
        (("completed", "inProgress"), "inProgress"),
    ],
)
async def test_an_order_ends_when_all_its_items_have(
    business: Business, states: tuple[str, ...], state: str
) -> None:
    address = await ordered(business.provider, "inProgress", "inProgress")
    await business.provider.patch(address, {"state": "inProgress"})
    order = (await business.provider.patch(address, {"productOrderItem": items(*states)})).json()
    assert order["state"] == state
    assert ("completionDate" in order) == (state in {"completed", "partial"})


async def test_where_items_decide_an_order_does_not_end_before_them(business: Business) -> None:
    context = msgspec.structs.replace(business.context, policies=Policies(item_states="decide"))
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")
    address = await ordered(client, "acknowledged", "completed")
    answer = await client.patch(address, {"state": "completed"})
    assert "productOrderItem[0].state is “acknowledged”" in check_refused(answer, 409, "transition-refused")
    answer = await client.patch(address, {"productOrderItem": items("completed", "completed")})
    assert (answer.status, answer.json()["state"]) == (200, "completed")


@pytest.mark.parametrize(("api", "resource"), WITH_ITEMS, ids=[f"{a.id}-{r.path}" for a, r in WITH_ITEMS])
async def test_items_follow_in_every_resource_that_has_any(
    business: Business, api: Api, resource: Resource
) -> None:
    machine = MODELS.lifecycle(resource)
    assert machine is not None
    assert resource.status_attribute is not None
    rules = business.app.operations[api.id][resource.collection].update._server_fields
    for part in machine.items:
        part_machine = MODELS.named_lifecycle(part.lifecycle)
        initial = part_machine.initial[0]
        for state in machine.states:
            if not (machine.is_final(state) and part_machine.is_final(state)):
                continue
            before = {
                resource.status_attribute: machine.initial[0],
                part.path: [{"id": "1", part.status: initial}],
            }
            after = msgspec.json.decode(msgspec.json.encode({**before, resource.status_attribute: state}))
            rules.set_in_changed(before, after)
            assert part_machine.is_final(after[part.path][0][part.status])
