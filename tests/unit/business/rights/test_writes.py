"""Who may write what: an organisation's people what is its own, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.rights import (
    ACME,
    BOLT,
    CITY,
    DRAFT,
    LAUNCHED,
    OFFERINGS,
    ORDER,
    ORDERS,
    RightsBusiness,
    code_of,
    few_models,
    open_rights,
    party,
)

FEW = few_models("TMF620", "TMF622", "TMF632", "TMF651", "TMF678", "TMF673", "TMF654")
JSON_PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture
async def market() -> AsyncIterator[RightsBusiness]:
    one = await open_rights(models=FEW)
    yield one
    await one.store.close()


# -- create ---------------------------------------------------------------------------------------------------


async def test_the_owner_of_what_a_provider_creates_is_its_organisation(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, DRAFT)
    assert [(one["id"], one["role"]) for one in made["relatedParty"]] == [(f"did:elsi:{ACME}", "Owner")]


@pytest.mark.parametrize(
    "parties",
    [
        [party(BOLT)],
        [party(ACME), party(BOLT)],
        [party(ACME), party(BOLT, "Seller")],
        [party(ACME), party(BOLT, "SELLER ")],
        [party(ACME, id="x", name=f"did:elsi:{BOLT}")],
        [party(ACME, name=f"did:elsi:{BOLT}")],
        [party(ACME.lower())],
        [party(ACME.replace("A", "\u0410"))],
        [party(ACME, id=ACME)],
        [{"id": "", "role": "Owner", "@referredType": "Organization"}, party(ACME)],
    ],
    ids=[
        *("another", "two owners", "another seller", "odd role", "name of another", "two names"),
        *("lower case", "lookalike", "bare identifier", "nobody"),
    ],
)
async def test_nothing_is_created_that_belongs_to_somebody_else(
    market: RightsBusiness, parties: list[dict[str, Any]]
) -> None:
    response = await market.as_("acme").request("POST", OFFERINGS, {**DRAFT, "relatedParty": parties})
    assert (response.status, code_of(response)) == (403, "forbidden")
    assert ACME in response.json()["message"]


async def test_a_power_that_is_missing_is_named_with_its_organisation(market: RightsBusiness) -> None:
    response = await market.as_("acme-clerk").request("POST", OFFERINGS, DRAFT)
    assert (response.status, code_of(response)) == (403, "power-missing")
    assert f"DOME/ProductOffering/Create of {ACME}" in response.json()["message"]


async def test_a_price_belongs_to_the_provider_that_creates_it(market: RightsBusiness) -> None:
    prices = OFFERINGS + "Price"
    made = await market.created("acme", prices, {"name": "Monthly", "lifecycleStatus": "Active"})
    assert (await market.patched("bolt", f"{prices}/{made['id']}", {"name": "x"})).status == 404
    assert (await market.patched("acme", f"{prices}/{made['id']}", {"name": "x"})).status == 200


async def test_a_buyer_orders_in_its_own_name_alone(market: RightsBusiness) -> None:
    made = await market.created("city", ORDERS, ORDER)
    assert [(one["id"], one["role"]) for one in made["relatedParty"]] == [(f"did:elsi:{CITY}", "Buyer")]
    for name, parties in (
        ("city", [party(ACME, "Buyer")]),
        ("acme", [party(CITY, "Buyer"), party(ACME, "Seller")]),
        ("city", [party(CITY, "Buyer"), party(BOLT, "Customer")]),
    ):
        response = await market.as_(name).request("POST", ORDERS, {**ORDER, "relatedParty": parties})
        assert (response.status, code_of(response)) == (403, "forbidden")


async def test_several_are_created_as_one_is(market: RightsBusiness) -> None:
    for name, parties, status in (("acme", [party(ACME)], 200), ("acme", [party(BOLT)], 403)):
        body = [{"op": "add", "path": "/-", "value": {**DRAFT, "relatedParty": parties}}]
        response = await market.patched(name, OFFERINGS, body, JSON_PATCH)
        assert response.status in {status, 201, 405}
        if status == 403:
            assert response.status in {403, 405}


# -- change and delete ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [LAUNCHED, DRAFT], ids=["public", "draft"])
async def test_what_is_another_organisations_is_not_written(
    market: RightsBusiness, body: dict[str, Any]
) -> None:
    made = await market.created("acme", OFFERINGS, body)
    target = f"{OFFERINGS}/{made['id']}"
    status = 403 if body is LAUNCHED else 404
    for name in ("bolt", "city"):
        assert (await market.patched(name, target, {"name": "x"})).status == status
        assert (await market.as_(name).request("DELETE", target)).status == status
    for name in ("acme", "provider", "operator", "boss"):
        assert (await market.patched(name, target, {"name": name})).status == 200
    assert (await market.patched("reader", target, {"name": "x"})).status == 403
    assert (await market.patched("stranger", target, {"name": "x"})).status == 401
    assert (await market.as_("acme").request("DELETE", target)).status == 204


@pytest.mark.parametrize(
    "patch",
    [
        {"relatedParty": None},
        {"relatedParty": []},
        {"relatedParty": [party(BOLT)]},
        {"relatedParty": [party(ACME), party(BOLT)]},
        {"relatedParty": [party(ACME, "Reseller")]},
        {"relatedParty": [party(ACME.lower())]},
    ],
    ids=["removed", "emptied", "given away", "shared", "no owner", "another case"],
)
async def test_an_update_gives_nothing_away(market: RightsBusiness, patch: dict[str, Any]) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    target = f"{OFFERINGS}/{made['id']}"
    response = await market.patched("acme", target, patch)
    assert (response.status, code_of(response)) == (403, "forbidden")
    now = (await market.as_("acme").request("GET", target)).json()
    assert now["relatedParty"] == made["relatedParty"]


async def test_a_json_patch_smuggles_no_party_in(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    for operation in (
        {"op": "add", "path": "/relatedParty/-", "value": party(BOLT)},
        {"op": "replace", "path": "/relatedParty/0/id", "value": f"did:elsi:{BOLT}"},
        {"op": "remove", "path": "/relatedParty/0"},
    ):
        response = await market.patched("acme", f"{OFFERINGS}/{made['id']}", [operation], JSON_PATCH)
        assert response.status == 403


async def test_a_stolen_offering_is_not_taken_by_naming_oneself(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    response = await market.patched("bolt", f"{OFFERINGS}/{made['id']}", {"relatedParty": [party(BOLT)]})
    assert (response.status, code_of(response)) == (403, "forbidden")


async def test_a_partner_can_be_added_to_an_offering(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, DRAFT)
    target = f"{OFFERINGS}/{made['id']}"
    assert (await market.as_("city").request("GET", target)).status == 404
    parties = [party(ACME), party(CITY, "Reseller")]
    assert (await market.patched("acme", target, {"relatedParty": parties})).status == 200
    assert (await market.as_("city").request("GET", target)).status == 200
    assert (await market.patched("city", target, {"name": "x"})).status == 403


async def test_the_parties_of_an_order_stay(market: RightsBusiness) -> None:
    parties = [party(CITY, "Buyer"), party(ACME, "Seller")]
    made = await market.created("city", ORDERS, {**ORDER, "relatedParty": parties})
    target = f"{ORDERS}/{made['id']}"
    assert (await market.as_("bolt").request("GET", target)).status == 404
    assert (await market.patched("city", target, {"description": "x"})).status == 403
    assert (await market.patched("acme", target, {"description": "x"})).status == 200
    for changed in ([party(ACME, "Seller")], [*parties, party(BOLT, "Buyer")], [*parties, party(BOLT, "x")]):
        response = await market.patched("acme", target, {"relatedParty": changed})
        assert (response.status, code_of(response)) == (403, "forbidden")


async def test_a_seller_does_not_write_what_its_credential_does_not_cover(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    response = await market.patched("acme-clerk", f"{OFFERINGS}/{made['id']}", {"name": "x"})
    assert (response.status, code_of(response)) == (403, "power-missing")
    assert (await market.patched("acme-machine", f"{OFFERINGS}/{made['id']}", {"name": "x"})).status == 200


# -- organisations, tasks, sub-resources, jobs -----------------------------------------------------------------


ORGANIZATIONS = "/tmf-api/party/v4/organization"


def organization(identifier: str) -> dict[str, Any]:
    return {
        "tradingName": "One",
        "externalReference": [{"name": f"did:elsi:{identifier}", "externalReferenceType": "idm_id"}],
    }


async def test_an_organisation_is_a_party_by_the_entity_that_describes_it(market: RightsBusiness) -> None:
    acme = await market.created("operator", ORGANIZATIONS, organization(ACME))
    made = await market.created(
        "operator", OFFERINGS, {**DRAFT, "relatedParty": [party(ACME, id=acme["id"])]}
    )
    target = f"{OFFERINGS}/{made['id']}"
    assert (await market.as_("acme").request("GET", target)).status == 200
    assert (await market.as_("bolt").request("GET", target)).status == 404
    assert (await market.patched("acme", target, {"name": "x"})).status == 200
    listed = await market.as_("acme").request("GET", f"{OFFERINGS}?fields=name")
    assert [one["id"] for one in listed.json()] == [made["id"]]


async def test_nobody_becomes_a_party_by_describing_an_organisation(market: RightsBusiness) -> None:
    acme = await market.created("acme", ORGANIZATIONS, organization(ACME))
    made = await market.created(
        "operator", OFFERINGS, {**DRAFT, "relatedParty": [party(ACME, id=acme["id"])]}
    )
    assert (await market.as_("bolt").request("POST", ORGANIZATIONS, organization(ACME))).status == 403
    both = organization(BOLT)["externalReference"] + organization(ACME)["externalReference"]
    target = f"{ORGANIZATIONS}/{acme['id']}"
    assert (await market.patched("bolt", target, {"externalReference": both})).status == 403
    assert (await market.patched("acme", target, {"externalReference": both})).status == 403
    assert (await market.as_("bolt").request("GET", f"{OFFERINGS}/{made['id']}")).status == 404


async def test_private_attributes_are_shown_to_their_organisation_and_are_no_oracle(
    market: RightsBusiness,
) -> None:
    body = {**organization(ACME), "contactMedium": [{"mediumType": "email"}]}
    acme = await market.created("acme", ORGANIZATIONS, body)
    target = f"{ORGANIZATIONS}/{acme['id']}"
    assert "contactMedium" in (await market.as_("acme").request("GET", target)).json()
    assert "contactMedium" not in (await market.as_("bolt").request("GET", target)).json()
    assert "contactMedium" in (await market.as_("acme").request("GET", ORGANIZATIONS)).json()[0]
    assert "contactMedium" not in (await market.as_("bolt").request("GET", ORGANIZATIONS)).json()[0]
    for query in ("contactMedium.mediumType=email", "sort=contactMedium.mediumType"):
        assert (await market.as_("bolt").request("GET", f"{ORGANIZATIONS}?{query}")).status == 400


async def test_a_buyer_cancels_its_own_order_alone(market: RightsBusiness) -> None:
    cancel = ORDERS.replace("/productOrder", "/cancelProductOrder").replace(
        "cancelProductOrdering", "productOrdering"
    )
    parties = [party(CITY, "Buyer"), party(ACME, "Seller")]
    made = await market.created("city", ORDERS, {**ORDER, "relatedParty": parties})
    body = {"productOrder": {"id": made["id"]}, "cancellationReason": "x"}
    response = await market.as_("bolt").request("POST", cancel, body)
    assert (response.status, code_of(response)) == (404, "not-found")
    missing = await market.as_("bolt").request("POST", cancel, {"productOrder": {"id": "none"}})
    assert response.json()["message"].replace(made["id"], "none") == missing.json()["message"]
    assert (await market.as_("acme-clerk").request("POST", cancel, body)).status == 403
    assert (await market.as_("city").request("POST", cancel, body)).status == 201
    now = (await market.as_("city").request("GET", f"{ORDERS}/{made['id']}")).json()
    assert now["state"] == "cancelled"


@pytest.mark.parametrize("name", ["acme", "city", "acme-clerk"])
async def test_jobs_are_for_tokens_alone(market: RightsBusiness, name: str) -> None:
    for kind in ("exportJob", "importJob"):
        target = OFFERINGS.replace("productOffering", kind)
        assert (await market.as_(name).request("GET", target)).status == 403
        assert (await market.as_(name).request("POST", target, {"url": "x"})).status == 403


async def test_who_acts_for_no_organisation_needs_a_token_that_writes_for_a_listener(
    market: RightsBusiness,
) -> None:
    hub = OFFERINGS.replace("productOffering", "hub")
    for name, status in (("stranger", 401), ("reader", 403), ("provider", 201), ("acme-clerk", 201)):
        body = {"callback": f"https://listener.example/{name}"}
        assert (await market.as_(name).request("POST", hub, body)).status == status


async def test_references_are_filled_with_what_the_caller_may_read(market: RightsBusiness) -> None:
    draft = await market.created("bolt", OFFERINGS, DRAFT)
    own = await market.created("acme", OFFERINGS, {**DRAFT, "name": "Own"})
    bundle = {
        **DRAFT,
        "name": "Bundle",
        "bundledProductOffering": [{"id": draft["id"]}, {"id": own["id"]}],
    }
    made = await market.created("acme", OFFERINGS, bundle)
    for query in ("depth=2", "expand=bundledProductOffering"):
        response = await market.as_("acme").request("GET", f"{OFFERINGS}/{made['id']}?{query}")
        theirs, mine = response.json()["bundledProductOffering"]
        assert theirs == {"id": draft["id"]}
        assert mine["name"] == "Own"


async def test_counts_filters_and_orders_tell_nothing_of_what_is_hidden(market: RightsBusiness) -> None:
    for number in range(3):
        await market.created("bolt", OFFERINGS, {**DRAFT, "name": f"secret {number}"})
    await market.created("acme", OFFERINGS, {**DRAFT, "name": "mine"})
    for query in ("", "name=secret%201", "name.regex=secret", "sort=name", "sort=-lastUpdate", "limit=1"):
        response = await market.as_("acme").request("GET", f"{OFFERINGS}?{query}")
        hidden = query.startswith("name")
        assert response.headers["x-total-count"] == ("0" if hidden else "1")
        assert b"secret" not in response.body
    twice = await market.as_("acme").request("GET", OFFERINGS)
    assert (await market.as_("acme").request("GET", OFFERINGS)).body == twice.body
    theirs = await market.as_("bolt").request("GET", OFFERINGS)
    assert theirs.headers["x-total-count"] == "3"


async def test_nobody_tops_its_own_balance_up(market: RightsBusiness) -> None:
    base = "/tmf-api/prepayBalanceManagement/v4"
    bucket = await market.created(
        "operator",
        f"{base}/bucket",
        {
            "usageType": "monetary",
            "remainingValue": {"amount": 1, "units": "EUR"},
            "relatedParty": [party(ACME)],
        },
    )
    body = {
        "bucket": {"id": bucket["id"]},
        "amount": {"amount": 1000, "units": "EUR"},
        "usageType": "monetary",
        "partyAccount": {"id": "a", "name": "a", "status": "active"},
        "channel": {"id": "c"},
        "logicalResource": [{"id": "l"}],
        "product": [{"id": "p"}],
    }
    refused = await market.as_("acme").request("POST", f"{base}/topupBalance", body)
    assert refused.status == 403
    now = (await market.as_("acme").request("GET", f"{base}/bucket/{bucket['id']}")).json()
    assert now["remainingValue"]["amount"] == 1
    assert (await market.as_("operator").request("POST", f"{base}/topupBalance", body)).status == 201
