"""Required attributes that clients leave out: completed, tolerated and named, or demanded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.context import Policies
from hansa.business.validation.inferred import REFERRED_TYPE
from hansa.business.validation.violations import MissingAttribute
from hansa.core.clock import rfc3339
from hansa.core.identifiers import kebab
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, ENDPOINT, PARTY, Business
from tests.unit.business.test_resources import check_refused

ORDERING = "/tmf-api/productOrderingManagement/v4"
ORGANIZATION = "urn:ngsi-ld:organization:5d0b5b6c-0c6e-4d07-8b6a-4f0d0a1b2c3d"
OFFERING = "urn:ngsi-ld:product-offering:5d0b5b6c-0c6e-4d07-8b6a-4f0d0a1b2c3e"
OWNER = {"id": ORGANIZATION, "role": "Owner"}

GUIDE: list[tuple[str, dict[str, Any], str | None]] = [
    (f"{PARTY}/organization", {"name": "Fancy Marketplace Inc."}, "tradingName"),
    (f"{CATALOG}/productOffering", {"name": "Edge", "relatedParty": [OWNER]}, None),
    (
        f"{ORDERING}/productOrder",
        {
            "productOrderItem": [
                {"action": "add", "productOffering": {"id": OFFERING}},
                {"id": "1", "action": "add", "productOffering": {"id": OFFERING}},
            ],
            "relatedParty": [OWNER],
        },
        None,
    ),
    (
        "/tmf-api/productInventory/v4/product",
        {"productPrice": [{"productOfferingPrice": {"id": "p"}}], "relatedParty": [OWNER]},
        "productPrice[0].price, productPrice[0].priceType",
    ),
    ("/tmf-api/usageManagement/v4/usage", {"relatedParty": [OWNER]}, None),
    ("/tmf-api/accountManagement/v4/billingAccount", {"name": "A", "relatedParty": [OWNER]}, "relatedParty[0].name"),
    ("/tmf-api/serviceInventory/v4/service", {"name": "S", "relatedParty": [OWNER]}, "serviceSpecification"),
    ("/tmf-api/alarm/v4/alarm", {"alarmType": "x", "perceivedSeverity": "major", "probableCause": "x",
     "sourceSystemId": "s", "alarmedObject": {"id": "a"}}, None),
]  # fmt: skip
"""As FIWARE's guide to a marketplace and the charging backend of BAE send them; and what stays missing."""


@pytest.mark.parametrize(("path", "body", "missing"), GUIDE, ids=[path for path, _, _ in GUIDE])
async def test_what_clients_that_exist_send_is_taken(
    business: Business, path: str, body: dict[str, Any], missing: str | None
) -> None:
    answer = await business.operator.post(path, body)
    assert answer.status == 201, answer.body
    named = answer.headers.get("hansa-missing")
    assert (None if named is None else sorted(named.split(", "))) == (missing and sorted(missing.split(", ")))
    for party in answer.json().get("relatedParty", []):
        assert party[REFERRED_TYPE] == "Organization"
    again = await business.operator.patch(
        answer.headers["location"], {"@schemaLocation": "https://x.example/"}
    )
    assert again.headers.get("hansa-missing") == named, again.body


async def test_what_is_demanded_in_strict_mode(business: Business) -> None:
    context = msgspec.structs.replace(business.context, policies=Policies(missing_attributes="strict"))
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer operator")
    for path, body, _ in GUIDE:
        answer = await client.post(path, body)
        assert "is required" in check_refused(answer, 400, "invalid") or path.endswith("usage")


async def test_first_states_moments_and_numbers_are_set(business: Business) -> None:
    bodies = {path.rpartition("/")[2]: (path, body) for path, body, _ in GUIDE}
    product = (await business.operator.post(*bodies["product"])).json()
    assert product["status"] == "created"
    order = (await business.operator.post(*bodies["productOrder"])).json()
    assert [item["id"] for item in order["productOrderItem"]] == ["2", "1"]
    alarm = (await business.operator.post(*bodies["alarm"])).json()
    assert alarm["alarmRaisedTime"] == rfc3339(business.clock.now())


async def test_the_store_tells_the_type_of_a_reference_whose_identifier_does_not(business: Business) -> None:
    party = (
        await business.provider.post(
            f"{PARTY}/individual", {"id": "ada", "givenName": "A", "familyName": "L"}
        )
    ).json()
    parties = [{"id": party["id"], "role": "Owner"}, {"id": "nobody", "role": "Seller"}]
    answer = await business.provider.post(
        f"{CATALOG}/productOffering", {"name": "x", "relatedParty": parties}
    )
    assert answer.headers["hansa-missing"] == "relatedParty[1].@referredType"
    assert answer.json()["relatedParty"][0][REFERRED_TYPE] == "Individual"
    assert REFERRED_TYPE not in answer.json()["relatedParty"][1]
    patched = await business.provider.patch(answer.headers["location"], {"relatedParty": parties[:1]})
    assert "hansa-missing" not in patched.headers
    assert patched.json()["relatedParty"][0][REFERRED_TYPE] == "Individual"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (f"{CATALOG}/productOffering", {"version": "1"}, "name: is required"),
        (
            f"{CATALOG}/productOffering",
            {"name": "x", "relatedParty": [{"role": "Owner"}]},
            "relatedParty[0].id",
        ),
        (f"{CATALOG}/productOffering", {"name": "x", "relatedParty": [{}], "isBundle": 1}, "isBundle: must"),
        (f"{PARTY}/organization", {"isHeadOffice": True}, "tradingName: is required"),
        (f"{ORDERING}/productOrder", {"description": "x"}, "productOrderItem: is required"),
        (f"{ORDERING}/productOrder", {"productOrderItem": [{"id": "1"}]}, "productOrderItem[0].action"),
        ("/tmf-api/serviceTestManagement/v4/serviceTest", {"name": "x"}, "testSpecification: is required"),
        (f"{ORDERING}/cancelProductOrder", {"cancellationReason": "x"}, "productOrder: is required"),
    ],
)
async def test_what_the_meaning_hangs_on_is_demanded(
    business: Business, path: str, body: dict[str, Any], message: str
) -> None:
    assert message in check_refused(await business.operator.post(path, body), 400, "invalid")


async def test_several_that_are_created_at_once_are_named_by_their_place(business: Business) -> None:
    patch = [{"op": "add", "path": "/", "value": {"name": name}} for name in ("a", "b")]
    patch[0]["value"]["tradingName"] = "A"  # type: ignore[index]
    answer = await business.provider.patch(
        f"{PARTY}/organization", patch, headers={"content-type": "application/json-patch+json"}
    )
    assert (answer.status, answer.headers["hansa-missing"]) == (200, "[1].tradingName")


async def test_every_reference_of_every_resource_is_completed_by_its_identifier(business: Business) -> None:
    """Wherever a reference stands at the top and requires its type."""
    tried = 0
    for api in business.models.apis:
        operations = business.app.operations[api.id]
        for resource in api.resources:
            for name, item in api.attributes_of(resource.type).items():
                target = business.models.references.target(item.type)
                if target is None or REFERRED_TYPE not in api.required_of(item.type, is_whole=False):
                    continue
                collections = target.collections or ("Organization",)
                collection = collections[0]
                kind = business.models.served(collection)[1].type
                reference = {"id": f"urn:ngsi-ld:{kebab(kind)}:1"}
                for required in api.required_of(item.type, is_whole=False):
                    reference.setdefault(required, "x") if required != REFERRED_TYPE else None
                body = {name: [reference] if item.is_list else reference}
                validator = operations[resource.collection].served.validator
                violations = validator.violations(resource.type, body)
                assert validator.inferred is not None
                validator.inferred.complete([one for one in violations if isinstance(one, MissingAttribute)])
                assert reference[REFERRED_TYPE] == kind, (api.id, resource.type, name)
                tried += 1
    assert tried > 50


async def test_addresses_are_completed_from_identifiers(business: Business) -> None:
    entity = {"id": ORGANIZATION}
    inferred = business.app.operations["TMF632"].by_collection["Organization"].served.validator.inferred
    assert inferred is not None
    target = business.models.references.target("OrganizationRef")
    assert inferred._address(entity, target) == f"{ENDPOINT}{PARTY}/organization/{ORGANIZATION}"


@pytest.mark.parametrize(
    ("reference", "completed"),
    [
        (
            {"href": "https://other.example/api/party/v4/organization/a%20b"},
            {"id": "a b", REFERRED_TYPE: "Organization"},
        ),
        (
            {"id": "7", "href": "https://other.example/api/party/v4/individual/7"},
            {REFERRED_TYPE: "Individual"},
        ),
        ({"href": f"{ENDPOINT}{PARTY}/organization/{ORGANIZATION}"}, {"id": ORGANIZATION}),
        ({"id": "7", "href": "/partyRoleManagement/v4/partyRole/7"}, {REFERRED_TYPE: "PartyRole"}),
    ],
)
async def test_a_reference_is_completed_from_its_address(
    business: Business, reference: dict[str, str], completed: dict[str, str]
) -> None:
    offering = {"name": "x", "relatedParty": [reference]}
    answer = await business.provider.post(f"{CATALOG}/productOffering", offering)
    assert answer.status == 201, answer.body
    assert "hansa-missing" not in answer.headers
    assert completed.items() <= answer.json()["relatedParty"][0].items()


@pytest.mark.parametrize(
    "href",
    ["https://other.example/", "https://other.example/x/7", "https://[", "organization/", "organization"],
)
async def test_an_address_that_says_no_identifier_completes_none(business: Business, href: str) -> None:
    offering = {"name": "x", "relatedParty": [{"href": href, REFERRED_TYPE: "Organization"}]}
    answer = await business.provider.post(f"{CATALOG}/productOffering", offering)
    assert "relatedParty[0].id: is required" in check_refused(answer, 400, "invalid")
