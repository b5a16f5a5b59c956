"""Who may read what: catalogue types are read without a token, everything else needs one.

The list is written out here, so that a type that becomes public is public on purpose.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.support.business import MODELS, Business, open_business

CATALOGUE = {
    "AgreementSpecification",
    "AiContractSpecification",
    "AiModelSpecification",
    "AssociationSpecification",
    "Catalog",
    "Category",
    "EntityCatalog",
    "EntityCatalogItem",
    "EntityCategory",
    "EntitySpecification",
    "IotDeviceSpecification",
    "Organization",
    "ProductOffering",
    "ProductOfferingPrice",
    "ProductSpecification",
    "Promotion",
    "ResourceCandidate",
    "ResourceCatalog",
    "ResourceCategory",
    "ResourceSpecification",
    "ServiceCandidate",
    "ServiceCatalog",
    "ServiceCategory",
    "ServiceSpecification",
    "TMF730ResourceSpecification",
    "TMF908ResourceSpecification",
    "UsageSpecification",
}
NEVER_PUBLIC = (
    *(
        "Account",
        "Agreement",
        "Alarm",
        "Balance",
        "Bill",
        "Cart",
        "Customer",
        "Document",
        "Event",
        "Identity",
    ),
    *(
        "Incident",
        "Individual",
        "Interaction",
        "Inventory",
        "Job",
        "Message",
        "Monitor",
        "Order",
        "Partnership",
    ),
    *(
        "Payment",
        "Permission",
        "Privacy",
        "Problem",
        "Qualification",
        "Quote",
        "Refund",
        "Request",
        "Reservation",
    ),
    *("Risk", "Role", "Stock", "Ticket", "Topic", "Usage", "Userinfo"),
)
"""Words in names of types about people, accounts, orders, agreements, inventory, bills, documents, …"""
BRACES = re.compile(r"\{\w+\}")
COLLECTIONS = [(api.base_path + resource.path, resource) for api in MODELS.apis for resource in api.resources]


@pytest.fixture
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


def test_the_catalogue_types_are_those_that_are_written_here() -> None:
    assert MODELS.catalogue_types == CATALOGUE
    assert len(COLLECTIONS) == len(MODELS.types)


@pytest.mark.parametrize("name", sorted(MODELS.types - CATALOGUE))
def test_nothing_of_a_private_type_is_public_whatever_its_status(name: str) -> None:
    assert not any(MODELS.is_public(name, status) for status in (None, "Launched", "Retired", "Obsolete"))


def test_only_specifications_of_private_things_are_catalogue_types() -> None:
    assert {name for name in CATALOGUE if any(word in name for word in NEVER_PUBLIC)} == {
        "AgreementSpecification",
        "UsageSpecification",
    }


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_draft_is_not_public(name: str) -> None:
    _, resource = MODELS.served(name)
    assert resource.has_lifecycle or name == "Organization"
    if resource.has_lifecycle:
        assert resource.status_initial not in {None, "Launched", "Retired", "Obsolete"}
        for status in (None, resource.status_initial, "launched", "Active"):
            assert not MODELS.is_public(name, status)
    assert MODELS.is_public(name, "Launched")


def test_a_promotion_is_public_once_it_is_released_as_its_document_calls_that() -> None:
    states = ("draft", "test", "waitForApproval", "release", "suspend", "retirement")
    assert [MODELS.is_public("Promotion", state) for state in states] == [False] * 3 + [True] * 3
    assert not MODELS.is_public("Catalog", "release")


async def test_a_private_collection_needs_a_token_and_a_catalogue_needs_none(business: Business) -> None:
    told: dict[str, tuple[int, ...]] = {}
    expected: dict[str, tuple[int, ...]] = {}
    for path, resource in COLLECTIONS:
        place = BRACES.sub("nowhere", path)
        if "list" not in resource.methods:
            told[place] = ((await business.anonymous.post(place, {})).status,)
            expected[place] = (401,)
            continue
        found = 404 if resource.parent_name is not None else 200
        for read, status in ((place, found), (f"{place}/nothing", 404)):
            told[read] = (
                (await business.anonymous.get(read)).status,
                (await business.reader.get(read)).status,
            )
            expected[read] = (status if resource.collection in CATALOGUE else 401, status)
    assert told == expected


async def test_nobody_writes_without_a_token(business: Business) -> None:
    told: dict[str, int] = {}
    for path, resource in COLLECTIONS:
        place = BRACES.sub("nowhere", path)
        if "create" in resource.methods:
            told[place] = (await business.anonymous.post(place, {"name": "x"})).status
        if "delete" in resource.methods:
            told[f"DELETE {place}"] = (await business.anonymous.delete(f"{place}/x")).status
        if "patch" in resource.methods:
            told[f"PATCH {place}"] = (await business.anonymous.patch(f"{place}/x", {"name": "y"})).status
    assert {place for place, status in told.items() if status != 401} == set()
