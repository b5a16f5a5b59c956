"""Who sees and who may change what: private types, drafts, tokens, replicas."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.core.canonical import canonical_json, hashlink
from hansa.store import EntityDraft
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, ENDPOINT, PARTY, Business
from tests.unit.business.test_resources import check_refused, made

OFFERINGS = f"{CATALOG}/productOffering"
PEOPLE = f"{PARTY}/individual"
JANE = {"givenName": "Jane", "familyName": "Doe"}
ELSEWHERE = "did:key:zElsewhere"


async def replica(business: Business, **attributes: Any) -> str:
    """Address of an offering whose origin is another marketplace."""
    body = {
        "id": "r1",
        "@type": "ProductOffering",
        "name": "Far",
        "lifecycleStatus": "Launched",
        **attributes,
    }
    canonical = canonical_json(body)
    draft = EntityDraft(
        "r1", "ProductOffering", canonical, hashlink(canonical), public=True, origin=ELSEWHERE
    )
    async with business.store.transaction() as tx:
        await tx.put(draft)
    return f"{OFFERINGS}/r1"


@pytest.mark.parametrize("status", ["left", "removed"])
async def test_a_replica_of_a_former_member_says_so(business: Business, status: str) -> None:
    address = await replica(business)
    assert "hansa-origin-status" not in (await business.anonymous.get(address)).headers
    former = msgspec.structs.replace(business.context, former_status={ELSEWHERE: status}.get)
    client = AsgiClient(BusinessApp(former))
    answer = await client.get(address)
    assert answer.headers["hansa-origin-status"] == status
    unchanged = await client.with_headers(**{"If-None-Match": answer.headers["etag"]}).get(address)
    assert (unchanged.status, unchanged.headers["hansa-origin-status"]) == (304, status)
    own = await made(business)
    assert "hansa-origin-status" not in (await client.get(own["href"])).headers


async def test_people_are_private(business: Business) -> None:
    address = (await business.provider.post(PEOPLE, JANE)).json()["href"]
    for target in (address, PEOPLE, f"{PEOPLE}?givenName=Jane", f"{PEOPLE}/nobody"):
        answer = await business.anonymous.get(target)
        check_refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await business.reader.get(address)).json()["givenName"] == "Jane"
    assert (await business.reader.get(PEOPLE)).headers["x-total-count"] == "1"


@pytest.mark.parametrize("status", ["In study", "In design", "Active", "Lauched", "Rejected"])
async def test_a_draft_does_not_exist_for_who_has_no_token(business: Business, status: str) -> None:
    draft, _ = await made(business, lifecycleStatus=status), await made(business, name="public")
    check_refused(await business.anonymous.get(draft["href"]), 404, "not-found")
    for query in ("", f"?id={draft['id']}", f"?lifecycleStatus={status}", "?name=Edge%20node"):
        answer = await business.anonymous.get(OFFERINGS + query)
        assert draft["id"] not in [entity["id"] for entity in answer.json()]
        assert answer.headers["x-total-count"] == str(len(answer.json()))
    assert (await business.reader.get(draft["href"])).json() == draft
    assert (await business.reader.get(OFFERINGS)).headers["x-total-count"] == "2"


@pytest.mark.parametrize("status", ["Launched", "Retired", "Obsolete"])
async def test_a_public_entity_needs_no_token(business: Business, status: str) -> None:
    entity = await made(business, lifecycleStatus=status)
    assert (await business.anonymous.get(entity["href"])).status == 200


async def test_an_entity_becomes_public_and_private_with_its_status(business: Business) -> None:
    entity = await made(business, lifecycleStatus="In design")
    for status, seen in (("Launched", 200), ("Active", 404), ("Retired", 200), ("Obsolete", 200)):
        assert (await business.provider.patch(entity["href"], {"lifecycleStatus": status})).status == 200
        assert (await business.anonymous.get(entity["href"])).status == seen


async def test_an_organization_is_public_whatever_its_status(business: Business) -> None:
    for body in ({"tradingName": "Hanse"}, {"tradingName": "Hanse", "status": "closed"}):
        address = (await business.provider.post(f"{PARTY}/organization", body)).json()["href"]
        assert (await business.anonymous.get(address)).status == 200


WRITES = [("POST", OFFERINGS), ("PATCH", f"{OFFERINGS}/x"), ("DELETE", f"{OFFERINGS}/x"), ("POST", PEOPLE)]


@pytest.mark.parametrize(("method", "target"), WRITES)
async def test_a_write_needs_a_token_with_the_right(business: Business, method: str, target: str) -> None:
    answer = await business.anonymous.request(method, target, {"name": "x"})
    check_refused(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    check_refused(await business.reader.request(method, target, {"name": "x"}), 403, "forbidden")


async def test_a_token_that_does_not_hold_is_refused_even_where_none_is_needed(business: Business) -> None:
    entity = await made(business)
    forged = business.anonymous.with_headers(authorization="Bearer forged")
    for method, target in (("GET", entity["href"]), ("GET", OFFERINGS), *WRITES, ("GET", f"{CATALOG}/hub")):
        check_refused(await forged.request(method, target), 401, "unauthenticated")


async def test_a_body_is_not_read_before_the_caller_may_send_it(business: Business) -> None:
    answer = await business.anonymous.post(OFFERINGS, body=b"{" * 100)
    check_refused(answer, 401, "unauthenticated")


async def test_a_replica_is_read_like_any_other_entity(business: Business) -> None:
    address = await replica(business)
    actual = (await business.anonymous.get(address)).json()
    assert (actual["name"], actual["href"]) == ("Far", ENDPOINT + address)


async def test_a_replica_is_read_only_and_the_reason_names_its_origin(business: Business) -> None:
    address = await replica(business)
    for method, target, body in (
        ("PATCH", address, {"name": "Near"}),
        ("DELETE", address, {}),
        ("POST", OFFERINGS, {"name": "Near", "id": "r1"}),
        ("POST", f"{CATALOG}/category", {"name": "Near", "id": "r1"}),
    ):
        message = check_refused(
            await business.operator.request(method, target, body), 409, "read-only-replica"
        )
        assert ELSEWHERE in message
    assert (await business.anonymous.get(address)).json()["name"] == "Far"


async def test_an_odd_identifier_of_a_replica_breaks_no_answer(business: Business) -> None:
    odd = 'a"b\\c d/ä?#'
    canonical = canonical_json({"id": odd, "@type": "ProductOffering", "lifecycleStatus": "Launched"})
    async with business.store.transaction() as tx:
        await tx.put(
            EntityDraft(odd, "ProductOffering", canonical, hashlink(canonical), public=True, origin=ELSEWHERE)
        )
    own = (await business.operator.post(OFFERINGS, {"name": "Plain", "lifecycleStatus": "Launched"})).json()
    entity, plain = (await business.anonymous.get(OFFERINGS)).json()
    assert plain == own
    assert entity["id"] == odd
    assert entity["href"] == f"{ENDPOINT}{OFFERINGS}/a%22b%5Cc%20d%2F%C3%A4%3F%23"
