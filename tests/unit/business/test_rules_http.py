"""The rules of the business, as a client meets them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from starlette.routing import Route

from hansa.api.references import ReferencesApi
from hansa.business.rules import Rules
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.node.http.application import rest_application
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, PARTY, Business, authenticate
from tests.unit.business.test_resources import check_refused, made

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
OFFERINGS = f"{CATALOG}/productOffering"
CATEGORIES = f"{CATALOG}/category"


async def ordered(business: Business, **attributes: Any) -> dict[str, Any]:
    """An order that was created."""
    body = {"productOrderItem": [{"id": "1", "action": "add"}], **attributes}
    answer = await business.provider.post(ORDERS, body)
    assert answer.status == 201, answer.body
    entity: dict[str, Any] = answer.json()
    return entity


async def test_an_order_goes_through_its_states_and_not_back(business: Business) -> None:
    order = await ordered(business)
    assert order["state"] == "acknowledged"
    for state in ("inProgress", "held", "inProgress", "completed"):
        assert (await business.provider.patch(order["href"], {"state": state})).json()["state"] == state
    answer = await business.provider.patch(order["href"], {"state": "inProgress"})
    check_refused(answer, 409, "transition-refused")
    assert "it is “completed”, and it is final" in answer.json()["message"]
    assert (await business.provider.get(order["href"])).json()["state"] == "completed"
    await business.provider.patch(order["href"], {"description": "done"})
    changes = await business.store.changes(0, 100)
    assert [change.operation for change in changes] == [
        "create",
        "state",
        "state",
        "state",
        "state",
        "change",
    ]


async def test_a_patch_in_any_form_and_a_replacement_meet_the_rules(business: Business) -> None:
    offering = await made(business, lifecycleStatus="Obsolete")
    patch = [{"op": "replace", "path": "/lifecycleStatus", "value": "Launched"}]
    answer = await business.provider.request(
        "PATCH", offering["href"], patch, headers={"content-type": "application/json-patch+json"}
    )
    check_refused(answer, 409, "transition-refused")
    query = [{"op": "add", "path": "/validFor", "value": {"startDateTime": "2026-02-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"}}]  # fmt: skip
    answer = await business.provider.request(
        "PATCH", offering["href"], query, headers={"content-type": "application/json-patch-query+json"}
    )
    check_refused(answer, 400, "invalid")


async def test_an_item_has_a_state_of_its_own(business: Business) -> None:
    item = {"id": "1", "action": "add", "state": "completed"}
    order = await ordered(business, productOrderItem=[item, {**item, "id": "2", "state": "pending"}])
    items = [{**item, "state": "pending"}, {**item, "id": "2"}]
    answer = await business.provider.patch(order["href"], {"productOrderItem": items})
    check_refused(answer, 409, "transition-refused")
    assert "productOrderItem[0].state" in answer.json()["message"]


async def test_a_reference_to_what_comes_later_is_reported_in_a_header(business: Business) -> None:
    answer = await business.provider.post(
        OFFERINGS, {"name": "a", "category": [{"id": "c 7"}], "relatedParty": [{"id": "p\r\nX: y", "@referredType": "Organization"}]}
    )  # fmt: skip
    assert answer.status == 201
    assert answer.headers["hansa-unresolved"] == "category[0].id=c%207, relatedParty[0].id=p%0D%0AX:%20y"
    answer = await business.provider.patch(answer.json()["href"], {"name": "b"})
    assert "hansa-unresolved" not in answer.headers


async def test_a_reference_to_another_type_is_refused(business: Business) -> None:
    party = (await business.provider.post(f"{PARTY}/organization", {"tradingName": "Hanse"})).json()
    answer = await business.provider.post(OFFERINGS, {"name": "a", "category": [{"id": party["id"]}]})
    check_refused(answer, 400, "reference-wrong-type")
    assert "is of type Organization, not Category" in answer.json()["message"]


async def test_what_is_referred_to_stays_until_nothing_refers_to_it(business: Business) -> None:
    category = (await business.provider.post(CATEGORIES, {"name": "c"})).json()
    offering = await made(business, category=[{"id": category["id"]}])
    answer = await business.provider.delete(category["href"])
    check_refused(answer, 409, "still-referenced")
    assert offering["id"] in answer.json()["message"]
    assert (await business.provider.patch(offering["href"], {"category": None})).status == 200
    assert (await business.provider.delete(category["href"])).status == 204


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"price": {"unit": "EUR", "value": 0.30000000000000004}}, "price.value"),
        ({"price": {"unit": "ABC", "value": 1}}, "price.unit"),
        ({"validFor": {"startDateTime": "2026-02-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"}}, "validFor.endDateTime"),
    ],
)  # fmt: skip
async def test_values_that_mean_nothing_are_refused_with_path_and_value(
    business: Business, body: dict[str, Any], path: str
) -> None:
    answer = await business.provider.post(f"{CATALOG}/productOfferingPrice", {"name": "p", **body})
    check_refused(answer, 400, "invalid")
    assert f"{path}: must" in answer.json()["message"]


async def test_what_was_refused_left_nothing_behind(business: Business) -> None:
    order = await ordered(business)
    assert (await business.provider.patch(order["href"], {"state": "completed"})).status == 200
    before = await business.store.last_change()
    check_refused(await business.provider.patch(order["href"], {"state": "held"}), 409, "transition-refused")
    check_refused(
        await business.provider.post(ORDERS, {"productOrderItem": [], "state": "held"}), 400, "invalid"
    )
    assert await business.store.last_change() == before


async def test_token_holders_get_the_list_of_what_is_not_here(business: Business) -> None:
    offering = await made(business, category=[{"id": "later"}])
    assert isinstance(business.clock, ManualClock)
    dangling = partial(Rules(business.models).dangling_references, business.store)
    references = ReferencesApi(dangling, authenticate, Limits())
    anonymous = AsgiClient(rest_application([Route("/league/v1/references", references.list)]))
    reader = anonymous.with_headers(authorization="Bearer reader")
    address = "/league/v1/references"
    check_refused(await anonymous.get(f"{address}?state=unresolved"), 401, "unauthenticated")
    for query in ("", "?state=resolved", "?state=unresolved&limit=0", "?state=unresolved&of=me"):
        check_refused(await reader.get(address + query), 400, "invalid")
    assert (await reader.get(f"{address}?state=unresolved&limit=1")).json() == {
        "references": [
            {
                "type": "ProductOffering",
                "id": offering["id"],
                "origin": None,
                "path": "category[0].id",
                "target": "later",
                "targets": ["Category"],
            }
        ]
    }


async def test_sub_resources_go_with_the_entity_that_they_belong_to(business: Business) -> None:
    flows = "/tmf-api/processFlowManagement/v4/processFlow"
    flow = (await business.provider.post(flows, {"processFlowSpecification": "s"})).json()
    parent = {"id": flow["id"], "name": "flow", "role": "parent", "@referredType": "ProcessFlow"}
    body = {"relatedEntity": [parent], "taskFlowSpecification": "s"}
    task = await business.provider.post(f"{flows}/{flow['id']}/taskFlow", body)
    assert task.status == 201, task.body
    assert (await business.provider.delete(flow["href"])).status == 204
    assert await business.store.entity(task.json()["id"]) is None
    changes = await business.store.changes(0, 100)
    assert [(one.operation, one.type) for one in changes[-2:]] == [
        ("delete", "TaskFlow"),
        ("delete", "ProcessFlow"),
    ]
