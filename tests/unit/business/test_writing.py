"""PUT, the four forms of patch, several entities at once, and preconditions, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.business import CATALOG, Business
from tests.unit.business.test_resources import OFFERINGS, check_refused, made

TICKETS = "/tmf-api/troubleTicket/v4/troubleTicket"
JSON_PATCH = {"content-type": "application/json-patch+json"}
PATCH_QUERY = {"content-type": "application/json-patch-query+json"}


async def put(business: Business, target: str, body: Any, **headers: str) -> Any:
    return await business.provider.request(
        "PUT", target, body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


# -- PUT ----------------------------------------------------------------------------------------------------------


async def test_a_put_replaces_everything_but_what_the_marketplace_sets(business: Business) -> None:
    before = await made(business, description="Old", version="1", category=[{"id": "c1"}])
    answer = await put(
        business, f"{OFFERINGS}/{before['id']}", {"name": "New", "lifecycleStatus": "Launched"}
    )
    assert answer.status == 200
    after = answer.json()
    assert after.keys() == {"id", "href", "@type", "name", "lifecycleStatus", "lastUpdate"} | (
        after.keys() & {"isBundle", "isSellable"}
    )
    assert (after["id"], after["name"]) == (before["id"], "New")
    assert (await business.anonymous.get(f"{OFFERINGS}/{before['id']}")).json() == after


async def test_a_put_of_the_same_content_writes_nothing(business: Business) -> None:
    entity = await made(business)
    head = await business.store.last_change()
    assert (await put(business, f"{OFFERINGS}/{entity['id']}", entity)).status == 200
    assert await business.store.last_change() == head


async def test_a_put_needs_what_a_create_needs(business: Business) -> None:
    entity = await made(business)
    message = check_refused(
        await put(business, f"{OFFERINGS}/{entity['id']}", {"description": "x"}), 400, "invalid"
    )
    assert "name: is required" in message


async def test_a_put_keeps_the_identifier(business: Business) -> None:
    entity = await made(business)
    answer = await put(business, f"{OFFERINGS}/{entity['id']}", {"id": "other", "name": "x"})
    assert "identifier in the path" in check_refused(answer, 400, "invalid")


async def test_a_put_creates_nothing(business: Business) -> None:
    check_refused(await put(business, f"{OFFERINGS}/nobody", {"name": "x"}), 404, "not-found")


# -- patches ------------------------------------------------------------------------------------------------------


async def test_a_json_patch_changes_what_its_operations_say(business: Business) -> None:
    entity = await made(business, category=[{"id": "a"}, {"id": "b"}])
    answer = await business.provider.patch(
        f"{OFFERINGS}/{entity['id']}",
        [
            {"op": "test", "path": "/name", "value": entity["name"]},
            {"op": "replace", "path": "/name", "value": "Renamed"},
            {"op": "remove", "path": "/category/0"},
            {"op": "add", "path": "/category/-", "value": {"id": "c"}},
        ],
        headers=JSON_PATCH,
    )
    assert answer.status == 200, answer.body
    assert answer.json()["name"] == "Renamed"
    assert [one["id"] for one in answer.json()["category"]] == ["b", "c"]


async def test_a_json_patch_is_applied_whole_or_not_at_all(business: Business) -> None:
    entity = await made(business)
    answer = await business.provider.patch(
        f"{OFFERINGS}/{entity['id']}",
        [
            {"op": "replace", "path": "/name", "value": "Renamed"},
            {"op": "test", "path": "/version", "value": "9"},
        ],
        headers=JSON_PATCH,
    )
    assert answer.status == 409
    assert (await business.anonymous.get(f"{OFFERINGS}/{entity['id']}")).json() == entity


async def test_a_patch_query_finds_the_element_by_what_it_says(business: Business) -> None:
    entity = await made(business, category=[{"id": "a", "name": "vendor"}, {"id": "b", "name": "owner"}])
    answer = await business.provider.patch(
        f"{OFFERINGS}/{entity['id']}",
        [{"op": "remove", "path": "/category?name=vendor"}],
        headers=PATCH_QUERY,
    )
    assert answer.status == 200, answer.body
    assert [one["id"] for one in answer.json()["category"]] == ["b"]


@pytest.mark.parametrize("path", ["/id", "/href", "/@type"])
async def test_no_form_of_patch_changes_what_is_fixed(business: Business, path: str) -> None:
    entity = await made(business)
    answer = await business.provider.patch(
        f"{OFFERINGS}/{entity['id']}", [{"op": "add", "path": path, "value": "Else"}], headers=JSON_PATCH
    )
    assert answer.status in {200, 400}
    standing = (await business.anonymous.get(f"{OFFERINGS}/{entity['id']}")).json()
    assert {name: standing[name] for name in ("id", "href", "@type")} == {
        name: entity[name] for name in ("id", "href", "@type")
    }


async def test_a_patched_entity_is_held_to_its_model(business: Business) -> None:
    entity = await made(business)
    answer = await business.provider.patch(
        f"{OFFERINGS}/{entity['id']}", [{"op": "remove", "path": "/name"}], headers=JSON_PATCH
    )
    assert "name: is required" in check_refused(answer, 400, "invalid")


# -- several at once ----------------------------------------------------------------------------------------------


async def test_a_patch_of_the_collection_creates_several(business: Business) -> None:
    answer = await business.provider.patch(
        OFFERINGS,
        [{"op": "add", "path": "/", "value": {"name": name}} for name in ("One", "Two", "Three")],
        headers=JSON_PATCH,
    )
    assert answer.status == 200
    assert [entity["name"] for entity in answer.json()] == ["One", "Two", "Three"]
    listed = await business.provider.get(f"{OFFERINGS}?fields=name")
    assert [entity["name"] for entity in listed.json()] == ["One", "Two", "Three"]


async def test_of_several_all_are_created_or_none(business: Business) -> None:
    answer = await business.provider.patch(
        OFFERINGS,
        [{"op": "add", "path": "/", "value": {"name": "x", "id": "same"}} for _ in range(2)],
        headers=JSON_PATCH,
    )
    check_refused(answer, 409, "conflict")
    assert await business.store.last_change() == 0


async def test_a_collection_takes_no_other_patch(business: Business) -> None:
    check_refused(await business.provider.patch(OFFERINGS, {"name": "x"}), 415, "unsupported-media-type")
    removing = [{"op": "remove", "path": "/"}]
    check_refused(await business.provider.patch(OFFERINGS, removing, headers=JSON_PATCH), 400, "invalid")


# -- preconditions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_write_to_a_version_that_is_no_more_is_refused(business: Business, method: str) -> None:
    entity = await made(business)
    target = f"{OFFERINGS}/{entity['id']}"
    tag = (await business.anonymous.get(target)).headers["etag"]
    body = {"name": "Changed", "lifecycleStatus": "Launched"}
    refused = await business.provider.request(method, target, body, headers={"if-match": '"hl:zOther"'})
    check_refused(refused, 412, "precondition-failed")
    done = await business.provider.request(method, target, body, headers={"if-match": tag})
    assert done.status == (204 if method == "DELETE" else 200)


async def test_a_write_only_to_another_version_is_refused_on_this_one(business: Business) -> None:
    entity = await made(business)
    target = f"{OFFERINGS}/{entity['id']}"
    tag = (await business.anonymous.get(target)).headers["etag"]
    answer = await business.provider.patch(target, {"name": "x"}, headers={"if-none-match": tag})
    check_refused(answer, 412, "precondition-failed")


async def test_an_entity_tells_when_it_was_last_written(business: Business) -> None:
    entity = await made(business)
    target = f"{OFFERINGS}/{entity['id']}"
    seen = (await business.anonymous.get(target)).headers["last-modified"]
    assert seen == "Thu, 01 Jan 2026 00:00:00 GMT"
    known = await business.anonymous.get(target, headers={"if-modified-since": seen})
    assert (known.status, known.body) == (304, b"")
    await business.clock.advance(2)  # type: ignore[attr-defined]
    await business.provider.patch(target, {"version": "2"})
    again = await business.anonymous.get(target, headers={"if-modified-since": seen})
    assert (again.status, again.headers["last-modified"]) == (200, "Thu, 01 Jan 2026 00:00:02 GMT")
    late = await business.provider.patch(target, {"version": "3"}, headers={"if-unmodified-since": seen})
    check_refused(late, 412, "precondition-failed")
    for nonsense in ("yesterday", "Thu, 99 Jan 2026 00:00:00 GMT", ""):
        header = {"if-unmodified-since": nonsense, "if-modified-since": nonsense}
        assert (await business.anonymous.get(target, headers=header)).status == 200
        assert (await business.provider.patch(target, {"version": "4"}, headers=header)).status == 200


# -- what a body may be -------------------------------------------------------------------------------------------


async def test_a_body_of_an_unsaid_type_is_json(business: Business) -> None:
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "text/plain; charset=utf-8"}):
        answer = await business.provider.post(OFFERINGS, body=b'{"name":"x"}', headers=headers)
        assert answer.status == 201, answer.body
    refused = await business.provider.post(
        OFFERINGS, body=b"<name/>", headers={"content-type": "application/xml"}
    )
    check_refused(refused, 415, "unsupported-media-type")


async def test_every_object_may_say_what_it_is(business: Business) -> None:
    body = {
        "name": "x",
        "description": "d",
        "severity": "High",
        "ticketType": "problem",
        "@schemaLocation": "https://schemas.example/ticket.json",
        "@type": "SeaTicket",
        "@baseType": "TroubleTicket",
        "knots": 12,
    }
    answer = await business.provider.post(TICKETS, body)
    assert answer.status == 201, answer.body
    assert (answer.json()["@type"], answer.json()["knots"]) == ("SeaTicket", 12)


async def test_documents_defaults_are_applied_to_what_a_create_leaves_out(business: Business) -> None:
    specification = await business.provider.post(
        "/tmf-api/resourceCatalog/v4/resourceSpecification", {"name": "Medium"}
    )
    assert specification.status == 201
    assert specification.json()["isBundle"] is False
    assert specification.json()["lifecycleStatus"]


async def test_an_error_leads_to_the_page_that_explains_its_code(business: Business) -> None:
    answer = await business.anonymous.get(f"{CATALOG}/productOffering/nobody")
    assert answer.json()["referenceError"] == "/docs/errors#not-found"
    assert answer.json()["@type"] == "Error"


@pytest.mark.parametrize("said", [{}, [], ["ProductOffering"], 7, True, "Catalog"])
async def test_what_an_entity_says_to_be_is_the_name_of_its_type(business: Business, said: Any) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "Basic", "@type": said})
    assert "@type" in check_refused(answer, 400, "invalid")
