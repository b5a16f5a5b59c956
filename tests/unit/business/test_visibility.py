"""An organization's public part: what strangers and other members see of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.business.visibility import PublicParts
from tests.support.business import MODELS, PARTY, Business
from tests.unit.business.test_resources import check_refused

ORGANIZATIONS = f"{PARTY}/organization"
PRIVATE = {
    "contactMedium": [{"mediumType": "email", "characteristic": {"emailAddress": "clerk@hanse.example"}}],
    "creditRating": [{"creditAgencyName": "Agency", "ratingScore": 3}],
    "relatedParty": [{"id": "urn:person", "@referredType": "Individual", "role": "director"}],
}


@pytest.fixture
async def organization(business: Business) -> Any:
    answer = await business.provider.post(ORGANIZATIONS, {"tradingName": "Hanse", **PRIVATE})
    assert answer.status == 201, answer.body
    return answer.json()


async def test_strangers_see_the_public_part(business: Business, organization: Any) -> None:
    target = f"{ORGANIZATIONS}/{organization['id']}"
    public = {name: value for name, value in organization.items() if name not in PRIVATE}
    assert (await business.anonymous.get(target)).json() == public
    assert (await business.anonymous.get(ORGANIZATIONS)).json() == [public]
    assert (await business.anonymous.get(f"{target}?fields=creditRating,tradingName")).json() == {
        "id": organization["id"],
        "href": organization["href"],
        "tradingName": "Hanse",
    }
    assert (await business.reader.get(target)).json() == organization


async def test_each_part_has_an_etag_of_its_own(business: Business, organization: Any) -> None:
    target = f"{ORGANIZATIONS}/{organization['id']}"
    seen = (await business.anonymous.get(target)).headers["etag"]
    assert seen != (await business.reader.get(target)).headers["etag"]
    await business.provider.patch(target, {"creditRating": []})
    assert (await business.anonymous.get(target)).headers["etag"] == seen


@pytest.mark.parametrize(
    "query",
    ["creditRating.ratingScore=3", "relatedParty.id=urn:person", "sort=creditRating.ratingScore"],
)
async def test_strangers_cannot_ask_for_what_is_private(
    business: Business, organization: Any, query: str
) -> None:
    check_refused(await business.anonymous.get(f"{ORGANIZATIONS}?{query}"), 400, "invalid")
    assert (await business.reader.get(f"{ORGANIZATIONS}?{query}")).status == 200


async def test_a_jsonpath_of_a_stranger_reaches_the_public_part(
    business: Business, organization: Any
) -> None:
    query = "filter=$..[?(@.ratingScore>1)]"
    assert (await business.anonymous.get(f"{ORGANIZATIONS}?{query}")).json() == []
    assert len((await business.reader.get(f"{ORGANIZATIONS}?{query}")).json()) == 1


async def test_references_are_filled_with_the_public_part(business: Business, organization: Any) -> None:
    offering = await business.provider.post(
        "/tmf-api/productCatalogManagement/v4/productSpecification",
        {
            "name": "Disk",
            "lifecycleStatus": "Launched",
            "relatedParty": [{"id": organization["id"], "@referredType": "Organization"}],
        },
    )
    target = offering.json()["href"] + "?expand=relatedParty"
    (filled,) = (await business.anonymous.get(target)).json()["relatedParty"]
    assert filled["tradingName"] == "Hanse"
    assert not filled.keys() & (PRIVATE.keys() - {"relatedParty"})


async def test_other_members_get_the_public_part_under_its_own_hash(
    business: Business, organization: Any
) -> None:
    entity = await business.store.entity(organization["id"])
    assert entity is not None
    published = PublicParts(MODELS).published(entity)
    assert not msgspec.json.decode(published.body).keys() & PRIVATE.keys()
    assert published.hashlink != entity.hashlink
    replica = msgspec.structs.replace(entity, origin="did:web:riga.example")
    assert PublicParts(MODELS).published(replica) is replica


def test_only_catalogue_types_have_private_attributes() -> None:
    for api in MODELS.apis:
        for resource in api.resources:
            private = [one for one in api.attributes_of(resource.type).values() if one.is_private]
            assert not private or resource.visibility == "catalogue", resource.collection
