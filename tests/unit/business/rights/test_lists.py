"""A caller's list is the unrestricted list, filtered by the decision about each of its entities."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.access import Action, EntityFacts
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Refused
from hansa.store import EntityDraft
from tests.support.business import MODELS
from tests.support.rights import (
    ACME,
    BOLT,
    CALLERS,
    CITY,
    OFFERINGS,
    ORDERS,
    RightsBusiness,
    few_models,
    open_rights,
)

POLICIES = {
    "shipped": {},
    "writes": {"w.cedar": '@id("w") forbid (principal, action == Action::"delete", resource);'},
    "forbids": {
        "f.cedar": '@id("f") forbid (principal, action == Action::"read", resource) when { resource.status == "Launched" };'
    },
    "forbids-strangers": {
        "f.cedar": '@id("f") forbid (principal, action in [Action::"read", Action::"change"], resource) unless { principal.isAuthenticated };'
    },
    "permits": {
        "p.cedar": f'@id("p") permit (principal, action == Action::"read", resource) when {{ resource.buyers.contains(Organization::"{BOLT}") }};'
    },
    "anything": {"p.cedar": '@id("p") permit (principal, action, resource);'},
    "roles": {
        "r.cedar": '@id("r") forbid (principal, action == Action::"read", resource) when { resource.roles.contains("reseller") };'
    },
    "starlark": {
        "auth_policies.star": "def authorize():\n    return input.tmf.id != 'e1' or input.user.isAuthenticated\n"
    },
    "replaced": {
        "default.cedar": '@id("only") permit (principal, action == Action::"read", resource) when { !resource.isPublic };'
    },
}
FEW = few_models("TMF620", "TMF622", "TMF632")
organizations = st.sampled_from((ACME, BOLT, CITY, ACME.lower(), "VATDE-1", ""))
identifiers = st.one_of(
    organizations.map(lambda one: f"did:elsi:{one}"),
    st.sampled_from(("urn:ngsi-ld:organization:acme", "urn:ngsi-ld:organization:foreign", "x", "", ACME)),
)
parties = st.fixed_dictionaries(
    {},
    optional={
        "id": identifiers,
        "name": identifiers | st.just("Acme GmbH"),
        "role": st.sampled_from(("Owner", "seller", "Buyer", " Customer ", "Reseller", "\u041ewner", "")),
        "partyOrPartyRole": st.fixed_dictionaries({"name": identifiers}),
    },
)
entities = st.lists(
    st.tuples(
        st.sampled_from(("Launched", "In design", "acknowledged")),
        st.one_of(st.lists(parties, max_size=3), parties, st.none()),
        st.booleans(),
    ),
    max_size=12,
)


def drafts_of(collection: str, made: list[tuple[str, Any, bool]]) -> list[EntityDraft]:
    drafts = []
    for number, (status, related, is_public) in enumerate(made):
        fields: dict[str, Any] = {"id": f"e{number}", "@type": collection, "description": f"n{number % 3}"}
        fields["lifecycleStatus" if collection == "ProductOffering" else "state"] = status
        if related is not None:
            fields["relatedParty"] = related
        body = canonical_json(fields)
        public = is_public and collection == "ProductOffering"
        drafts.append(EntityDraft(f"e{number}", collection, body, hashlink(body), public))
    return drafts


def organization(id: str, identifier: str, origin: str | None) -> EntityDraft:
    fields = {
        "id": id,
        "@type": "Organization",
        "tradingName": id,
        "externalReference": [{"name": f"did:elsi:{identifier}", "externalReferenceType": "idm_id"}],
    }
    body = canonical_json(fields)
    return EntityDraft(id, "Organization", body, hashlink(body), True, origin)


async def one_by_one(
    market: RightsBusiness, collection: str, drafts: list[EntityDraft], name: str
) -> list[str] | None:
    """What of a list a caller may read, decided about each entity; None: not even the list."""
    operations = market.app.operations[MODELS.served(collection)[0].id][collection]
    caller = CALLERS[name]
    try:
        grant = operations.served.authorize(caller, Action.READ)
    except Refused:
        return None
    bound = await operations.served.bound(grant)
    return [
        one.id
        for one in drafts
        if (bound is None and (one.public or not grant.public_only))
        or (
            bound is not None
            and bound.rule.refusal(EntityFacts(msgspec.json.decode(one.body), one.public), bound.aliases)
            is None
        )
    ]


@pytest.mark.parametrize("policies", POLICIES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(made=entities, is_order=st.booleans())
async def test_a_list_is_what_is_decided_one_by_one(
    policies: str, made: list[tuple[str, Any, bool]], is_order: bool
) -> None:
    collection, target = ("ProductOrder", ORDERS) if is_order else ("ProductOffering", OFFERINGS)
    market = await open_rights(POLICIES[policies], models=FEW)
    drafts = drafts_of(collection, made)
    await market.put(
        organization("urn:ngsi-ld:organization:acme", ACME, None),
        organization("urn:ngsi-ld:organization:foreign", ACME, "did:web:elsewhere.example"),
        *drafts,
    )
    for name in ("stranger", "reader", "operator", "acme", "acme-clerk", "bolt", "boss"):
        expected = await one_by_one(market, collection, drafts, name)
        client = market.as_(name)
        whole = await client.request("GET", f"{target}?limit=100")
        if expected is None:
            assert whole.status in {401, 403}
            continue
        ids = [one["id"] for one in whole.json()]
        assert ids == expected
        assert whole.headers["x-total-count"] == str(len(expected))
        pages: list[str] = []
        for offset in range(0, max(1, len(expected)), 2):
            page = await client.request("GET", f"{target}?limit=2&offset={offset}&fields=description")
            assert page.headers["x-total-count"] == str(len(expected))
            pages += [one["id"] for one in page.json()]
        assert pages == expected
        named = await client.request("GET", f"{target}?description=n1&sort=-description&limit=100")
        n1 = [one for one in expected if int(one[1:]) % 3 == 1]
        assert sorted(one["id"] for one in named.json()) == sorted(n1)
        assert named.headers["x-total-count"] == str(len(n1))
        for one in drafts:
            response = await client.request("GET", f"{target}/{one.id}")
            assert response.status == (200 if one.id in expected else 404)
    await market.store.close()


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(made=entities, names=st.lists(st.sampled_from(sorted(POLICIES)), min_size=2, max_size=4))
async def test_after_a_change_of_policies_a_list_shows_what_these_say_and_no_more(
    made: list[tuple[str, Any, bool]], names: list[str]
) -> None:
    """Whatever was answered, and remembered, under the ones before."""
    market = await open_rights(POLICIES[names[0]], models=FEW)
    drafts = drafts_of("ProductOffering", made)
    await market.put(organization("urn:ngsi-ld:organization:acme", ACME, None), *drafts)
    for policies in names:
        market.adopt(POLICIES[policies])
        for name in ("stranger", "reader", "acme", "bolt"):
            expected = await one_by_one(market, "ProductOffering", drafts, name)
            for _ in range(2):
                response = await market.as_(name).request("GET", f"{OFFERINGS}?limit=100")
                shown = [one["id"] for one in response.json()] if response.status == 200 else None
                assert shown == expected
    await market.store.close()
