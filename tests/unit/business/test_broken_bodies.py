"""Bodies with several faults at once, anywhere in them, for every resource: none is answered by a 500.

A whole body is changed at a few places: another type, an odd value, nothing at all. What fails before a body
is checked, or because one attribute is completed from another that is wrong, shows only so. `BODIES` is the
number of them for each resource and method.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio

from hansa.business.models import Api, Resource
from tests.support.business import MODELS, Business, open_business
from tests.support.examples import full_body

BODIES: Final = int(os.environ.get("BODIES", "4"))
PLACES_MAX: Final = 4
ODD: Final[tuple[Any, ...]] = (
    *({}, [], [[]], [{}], {"id": []}, [None], [1, "a", {}, []]),
    *(None, True, 0, -1.5, 1e300, "", " ", "a" * 5000, "urn:ngsi-ld:organization:", "http://[", "\ud7ff"),
)
RESOURCES: Final = [
    (api, resource)
    for api in MODELS.apis
    for resource in api.resources
    if "{" not in resource.path and "create" in (*resource.methods, *resource.operator_methods)
]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


@pytest.mark.parametrize("api", MODELS.apis, ids=lambda api: api.id)
async def test_a_body_with_several_faults_is_refused_or_taken(business: Business, api: Api) -> None:
    lot = random.Random(f"{api.id} {BODIES}")
    for resource in api.resources:
        if (api, resource) in RESOURCES:
            await try_resource(business, api, resource, lot)


async def try_resource(business: Business, api: Api, resource: Resource, lot: random.Random) -> None:
    client, path = business.operator, api.base_path + resource.path
    whole = full_body(api, resource, server_set=True)
    created = await client.post(path, full_body(api, resource))
    item = f"{path}/{created.json()['id']}" if created.status == 201 else None
    for _ in range(BODIES):
        body = broken(whole, lot)
        answer = await client.post(path, body)
        assert answer.status < 500, (path, body, answer.body)
        if item is not None:
            name = lot.choice([*body] or ["x"])
            for method in ("PATCH", "PUT"):
                answer = await client.request(
                    method, item, {name: body.get(name)} if method == "PATCH" else body
                )
                assert answer.status < 500, (method, item, body, answer.body)


def broken(body: dict[str, Any], lot: random.Random) -> dict[str, Any]:
    """A body that is changed at some places."""
    changed = copy.deepcopy(body)
    for _ in range(lot.randint(1, PLACES_MAX)):
        places = list(places_of(changed))
        if not places:
            break
        holder, step = lot.choice(places)
        if lot.random() < 0.3:
            del holder[step]
        else:
            holder[step] = copy.deepcopy(lot.choice(ODD))
    return changed


def places_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a body, as what holds it and its name or index there."""
    steps: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, one in steps:
        yield value, step
        yield from places_of(one)


@pytest.mark.parametrize("identifier", [{}, [], [{}], 1, True, ""])
async def test_items_of_an_order_may_have_any_wrong_identifier(business: Business, identifier: Any) -> None:
    path = "/tmf-api/productOrderingManagement/v4/productOrder"
    for items in (
        [{"id": identifier, "action": "add"}],
        [{"action": "add"}, {"id": identifier, "action": "add"}],
    ):
        answer = await business.operator.post(path, {"productOrderItem": items})
        assert answer.status in {201, 400}, answer.body
        if identifier != "":
            assert answer.status == 400
            assert f"productOrderItem[{len(items) - 1}].id: must be a string" in answer.json()["message"]


async def test_items_that_come_without_a_state_have_the_one_of_before(business: Business) -> None:
    path = "/tmf-api/productOrderingManagement/v4/productOrder"
    items = [{"id": "1", "action": "add", "state": "pending"}]
    created = await business.operator.post(path, {"productOrderItem": items})
    items = [{"id": "1", "action": "modify"}, {"id": "2", "action": "add"}]
    changed = await business.operator.patch(created.headers["location"], {"productOrderItem": items})
    assert changed.status == 200, changed.body
    states = {item["id"]: item["state"] for item in changed.json()["productOrderItem"]}
    assert states == {"1": "pending", "2": "acknowledged"}
