"""Pages of specifications, catalogues and prices: what they say, and where they lead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from hansa.core.canonical import canonical_json, hashlink
from hansa.store import EntityDraft
from tests.support.asgi import AsgiClient
from tests.support.portal import Elements
from tests.support.site import CATALOGUE, CATEGORY, OFFERING, PRICE, SPECIFICATION, Site, open_site

HTML = {"accept": "text/html"}
CANDIDATE = "urn:ngsi-ld:service-candidate:1"
SERVICE = "urn:ngsi-ld:service-specification:1"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site()
    await opened.add({"@type": "ServiceSpecification", "id": SERVICE, "name": "Night watch"})
    await opened.add(
        {
            "@type": "ProductSpecification",
            "id": "urn:ngsi-ld:product-specification:1",
            "name": "Watched machine",
            "serviceSpecification": [{"id": SERVICE, "name": "Night watch"}],
        }
    )
    await opened.add(
        {
            "@type": "ServiceCandidate",
            "id": CANDIDATE,
            "name": "Watching at night",
            "description": "As <b>sold</b>",
            "serviceSpecification": {
                "id": SERVICE,
                "name": "Night watch",
                "@referredType": "ServiceSpecification",
            },
            "validFor": {"startDateTime": "2026-11-01T00:00:00Z"},
        }
    )
    await opened.catch_up()
    yield opened
    await opened.business.store.close()


@pytest.fixture(scope="module")
def client(site: Site) -> AsgiClient:
    return AsgiClient(site.application())


async def shown(client: AsgiClient, path: str, status: int = 200) -> Elements:
    answer = await client.get(path, headers=HTML)
    assert answer.status == status, answer.body
    return Elements(answer.body)


async def test_a_specification_shows_what_it_has_and_leads_to_its_offerings(client: AsgiClient) -> None:
    page = await shown(client, f"/specifications/{SPECIFICATION}")
    assert "Holstenwerk Machine" in page.text
    assert "Characteristics" in page.text
    assert "Published by this marketplace at height 812" in page.text
    assert any(link.startswith("/offerings/") for link in page.links)


async def test_a_specification_of_a_service_leads_to_the_products_that_it_realises(
    client: AsgiClient,
) -> None:
    page = await shown(client, f"/specifications/{SERVICE}")
    assert "/specifications/urn%3Angsi-ld%3Aproduct-specification%3A1" in page.links
    product = await shown(client, "/specifications/urn:ngsi-ld:product-specification:1")
    assert f"/specifications/{quote(SERVICE, safe='')}" in product.links
    assert "Nothing here uses it now" in product.text


async def test_a_catalogue_leads_to_its_categories_and_their_offerings(client: AsgiClient) -> None:
    page = await shown(client, f"/catalogues/{CATALOGUE}")
    assert f"/categories/{quote(CATEGORY, safe='')}" in page.links
    assert any(link.startswith("/offerings/") for link in page.links)


async def test_a_price_leads_to_its_offering(client: AsgiClient) -> None:
    page = await shown(client, f"/prices/{PRICE}")
    assert f"/offerings/{quote(OFFERING, safe='')}" in page.links
    assert "€0.019" in page.text


@pytest.mark.parametrize("path", ["/specifications/none", "/catalogues/none", f"/prices/{SPECIFICATION}"])
async def test_what_is_not_here_is_not_found(client: AsgiClient, path: str) -> None:
    page = await shown(client, path, 404)
    assert "of this identifier here" in page.text


async def test_hits_that_are_no_offerings_lead_to_pages_and_kinds_have_names(client: AsgiClient) -> None:
    page = await shown(client, "/search?q=holstenwerk&limit=100&lang=de")
    assert not [link for link in page.links if link.startswith("/tmf-api/")]
    assert any(link.startswith("/specifications/") for link in page.links)
    assert "Spezifikationen" in page.text
    assert "Preise" in page.text
    assert "ProductOfferingPrice" not in page.text


async def test_an_entity_of_a_rare_type_is_readable_and_leads_to_what_it_refers_to(
    client: AsgiClient,
) -> None:
    path = f"/entities/{CANDIDATE}"
    page = await shown(client, path)
    for text in ("Watching at night", "Service specification", "Night watch", "since 1 November 2026"):
        assert text in page.text
    assert "<b>" not in page.text.replace("<b>sold</b>", "")
    assert f"/entities/{SERVICE}" in page.links
    assert f"/tmf-api/serviceCatalogManagement/v4/serviceCandidate/{CANDIDATE}" in page.links
    told = await client.get(path, headers={"accept": "application/json"})
    assert told.json()["references"][0]["path"] == f"/entities/{SERVICE}"


async def test_an_entity_whose_type_has_a_page_leads_there(client: AsgiClient) -> None:
    answer = await client.get(f"/entities/{SERVICE}", headers=HTML)
    assert (answer.status, answer.headers["location"]) == (303, f"/specifications/{SERVICE}")


async def test_an_entity_that_strangers_may_not_see_is_not_found_like_one_that_is_not_here(
    site: Site, client: AsgiClient
) -> None:
    order = {"id": "urn:ngsi-ld:product-order:secret", "@type": "ProductOrder", "description": "For me"}
    body = canonical_json(order)
    draft = EntityDraft(order["id"], order["@type"], body, hashlink(body), public=False)
    async with site.business.store.transaction() as tx:
        await tx.put(draft)
    hidden = await shown(client, f"/entities/{order['id']}", 404)
    absent = await shown(client, "/entities/none", 404)
    assert hidden.text.replace(order["id"], "none") == absent.text


async def test_a_hit_of_a_rare_type_leads_to_its_page(client: AsgiClient) -> None:
    page = await shown(client, "/search?q=watching&limit=100")
    assert f"/entities/{CANDIDATE}" in page.links


async def test_a_page_of_a_specification_is_also_json(client: AsgiClient) -> None:
    answer = await client.get(f"/specifications/{SPECIFICATION}", headers={"accept": "application/json"})
    assert answer.json()["kind"] == "ProductSpecification"


async def test_a_provider_shows_who_certifies_it_and_pages_its_offerings(
    site: Site, client: AsgiClient
) -> None:
    provider = {"id": "urn:ngsi-ld:organization:9", "@type": "Organization", "tradingName": "Many Things"}
    known = {"identificationId": "did:elsi:VATDE-9", "issuingAuthority": "ETSI"}
    await site.add({**provider, "organizationIdentification": [known]})
    for number in range(26):
        await site.add(
            {
                "id": f"urn:ngsi-ld:product-offering:many{number:02}",
                "@type": "ProductOffering",
                "name": f"Thing {number}",
                "relatedParty": [{"id": provider["id"], "role": "Seller"}],
            }
        )
    page = await shown(client, f"/providers/{provider['id']}")
    assert "did:elsi:VATDE-9" in page.text
    assert "certified by Seal Authority until 30 June 2027" in page.text
    assert sum(link.startswith("/offerings/") for link in page.links) == 24
    rest = await shown(client, f"/providers/{provider['id']}?offset=24")
    assert sum(link.startswith("/offerings/") for link in rest.links) == 2
    assert "25 to 26 of 26" in rest.text
    await shown(client, f"/providers/{provider['id']}?offset=-1", 400)
