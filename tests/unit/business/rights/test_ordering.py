"""Orders are held to the restrictions that the terms of an offering make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.rights.offering_terms import Ordering, country_of_organization, unmet_term
from hansa.core.canonical import canonical_json, hashlink
from hansa.store import EntityDraft
from tests.support.rights import ACME, BOLT, CITY, ORDERS, code_of, few_models, open_rights, party

NOW = "2026-06-01T00:00:00Z"
SPAIN, GERMANY = frozenset({BOLT}), frozenset({ACME})
OPERATOR = "did:elsi:VATES-99999999"


def unmet(term: dict[str, Any], customers: frozenset[str] = SPAIN, operator: str = OPERATOR) -> str | None:
    return unmet_term({"productOfferingTerm": [term]}, Ordering(operator, customers, NOW))


def customer(**attributes: Any) -> dict[str, Any]:
    return {"@type": "CustomerRestriction", "name": "Regions", **attributes}


@pytest.mark.parametrize("country", ["ES", "ESP", "Spain", "spain"])
def test_a_region_admits_its_customers_alone_however_it_is_written(country: str) -> None:
    for region in ({"country": country}, {"id": f"urn:ngsi-ld:country:{country.lower()}"}):
        permitted = customer(permittedCustomerRegion=[region])
        prohibited = customer(prohibitedCustomerRegion=[region])
        assert unmet(permitted) is None
        assert "permittedCustomerRegion" in (unmet(permitted, GERMANY) or "")
        assert "Regions" in (unmet(prohibited) or "")
        assert unmet(prohibited, GERMANY) is None


@pytest.mark.parametrize(
    "term",
    [
        customer(permittedCustomerRegion="ES"),
        customer(permittedCustomerRegion=[{"country": "Atlantis"}]),
        customer(prohibitedCustomerRegion=["ES"]),
        customer(prohibitedCustomerRegion=[{}]),
        customer(prohibitedCustomerRegions=[{"country": "DE"}]),
        customer(authenticatedOnly="yes"),
        customer(validFor={"endDateTime": "soon"}),
        customer(validFor={"endDateTime": "2026-05-31T00:00:00Z"}),
        customer(validFor={"startDateTime": "2026-06-02T00:00:00Z"}),
        {"@type": "OperatorRestriction", "prohibitedOperator": [{"id": ""}]},
    ],
)
def test_a_restriction_that_cannot_be_told_to_be_met_is_not(term: dict[str, Any]) -> None:
    assert unmet(term) is not None


def test_who_is_not_known_meets_no_restriction_of_customers() -> None:
    for term in (
        customer(permittedCustomerRegion=[{"country": "ES"}]),
        customer(prohibitedCustomerRegion=[{"country": "DE"}]),
        customer(authenticatedOnly=True),
        {"@type": "ProductRestriction", "unavailableRegion": [{"country": "DE"}]},
    ):
        assert unmet(term, frozenset()) is not None
        assert unmet(term) is None


def test_operators_are_restricted_by_name_and_region() -> None:
    operator = {"@type": "OperatorRestriction", "name": "Where"}
    assert unmet({**operator, "permittedOperator": [{"id": OPERATOR}]}) is None
    assert unmet({**operator, "permittedOperator": [{"id": "did:web:other"}]}) is not None
    assert unmet({**operator, "prohibitedOperator": [{"id": OPERATOR}]}) is not None
    assert unmet({**operator, "permittedLegalRegion": [{"country": "ESP"}]}) is None
    assert unmet({**operator, "prohibitedLegalRegion": [{"country": "ES"}]}) is not None
    assert unmet({**operator, "prohibitedLegalRegion": [{"country": "DE"}]}, operator="did:web:x") is not None


def test_other_terms_restrict_nothing() -> None:
    assert unmet({"name": "12 months", "duration": {"amount": 12, "units": "month"}}) is None
    assert unmet_term({"productOfferingTerm": None}, Ordering(OPERATOR, SPAIN, NOW)) is None


@given(st.sets(st.sampled_from(("ES", "DE", "PT", "FR"))), st.sampled_from((ACME, BOLT, CITY)))
def test_permitted_and_prohibited_are_opposites(codes: set[str], organization: str) -> None:
    regions = [{"country": one} for one in sorted(codes)]
    who = frozenset({organization})
    is_permitted = unmet(customer(permittedCustomerRegion=regions), who) is None
    is_prohibited = unmet(customer(prohibitedCustomerRegion=regions), who) is not None
    assert is_permitted == (not codes or country_of_organization(organization) in codes)
    assert not codes or is_permitted == is_prohibited


async def test_an_order_is_refused_with_the_term_also_within_a_bundle() -> None:
    market = await open_rights(models=few_models("TMF620", "TMF622"))
    restricted = {
        "id": "restricted",
        "@type": "ProductOffering",
        "productOfferingTerm": [customer(permittedCustomerRegion=[{"country": "ES"}])],
    }
    bundle = {
        "id": "bundle",
        "@type": "ProductOffering",
        "bundledProductOffering": [{"id": "restricted"}],
    }
    for fields in (restricted, bundle):
        body = canonical_json(fields)
        await market.put(EntityDraft(str(fields["id"]), "ProductOffering", body, hashlink(body), True))
    for offering in ("restricted", "bundle"):
        order = {"productOrderItem": [{"id": "1", "action": "add", "productOffering": {"id": offering}}]}
        refused = await market.as_("city").request("POST", ORDERS, order)
        assert (refused.status, code_of(refused)) == (403, "forbidden")
        assert "restricted may not be ordered" in refused.json()["message"]
        assert "'Regions' (CustomerRestriction)" in refused.json()["message"]
        assert (await market.as_("bolt").request("POST", ORDERS, order)).status == 201
        named = {**order, "relatedParty": [party(CITY, "Buyer")]}
        assert (await market.as_("provider").request("POST", ORDERS, named)).status == 403
        unnamed = await market.as_("provider").request("POST", ORDERS, order)
        assert unnamed.status == 403
    await market.store.close()


async def test_a_change_is_held_to_the_terms_of_what_it_adds_and_to_new_buyers() -> None:
    market = await open_rights(models=few_models("TMF620", "TMF622"))
    term = customer(permittedCustomerRegion=[{"country": "ES"}])
    for id, terms in (("restricted", [term]), ("free", [])):
        body = canonical_json({"id": id, "@type": "ProductOffering", "productOfferingTerm": terms})
        await market.put(EntityDraft(id, "ProductOffering", body, hashlink(body), True))

    def items(*offerings: str) -> list[dict[str, Any]]:
        return [
            {"id": str(number), "action": "add", "productOffering": {"id": one}}
            for number, one in enumerate(offerings)
        ]

    async def patched(order: dict[str, Any], **changes: Any) -> int:
        response = await market.patched("operator", order["href"], changes)
        if response.status == 403:
            assert "restricted may not be ordered" in response.json()["message"]
        return response.status

    lisbon = {"productOrderItem": items("free"), "relatedParty": [party(CITY, "Buyer")]}
    made = await market.created("operator", ORDERS, lisbon)
    assert await patched(made, productOrderItem=items("free", "restricted")) == 403
    assert await patched(made, description="to the back door") == 200
    madrid = {"productOrderItem": items("free", "restricted"), "relatedParty": [party(BOLT, "Buyer")]}
    other = await market.created("operator", ORDERS, madrid)
    assert await patched(other, relatedParty=[party(CITY, "Buyer")]) == 403
    never = customer(permittedCustomerRegion=[{"country": "PT"}])
    body = canonical_json({"id": "restricted", "@type": "ProductOffering", "productOfferingTerm": [never]})
    await market.put(EntityDraft("restricted", "ProductOffering", body, hashlink(body), True))
    assert await patched(other, productOrderItem=items("restricted")) == 200, "it was ordered before"
    await market.store.close()
