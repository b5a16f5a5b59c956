"""`visibleTo`: the provider of an entity chooses which marketplaces get it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.core.members import Member
from tests.support.asgi import AsgiClient
from tests.support.business import Business, open_business

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
HERE = "here; reason=visibility"
PRIVATE = "private; reason=visibility"


@pytest.fixture
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


def body(visible_to: Any, status: str = "Launched") -> dict[str, Any]:
    return {"name": "x", "lifecycleStatus": status, "visibleTo": visible_to}


@pytest.mark.parametrize(
    ("visible_to", "publication", "status"),
    [
        (["everyone"], "public", 200),
        (["here"], HERE, 200),
        ([DID], HERE, 200),
        (["country:DE"], PRIVATE, 404),
        ([DID, "country:DE"], PRIVATE, 404),
    ],
)
async def test_each_visibility_says_who_sees_the_entity(
    business: Business, visible_to: list[str], publication: str, status: int
) -> None:
    created = await business.provider.post(OFFERINGS, body(visible_to))
    assert (created.status, created.headers["hansa-publication"]) == (201, publication)
    address = created.headers["location"]
    assert (await business.anonymous.get(address)).status == status
    assert (await business.provider.get(address)).json()["visibleTo"] == visible_to
    listed = await business.anonymous.get(OFFERINGS)
    assert len(listed.json()) == (status == 200)


@pytest.mark.parametrize(
    "visible_to",
    [[], "here", ["Here"], ["everyone", "here"], ["country:Germany"], [1], {"here": True}, ["did:"]],
)
async def test_a_visibility_that_cannot_be_read_is_refused(business: Business, visible_to: Any) -> None:
    refused = await business.provider.post(OFFERINGS, body(visible_to))
    assert refused.status == 400
    assert "visibleTo" in refused.json()["message"]
    created = await business.provider.post(OFFERINGS, body(["here"]))
    patched = await business.provider.patch(created.headers["location"], {"visibleTo": visible_to})
    assert patched.status == 400


async def test_a_change_of_visibility_takes_effect_at_once(business: Business) -> None:
    created = await business.provider.post(OFFERINGS, {"name": "x", "lifecycleStatus": "Launched"})
    address = created.headers["location"]
    for visible_to, publication, status in (
        (["country:DE"], PRIVATE, 404),
        (["here"], HERE, 200),
        (None, "public", 200),
    ):
        patched = await business.provider.patch(address, {"visibleTo": visible_to})
        assert (patched.status, patched.headers["hansa-publication"]) == (200, publication)
        assert (await business.anonymous.get(address)).status == status


async def test_a_draft_stays_one_whoever_might_see_it(business: Business) -> None:
    for visible_to in (["everyone"], ["here"]):
        created = await business.provider.post(OFFERINGS, body(visible_to, "In design"))
        assert created.headers["hansa-publication"] == "private; reason=lifecycle-status"
        assert (await business.anonymous.get(created.headers["location"])).status == 404


async def test_a_type_that_is_private_has_no_visibility(business: Business) -> None:
    path = "/tmf-api/party/v4/individual"
    refused = await business.provider.post(
        path, {"givenName": "A", "familyName": "B", "visibleTo": ["everyone"]}
    )
    assert refused.status == 400


@pytest.mark.parametrize(
    ("condition", "reason"),
    [("publish.cedar", "publish.cedar"), ("publish.cedar#no\r\nx: y", "publish.cedar#no%0D%0Ax%3A%20y")],
)
async def test_what_a_condition_of_the_operator_withholds_is_not_called_public(
    business: Business, condition: str, reason: str
) -> None:
    context = msgspec.structs.replace(business.context, withheld_by=lambda _: condition)
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")
    created = await client.post(OFFERINGS, {"name": "x", "lifecycleStatus": "Launched"})
    assert created.headers["hansa-publication"] == f"here; reason={reason}"
    draft = await client.post(OFFERINGS, {"name": "x", "visibleTo": ["here"], "lifecycleStatus": "Launched"})
    assert draft.headers["hansa-publication"] == HERE


async def test_what_waits_for_a_claim_that_is_never_made_is_called_private() -> None:
    member = Member("did:web:market.example", "market", "http://market.example", (), 1)
    business = await open_business(members=[member])
    context = msgspec.structs.replace(business.context, withheld_by=lambda _: "publish.cedar")
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")
    body = {"id": "urn:acme:chosen", "name": "x", "lifecycleStatus": "Launched"}
    created = await client.post(OFFERINGS, body)
    assert created.headers["hansa-publication"] == "private; reason=publish.cedar"
    read = await client.get(created.headers["location"].removeprefix(business.endpoint))
    assert read.headers["hansa-publication"] == "private; reason=publish.cedar"
    await business.store.close()
