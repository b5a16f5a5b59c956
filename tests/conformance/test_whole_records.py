"""Every resource of every API takes a record with all that its model has through its whole life."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from hansa.business.models import Api, Attribute, Resource
from tests.support.business import MODELS, Business, open_business
from tests.support.examples import full_body

RESOURCES = [(api, resource) for api in MODELS.apis for resource in api.resources]
CREATED = [
    (api, resource)
    for api, resource in RESOURCES
    if "create" in (*resource.methods, *resource.operator_methods)
]
pytestmark = pytest.mark.asyncio(loop_scope="module")
PATTERN_ATTRIBUTES = 20
"""A pattern of a task names some attributes of what it is about, not all."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


async def address(business: Business, api: Api, resource: Resource) -> str:
    """Path of the collection; that of a sub-resource lies below a parent which is made for it."""
    path = api.base_path + resource.path
    if resource.parent_name is None:
        return path
    parent = next(one for one in api.resources if one.path == resource.parent_name)
    made = await business.operator.post(api.base_path + parent.path, full_body(api, parent))
    return re.sub(r"\{\w+\}", made.json()["id"], path)


def body_of(api: Api, resource: Resource) -> dict[str, Any]:
    """A whole record as a client may send it; its patterns are cut short."""
    body = full_body(api, resource, server_set="create" not in resource.methods)
    if "alarmPattern" in body:
        body["alarmPattern"] = [
            dict(list(pattern.items())[:PATTERN_ATTRIBUTES]) for pattern in body["alarmPattern"]
        ]
    return body


def changeable(attributes: Mapping[str, Attribute], resource: Resource, entity: dict[str, Any]) -> str | None:
    """A text that a patch may change without moving a state."""
    kept = {"id", "href", resource.status_attribute, *resource.stamped_on_create}
    return next(
        (
            name
            for name, one in attributes.items()
            if name in entity
            and one.type == "string"
            and not one.is_list
            and one.access in {"any", "update-only"}
            and not name.startswith("@")
            and name not in kept
        ),
        None,
    )


@pytest.mark.parametrize(("api", "resource"), CREATED, ids=[one.collection for _, one in CREATED])
async def test_a_whole_record_is_created_read_listed_changed_and_deleted(
    business: Business, api: Api, resource: Resource
) -> None:
    path, body, client = await address(business, api, resource), body_of(api, resource), business.operator
    created = await client.post(path, body)
    assert created.status == 201, created.body
    entity = created.json()
    item = f"{path}/{entity['id']}"
    attributes = api.attributes_of(resource.type)
    assert {
        one.name for one in attributes.values() if one.is_required or one.is_always_returned
    } <= entity.keys()
    if "retrieve" in resource.methods:
        assert (await client.get(item)).json() == entity
    if "list" in resource.methods:
        assert (await client.get(f"{path}?id={entity['id']}")).json() == [entity]
    name = changeable(attributes, resource, entity)
    if "patch" in resource.methods and name is not None:
        patched = await client.patch(item, {name: "changed"})
        assert patched.status == 200, patched.body
        assert patched.json()[name] == "changed"
    if "replace" in resource.methods:
        assert (await client.request("PUT", item, body)).status == 200
    if "delete" in resource.methods:
        assert (await client.delete(item)).status == 204
        assert (await client.get(item)).status == 404


async def test_methods_for_operators_are_not_there_for_others(business: Business) -> None:
    told = {}
    for api, resource in RESOURCES:
        if "create" in resource.operator_methods and resource.parent_name is None:
            answer = await business.provider.post(api.base_path + resource.path, body_of(api, resource))
            told[resource.collection] = answer.status
    assert told
    assert set(told.values()) == {405}
