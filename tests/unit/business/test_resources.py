"""Create, retrieve, list, patch and delete through the ASGI interface: one table entry per rule."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock, rfc3339
from tests.support.asgi import Response
from tests.support.business import CATALOG, ENDPOINT, PARTY, Business

OFFERINGS = f"{CATALOG}/productOffering"
ORGANIZATIONS = f"{PARTY}/organization"
ERROR_MEMBERS = {"code", "reason", "message", "status", "referenceError", "@type"}


def check_refused(response: Response, status: int, code: str) -> str:
    """Check an error body, and return its message."""
    assert (response.status, response.json()["code"]) == (status, code), response.body
    assert response.headers["content-type"] == "application/json;charset=utf-8"
    body = response.json()
    assert body.keys() == ERROR_MEMBERS
    assert body["status"] == str(status)
    assert body["reason"]
    return str(body["message"])


async def made(business: Business, resource: str = OFFERINGS, **attributes: Any) -> Any:
    """An entity, created by a provider."""
    answer = await business.provider.post(
        resource, {"name": "Edge node", "lifecycleStatus": "Launched", **attributes}
    )
    assert answer.status == 201, answer.body
    return answer.json()


# -- create -------------------------------------------------------------------------------------------------------


async def test_a_create_answers_201_with_location_and_the_whole_entity(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "Edge node"})
    entity = answer.json()
    assert answer.status == 201
    assert answer.headers["location"] == entity["href"] == f"{ENDPOINT}{OFFERINGS}/{entity['id']}"
    assert re.fullmatch(r"urn:ngsi-ld:product-offering:[0-9a-f-]{36}", entity["id"])
    assert entity["@type"] == "ProductOffering"
    assert entity["lifecycleStatus"] == "In study"
    assert entity["lastUpdate"] == rfc3339(business.clock.now())
    assert entity["name"] == "Edge node"


async def test_the_stored_body_is_canonical_without_href_and_named_by_its_etag(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "Öl", "href": "http://elsewhere.example/x"})
    entity = answer.json()
    stored = await business.store.entity(entity["id"])
    assert stored is not None
    del entity["href"]
    assert stored.body == canonical_json(entity)
    assert stored.hashlink == hashlink(stored.body)
    assert answer.headers["etag"] == f'"{stored.hashlink}"'


async def test_an_identifier_of_the_client_is_kept(business: Business) -> None:
    assert (await made(business, id="9881"))["id"] == "9881"
    assert (await business.anonymous.get(f"{OFFERINGS}/9881")).status == 200


async def test_an_identifier_is_taken_once(business: Business) -> None:
    await made(business, id="9881")
    answer = await business.provider.post(OFFERINGS, {"name": "other", "id": "9881"})
    assert "'9881' already" in check_refused(answer, 409, "conflict")
    answer = await business.provider.post(f"{CATALOG}/category", {"name": "other", "id": "9881"})
    check_refused(answer, 409, "conflict")


@pytest.mark.parametrize(
    "bad",
    ["", "a/b", "a b", "a?b", "a#b", "..", "-a", "a%20b", 'a"b', "ä", "a\x00", "x" * 257, 7, True, [], {}],
)
async def test_an_identifier_that_cannot_stand_in_a_path_is_refused(business: Business, bad: object) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "x", "id": bad})
    assert check_refused(answer, 400, "invalid").startswith("id: must be")


async def test_an_entity_may_be_created_in_any_lifecycle_status(business: Business) -> None:
    for status in ("In design", "Launched", "Obsolete", "anything at all"):
        assert (await made(business, lifecycleStatus=status))["lifecycleStatus"] == status


async def test_an_organization_gets_no_status_and_no_time_that_its_type_lacks(business: Business) -> None:
    answer = await business.provider.post(ORGANIZATIONS, {"tradingName": "Hanse"})
    assert answer.json().keys() == {"id", "href", "@type", "tradingName"}


async def test_a_time_that_the_marketplace_sets_is_not_the_clients_to_say(business: Business) -> None:
    entity = await made(business, lastUpdate="1999-01-01T00:00:00Z")
    assert entity["lastUpdate"] == rfc3339(business.clock.now())


async def test_null_counts_as_not_set(business: Business) -> None:
    entity = await made(business, description=None, id=None, lastUpdate=None)
    assert "description" not in entity
    assert entity["id"].startswith("urn:")
    check_refused(await business.provider.post(OFFERINGS, {"name": None}), 400, "invalid")


async def test_a_misspelt_attribute_is_refused(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "x", "nmae": "x"})
    assert "nmae: ProductOffering has no such attribute" in check_refused(answer, 400, "invalid")


@pytest.mark.parametrize(
    "announcement",
    [{"@schemaLocation": "https://schema.example/gpu.json"}, {"@type": "GpuOffering"}],
)
async def test_an_announced_extension_keeps_its_attributes(
    business: Business, announcement: dict[str, str]
) -> None:
    entity = await made(business, gpu={"count": 4}, **announcement)
    again = (await business.anonymous.get(f"{OFFERINGS}/{entity['id']}")).json()
    assert again["gpu"] == {"count": 4}
    assert again["@type"] == announcement.get("@type", "ProductOffering")
    patched = await business.provider.patch(f"{OFFERINGS}/{entity['id']}", {"gpu": {"count": 8}})
    assert patched.json()["gpu"] == {"count": 8}


async def test_an_entity_of_another_served_type_is_refused(business: Business) -> None:
    answer = await business.provider.post(OFFERINGS, {"name": "x", "@type": "Category"})
    assert "@type: must be ProductOffering" in check_refused(answer, 400, "invalid")


async def test_several_mistakes_are_told_at_once(business: Business) -> None:
    message = check_refused(
        await business.provider.post(OFFERINGS, {"isBundle": "no", "version": 1}), 400, "invalid"
    )
    for told in ("name: is required", "isBundle: must be", "version: must be"):
        assert told in message


async def test_a_write_answers_the_fields_that_were_asked_for(business: Business) -> None:
    answer = await business.provider.post(f"{OFFERINGS}?fields=name", {"name": "x"})
    assert (answer.status, answer.json().keys()) == (201, {"id", "href", "name"})
    answer = await business.provider.patch(
        f"{OFFERINGS}/{answer.json()['id']}?fields=version", {"version": "2"}
    )
    assert (answer.status, answer.json().keys()) == (200, {"id", "href", "version"})
    check_refused(await business.provider.post(f"{OFFERINGS}?name=x", {"name": "x"}), 400, "invalid")


# -- retrieve -----------------------------------------------------------------------------------------------------


async def test_an_entity_is_served_as_stored_with_its_href_in_front(business: Business) -> None:
    entity = await made(business)
    answer = await business.anonymous.get(f"{OFFERINGS}/{entity['id']}")
    stored = await business.store.entity(entity["id"])
    assert stored is not None
    assert answer.status == 200
    assert answer.json() == entity
    assert answer.body == b'{"href":"%b",' % entity["href"].encode() + stored.body[1:]
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ("name", {"name"}),
        ("none", set()),
        ("id", set()),
        ("href", set()),
        ("name,version", {"name"}),
        ("", None),
    ],
)
async def test_fields_select_and_always_give_id_and_href(
    business: Business, fields: str, names: set[str] | None
) -> None:
    entity = await made(business)
    found = (await business.anonymous.get(f"{OFFERINGS}/{entity['id']}?fields={fields}")).json()
    assert found.keys() == (entity.keys() if names is None else {"id", "href"} | names)


@pytest.mark.parametrize("unknown", ["nope", "urn:ngsi-ld:product-offering:nope", "a%20b", "%22", "x" * 5000])
async def test_an_unknown_entity_is_not_found(business: Business, unknown: str) -> None:
    for method in ("GET", "HEAD", "PATCH", "DELETE"):
        answer = await business.provider.request(
            method, f"{OFFERINGS}/{unknown}", {} if method == "PATCH" else msgspec.UNSET
        )
        assert answer.status == 404
        if method != "HEAD":
            check_refused(answer, 404, "not-found")


async def test_an_entity_is_not_found_under_another_resource(business: Business) -> None:
    entity = await made(business)
    for method in ("GET", "DELETE"):
        check_refused(
            await business.provider.request(method, f"{CATALOG}/category/{entity['id']}"), 404, "not-found"
        )


async def test_head_answers_like_get_without_a_body(business: Business) -> None:
    entity = await made(business)
    for target in (f"{OFFERINGS}/{entity['id']}", OFFERINGS):
        get = await business.anonymous.get(target)
        head = await business.anonymous.request("HEAD", target)
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


async def test_a_known_version_is_not_sent_again(business: Business) -> None:
    entity = await made(business)
    etag = (await business.anonymous.get(entity["href"])).headers["etag"]
    for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await business.anonymous.get(entity["href"], headers={"if-none-match": header})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert (await business.anonymous.get(entity["href"], headers={"if-none-match": '"x"'})).status == 200


# -- list ---------------------------------------------------------------------------------------------------------


async def test_a_list_is_a_bare_array_with_exact_counts(business: Business) -> None:
    assert (await business.anonymous.get(OFFERINGS)).body == b"[]"
    entities = [await made(business, name=f"n{n}") for n in range(3)]
    answer = await business.anonymous.get(OFFERINGS)
    assert answer.json() == entities
    assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("3", "3")
    assert "link" not in answer.headers
    assert (await business.anonymous.get(OFFERINGS + "/")).json() == entities


def links(answer: Response) -> dict[str, str]:
    """Relation to target."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["link"])
    return {relation: target for target, relation in found}


async def test_links_lead_through_all_pages(business: Business) -> None:
    ids = [(await made(business, version="7"))["id"] for _ in range(7)]
    target, seen, found = f"{OFFERINGS}?version=7&limit=3", list[str](), dict[str, str]()
    while target:
        answer = await business.anonymous.get(target)
        assert answer.headers["x-total-count"] == "7"
        assert answer.headers["x-result-count"] == str(len(answer.json()))
        seen += [entity["id"] for entity in answer.json()]
        found = links(answer)
        assert found["first"] == f"{ENDPOINT}{OFFERINGS}?version=7&offset=0&limit=3"
        assert found["last"] == f"{ENDPOINT}{OFFERINGS}?version=7&offset=6&limit=3"
        target = found.get("next", "")
    assert seen == ids
    assert found["prev"].endswith("offset=3&limit=3")
    assert "next" not in found


async def test_a_page_beyond_the_end_is_empty_and_leads_back(business: Business) -> None:
    await made(business)
    answer = await business.anonymous.get(f"{OFFERINGS}?offset=50&limit=10")
    assert (answer.status, answer.json()) == (200, [])
    assert "content-range" not in answer.headers
    assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("1", "0")
    assert links(answer)["prev"].endswith("offset=0&limit=10")


async def test_a_limit_of_nothing_tells_the_count(business: Business) -> None:
    await made(business)
    answer = await business.anonymous.get(f"{OFFERINGS}?limit=0")
    assert (answer.status, answer.json(), answer.headers["x-total-count"]) == (200, [], "1")
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=b", "b"),
        ("name=a&name=c", "ac"),
        ("name=a,c", "ac"),
        ("name=a&isBundle=true", ""),
        ("isBundle=true", "b"),
        ("isBundle=false", "ac"),
        ("category.id=edge", "ab"),
        ("category.name=Cloud&category.id=edge", "b"),
        ("category.id=nowhere", ""),
        ("lifecycleStatus=Retired", "c"),
        ("@type=ProductOffering", "abc"),
        ("@type=Category", ""),
        ("productOfferingTerm.duration.amount=12", "c"),
        ("productOfferingTerm.duration.amount=12.0", "c"),
        ("productOfferingTerm.duration.amount=twelve", ""),
        ("id=idA", "a"),
        (f"href={ENDPOINT}{OFFERINGS}/idA", "a"),
        ("sort=-name", "cba"),
        ("sort=lifecycleStatus,-name", "bac"),
        ("sort=-name&limit=1&offset=1", "b"),
    ],
)
async def test_lists_are_filtered_and_sorted(business: Business, query: str, names: str) -> None:
    cloud, edge = {"id": "cloud", "name": "Cloud"}, {"id": "edge", "name": "Edge"}
    await made(business, name="a", id="idA", category=[edge], isBundle=False)
    await made(business, name="b", category=[cloud, edge], isBundle=True)
    term = {"duration": {"amount": 12, "units": "month"}}
    await made(business, name="c", lifecycleStatus="Retired", isBundle=False, productOfferingTerm=[term])
    answer = await business.anonymous.get(f"{OFFERINGS}?{query}")
    assert answer.status == (206 if "limit" in query else 200), answer.body
    assert "".join(entity["name"] for entity in answer.json()) == names
    if "limit" not in query:
        assert answer.headers["x-total-count"] == str(len(names))


async def test_a_name_with_a_comma_is_found_by_its_whole(business: Business) -> None:
    await made(business, name="Fish, salted")
    for query in ("name=Fish,%20salted", "name=Fish%2C+salted"):
        assert (await business.anonymous.get(f"{OFFERINGS}?{query}")).headers["x-total-count"] == "1"


async def test_a_list_shows_the_fields_that_were_asked_for(business: Business) -> None:
    await made(business, category=[{"id": "c", "name": "C"}])
    answer = await business.anonymous.get(f"{OFFERINGS}?fields=category.id")
    assert [entity.keys() for entity in answer.json()] == [{"id", "href", "category"}]
    assert answer.json()[0]["category"] == [{"id": "c"}]
    answer = await business.anonymous.get(f"{OFFERINGS}?fields=none")
    assert [entity.keys() for entity in answer.json()] == [{"id", "href"}]


async def test_a_filter_on_no_attribute_is_an_error_and_not_everything(business: Business) -> None:
    message = check_refused(await business.anonymous.get(f"{OFFERINGS}?nmae=x"), 400, "invalid")
    assert "'nmae'" in message


# -- patch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/merge-patch+json", "application/json; charset=UTF-8"]
)
async def test_a_patch_merges_and_answers_the_whole_entity(business: Business, media_type: str) -> None:
    entity = await made(business, description="old", validFor={"startDateTime": "2026-01-01T00:00:00Z"})
    changes = {"description": None, "version": "2", "validFor": {"endDateTime": "2027-01-01T00:00:00Z"}}
    answer = await business.provider.patch(entity["href"], changes, headers={"content-type": media_type})
    assert answer.status == 200
    patched = answer.json()
    assert "description" not in patched
    assert patched["validFor"] == {
        "startDateTime": "2026-01-01T00:00:00Z",
        "endDateTime": "2027-01-01T00:00:00Z",
    }
    assert (await business.anonymous.get(entity["href"])).json() == patched
    assert answer.headers["etag"] != (await business.provider.get(entity["href"])).headers.get("x")


async def test_a_patch_sets_the_time_of_change(business: Business) -> None:
    entity = await made(business)
    assert isinstance(business.clock, ManualClock)
    await business.clock.advance(60)
    patched = (await business.provider.patch(entity["href"], {"version": "2"})).json()
    assert patched["lastUpdate"] == rfc3339(business.clock.now()) > entity["lastUpdate"]


async def test_a_patch_that_changes_nothing_writes_nothing(business: Business) -> None:
    entity = await made(business, description="d")
    assert isinstance(business.clock, ManualClock)
    await business.clock.advance(60)
    before = await business.store.last_change()
    for changes in (
        {},
        {"description": "d"},
        {"version": None},
        dict(entity),
        {"lastUpdate": "1999-01-01T00:00:00Z"},
    ):
        answer = await business.provider.patch(entity["href"], changes)
        assert (answer.status, answer.json()) == (200, entity)
    assert await business.store.last_change() == before


@pytest.mark.parametrize(
    "changes", [{"id": "other"}, {"id": None}, {"@type": "Other"}, {"@baseType": "Other"}]
)
async def test_what_is_fixed_cannot_be_patched(business: Business, changes: dict[str, Any]) -> None:
    entity = await made(business)
    message = check_refused(await business.provider.patch(entity["href"], changes), 400, "invalid")
    assert "cannot be changed" in message
    assert (await business.anonymous.get(entity["href"])).json() == entity


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": None}, "name: is required"),
        ({"isBundle": "no"}, "isBundle: must be"),
        ({"nmae": "x"}, "nmae: ProductOffering has no such attribute"),
        ({"validFor": {"endDateTime": "soon"}}, "validFor.endDateTime: must be"),
    ],
)
async def test_a_patch_keeps_the_entity_within_the_model(
    business: Business, changes: dict[str, Any], told: str
) -> None:
    entity = await made(business)
    assert told in check_refused(await business.provider.patch(entity["href"], changes), 400, "invalid")
    assert (await business.anonymous.get(entity["href"])).json() == entity


async def test_a_patch_of_a_version_that_is_no_more_is_refused(business: Business) -> None:
    entity = await made(business)
    first = (await business.anonymous.get(entity["href"])).headers["etag"]
    second = (
        await business.provider.patch(entity["href"], {"version": "2"}, headers={"if-match": first})
    ).headers["etag"]
    for method in ("PATCH", "DELETE"):
        answer = await business.provider.request(
            method, entity["href"], {"version": "3"}, headers={"if-match": first}
        )
        assert second in check_refused(answer, 412, "precondition-failed")
    assert (
        await business.provider.delete(entity["href"], headers={"if-match": f'"x", {second}'})
    ).status == 204


async def test_other_kinds_of_patch_are_named_as_not_understood(business: Business) -> None:
    entity = await made(business)
    answer = await business.provider.patch(
        entity["href"], body=b"<x/>", headers={"content-type": "application/xml-patch+xml"}
    )
    check_refused(answer, 415, "unsupported-media-type")
    for media_type in ("merge-patch+json", "json-patch+json", "json-patch-query+json"):
        assert f"application/{media_type}" in answer.headers["accept-patch"]


async def test_a_change_of_status_is_told_from_other_changes(business: Business) -> None:
    entity = await made(business)
    await business.provider.patch(entity["href"], {"version": "2"})
    await business.provider.patch(entity["href"], {"lifecycleStatus": "Retired"})
    await business.provider.delete(entity["href"])
    changes = await business.store.changes(0, 10)
    assert [change.operation for change in changes] == ["create", "change", "state", "delete"]


# -- delete -------------------------------------------------------------------------------------------------------


async def test_a_deleted_entity_is_gone_and_its_identifier_free(business: Business) -> None:
    entity = await made(business, id="9881")
    answer = await business.provider.delete(entity["href"])
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    for method in ("GET", "DELETE"):
        check_refused(await business.provider.request(method, entity["href"]), 404, "not-found")
    assert (await business.anonymous.get(OFFERINGS)).headers["x-total-count"] == "0"
    await made(business, id="9881")
