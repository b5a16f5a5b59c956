"""The pages of the catalogue: what they show, what they link to, and what becomes of failures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import pytest
import pytest_asyncio

from hansa.core.canonical import canonical_json, hashlink
from hansa.store import EntityDraft
from tests.support.asgi import AsgiClient, Response
from tests.support.portal import Elements
from tests.support.site import CATEGORY, MEMBERS, OFFERING, PROVIDER, REPLICA, Site, open_site

HTML = {"accept": "text/html"}
REPLICATED_PROVIDER = "urn:ngsi-ld:organization:60f07f7a-7099-59d5-9de9-7b52cdbae872"
QUANTITY = "quantity.urn:ngsi-ld:product-offering-price:ac82b5c3-10e0-5ef4-a940-e6af92105544"
"""Of a price of 0.019 EUR for a vCPU hour."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site()
    yield opened
    await opened.business.store.close()


@pytest.fixture(scope="module")
def client(site: Site) -> AsgiClient:
    return AsgiClient(site.application())


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(client: AsgiClient, path: str, status: int = 200) -> Elements:
    answer: Response = await client.get(path, headers=HTML)
    assert answer.status == status, answer.body
    return Elements(answer.body)


async def test_the_front_page_leads_to_categories_marketplaces_and_what_is_new(client: AsgiClient) -> None:
    page = await shown(client, "/")
    assert "45 offerings of the whole league are here" in page.text
    assert f"/search?type=ProductOffering&category={quote(CATEGORY, safe='')}" in page.links
    assert all(name in page.text for name in MEMBERS)
    assert sum(link.startswith("/offerings/") for link in page.links) == 8


async def test_an_empty_catalogue_says_what_fills_it() -> None:
    empty = await open_site(with_sample=False)
    http = AsgiClient(empty.application())
    assert "Nothing is offered here yet" in (await shown(http, "/")).text
    assert "no categories here yet" in (await shown(http, "/categories")).text
    assert "Nothing was found" in (await shown(http, "/search")).text
    await empty.business.store.close()


async def test_an_offering_shows_everything_that_a_person_judges_it_by(client: AsgiClient) -> None:
    page = await shown(client, f"/offerings/{OFFERING}")
    for text in (
        "Holstenwerk Machine by the hour",
        "Dedicated cores without commitment",
        "€0.019",
        "per vCPU hour",
        "plus 19%",
        "Energy source",
        "wind, certified hourly",
        "Cancel monthly",
        "Published by this marketplace at height 812 on 28 November 2026",
        "hansa verify receipt.json",
    ):
        assert text in page.text
    assert f"/providers/{PROVIDER.replace(':', '%3A')}" in page.links
    assert "/league/v1/entities/x/receipt?latest=true" in page.links


async def test_a_replica_says_where_it_comes_from_and_that_its_origin_is_down(client: AsgiClient) -> None:
    page = await shown(client, f"/offerings/{REPLICA}")
    assert "Published by bruges at height 812 on 28 November 2026, verified here: version 3." in page.text
    assert "bruges has not answered since 30 Nov 2026" in page.text
    assert "the replica of this marketplace, which was verified here with the ledger" in page.text
    (proof,) = [one["class"] for _, one in page.elements if "proof" in str(one.get("class")).split()]
    assert proof == "notice wait proof"  # nothing that looks as if all were well
    canonical = [one["href"] for tag, one in page.elements if tag == "link" and one.get("rel") == "canonical"]
    assert canonical == [f"https://bruges.example/offerings/{REPLICA}"]


async def test_the_front_page_shows_as_new_what_can_be_had() -> None:
    site = await open_site(with_sample=False)
    for number, status in enumerate(("Launched", "Obsolete", "Retired")):
        await site.add(
            {
                "@type": "ProductOffering",
                "id": f"urn:x:{number}",
                "name": f"Now {status}",
                "lifecycleStatus": status,
            }
        )
    await site.catch_up()
    page = await shown(AsgiClient(site.application()), "/")
    assert "Now Launched" in page.text
    assert "Now Obsolete" not in page.text
    assert "Now Retired" not in page.text
    await site.business.store.close()


async def test_a_silent_ledger_takes_nothing_away_but_the_proof() -> None:
    silent = await open_site(is_silent=True)
    page = await shown(AsgiClient(silent.application()), f"/offerings/{REPLICA}")
    assert "The ledger does not answer now" in page.text
    assert "Three providers from three marketplaces" in page.text
    await silent.business.store.close()


async def test_quantities_are_turned_into_what_they_cost(client: AsgiClient) -> None:
    page = await shown(client, f"/offerings/{OFFERING}?{QUANTITY}=2,5")
    assert "€0.0475" in page.text


@pytest.mark.parametrize("quantity", ["many", "-1", "1e400", "nan", "9" * 60, "²"])
async def test_a_quantity_that_is_none_is_said_to_be_none(client: AsgiClient, quantity: str) -> None:
    page = await shown(client, f"/offerings/{OFFERING}?{QUANTITY}={quote(quantity)}")
    assert "is no quantity of" in page.text


async def test_an_offering_that_is_not_here_has_a_page_that_says_what_to_do(client: AsgiClient) -> None:
    page = await shown(client, "/offerings/urn:ngsi-ld:product-offering:none", 404)
    assert "There is nothing at this address" in page.text
    assert {"/", "/search"} <= set(page.links)


async def test_programs_get_an_offering_as_json(client: AsgiClient) -> None:
    answer = await client.get(f"/offerings/{OFFERING}", headers={"accept": "application/json"})
    body = answer.json()
    assert body["offering"]["plans"][0]["rows"][0]["amount"] == 0.019
    assert body["provenance"]["announced"]["height"] == 812


async def test_a_search_shows_its_facets_and_each_leads_to_a_narrower_one(client: AsgiClient) -> None:
    page = await shown(client, "/search?q=machine")
    by_origin = [link for link in page.links if "origin=riga" in link]
    assert by_origin
    narrower = await shown(client, by_origin[0])
    assert "riga" in narrower.text
    assert "Remove all" in narrower.text
    assert "/search?q=machine" in narrower.links


async def test_what_matches_is_marked(client: AsgiClient) -> None:
    answer = await client.get("/search?q=machine", headers=HTML)
    assert b"<mark>Machine</mark>" in answer.body


async def test_a_mistyped_word_is_searched_as_it_was_meant(client: AsgiClient) -> None:
    page = await shown(client, "/search?q=stoarge")
    assert "Nothing was found for “stoarge”" in page.text
    assert "Salt Barrel" in page.text


@pytest.mark.parametrize("query", ["limit=x", "sort=best", "price_from=cheap", "unheard=of", "offset=-1"])
async def test_a_search_that_cannot_be_read_says_why_and_keeps_the_words(
    client: AsgiClient, query: str
) -> None:
    answer = await client.get(f"/search?q=storage&{query}", headers=HTML)
    page = Elements(answer.body)
    assert answer.status == 400
    assert "This search could not be answered" in page.text
    assert "/search?q=storage" in page.links
    assert [one for tag, one in page.elements if tag == "input" and one.get("value") == "storage"]


async def test_the_same_path_answers_programs_in_json(client: AsgiClient) -> None:
    answer = await client.get("/search?q=machine", headers={"accept": "application/json"})
    assert answer.json()["total"] > 5


async def test_pages_of_hits_lead_to_one_another(client: AsgiClient) -> None:
    first = await shown(client, "/search?type=ProductOffering&limit=10")
    (following,) = {link for link in first.links if "offset=10" in link}
    second = await shown(client, following)
    assert "11 to 20 of 45" in second.text
    assert "/search?type=ProductOffering&limit=10" in second.links


async def test_a_comparison_marks_what_differs(client: AsgiClient) -> None:
    page = await shown(client, f"/compare?pick={OFFERING}&pick={REPLICA}")
    different = [one for tag, one in page.elements if tag == "tr" and one.get("class") == "different"]
    assert len(different) > 3
    assert f"/compare?pick={quote(REPLICA, safe='')}" in page.links
    assert "not here any more" not in page.text


async def test_a_comparison_finds_another_one_to_add(client: AsgiClient) -> None:
    page = await shown(client, f"/compare?pick={OFFERING}&q=storage")
    adding = [
        link for link in page.links if link.startswith(f"/compare?pick={quote(OFFERING, safe='')}&pick=")
    ]
    assert len(adding) > 2


async def test_what_was_picked_and_is_not_here_is_said(client: AsgiClient) -> None:
    page = await shown(client, f"/favourites?pick={OFFERING}&pick=urn:none&pick=urn:nothing")
    assert "2 of the picked offerings are not here any more" in page.text


async def test_a_provider_has_contacts_and_offerings(client: AsgiClient) -> None:
    page = await shown(client, f"/providers/{PROVIDER}")
    assert "Holstenwerk Cloud" in page.text
    assert "Holstenwerk Kubernetes Standard" in page.text


async def test_a_provider_has_the_labels_of_its_offerings_which_lead_to_them() -> None:
    site = await open_site()
    client = AsgiClient(site.application())
    seller = {"id": PROVIDER, "role": "Seller"}
    label = {"name": "Compliance:BSI C5", "productSpecCharacteristicValue": [{"value": "type 2"}]}
    offering = {"name": "Labelled", "lifecycleStatus": "Launched", "relatedParty": [seller]}
    await site.add(
        {"@type": "ProductOffering", "id": "urn:labelled", "prodSpecCharValueUse": [label], **offering}
    )
    page = await shown(client, f"/providers/{PROVIDER}")
    labels = [link for link in page.links if "compliance=BSI+C5" in link]
    assert "BSI C5" in page.text
    assert labels
    assert "Labelled" in (await shown(client, labels[0])).text
    await site.business.store.close()


async def test_a_provider_of_a_marketplace_without_certificates_is_said_to_have_none(
    client: AsgiClient,
) -> None:
    assert (
        "no authority has certified them" in (await shown(client, f"/providers/{REPLICATED_PROVIDER}")).text
    )
    certified = await shown(client, f"/providers/{PROVIDER}")
    assert "whose certificates all members have verified" in certified.text


async def test_the_tree_of_categories_leads_to_each_of_them(client: AsgiClient) -> None:
    tree = await shown(client, "/categories")
    assert f"/categories/{CATEGORY}" in tree.links
    page = await shown(client, f"/categories/{CATEGORY}")
    assert "Narrower categories" in page.text
    assert sum(link.startswith("/offerings/") for link in page.links) == 12


async def test_the_feed_and_the_sitemap_are_xml_with_whole_addresses(client: AsgiClient) -> None:
    feed = fromstring((await client.get("/feed.atom")).body)  # noqa: S314 - our own
    assert len(feed.findall("{http://www.w3.org/2005/Atom}entry")) == 45
    urls = fromstring((await client.get("/sitemap.xml")).body)  # noqa: S314 - our own
    addresses = [one.text or "" for one in urls.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert all(one.startswith("http://market.example:8101/") for one in addresses)
    assert any(one.endswith(f"/offerings/{OFFERING}") for one in addresses)


@pytest.mark.parametrize(
    ("tag", "word"), [("de", "Angebote"), ("es", "Ofertas"), ("it-CH", "Offerte"), ("fr", "Offres")]
)
async def test_a_page_is_in_the_language_that_the_reader_prefers(
    client: AsgiClient, tag: str, word: str
) -> None:
    answer = await client.get("/", headers={**HTML, "accept-language": f"{tag}, en;q=0.5"})
    assert word in Elements(answer.body).text
    assert answer.headers["content-language"] == tag[:2]


async def test_amounts_are_in_the_form_of_the_reader(client: AsgiClient) -> None:
    german = await client.get(f"/offerings/{OFFERING}?lang=de", headers=HTML)
    assert "0,019\xa0€" in Elements(german.body).text
    assert "28. November 2026" in Elements(german.body).text


async def test_a_choice_is_remembered_and_leads_back_to_the_page(client: AsgiClient) -> None:
    answer = await client.get("/preferences?lang=it&return_to=/categories?x=1")
    assert (answer.status, answer.headers["location"]) == (303, "/categories?x=1")
    assert answer.headers["set-cookie"].startswith("lang=it; HttpOnly;")
    page = await client.get("/categories", headers={**HTML, "cookie": "lang=it; theme=dark"})
    assert b'<html lang="it" data-theme="dark">' in page.body


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/" * 3000,
    ],
)
async def test_preferences_lead_nowhere_else(client: AsgiClient, target: str) -> None:
    answer = await client.get(f"/preferences?lang=de&return_to={quote(target, safe='')}")
    assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_a_page_is_made_again_as_soon_as_anything_changes() -> None:
    site = await open_site()
    client = AsgiClient(site.application())
    before = await shown(client, "/")
    assert (await shown(client, "/")).text == before.text
    assert site.pages.cache.hits == 1
    await site.add(
        {"@type": "ProductOffering", "id": "urn:new", "name": "Brand new", "lifecycleStatus": "Launched"}
    )
    assert "46 offerings" in (await shown(client, "/")).text
    await site.business.store.close()


async def test_a_page_that_is_there_is_for_its_language_theme_and_for_strangers_alone(
    client: AsgiClient, site: Site
) -> None:
    secret = {
        "@type": "ProductOffering",
        "id": "urn:draft",
        "name": "Secret draft",
        "lifecycleStatus": "In design",
    }
    body = canonical_json(secret)
    async with site.business.store.transaction() as tx:
        await tx.put(EntityDraft("urn:draft", "ProductOffering", body, hashlink(body), public=False))
    for _ in range(2):
        assert (await client.get("/offerings/urn:draft", headers=HTML)).status == 404
        answer = await client.get(
            "/offerings/urn:draft", headers={**HTML, "authorization": "Bearer operator"}
        )
        assert b"Secret draft" in answer.body
        for language in ("de", "fr"):
            page = await client.get("/categories", headers={**HTML, "accept-language": language})
            assert page.headers["content-language"] == language
        dark = await client.get("/categories", headers={**HTML, "cookie": "theme=dark"})
        assert b'data-theme="dark"' in dark.body
        assert (await client.get("/categories", headers={"accept": "application/json"})).json()["roots"]


async def test_pages_whose_paths_cannot_lead_back_are_not_taken_for_one_another(client: AsgiClient) -> None:
    long = "x" * 3000
    first = await client.get(f"/search?q=machine&lang={long}", headers=HTML)
    second = await client.get(f"/search?q=storage&lang={long}", headers=HTML)
    assert first.body != second.body


@pytest.mark.parametrize("language", ["en", "es", "de", "fr", "it"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/search?q=machine",
        "/search?q=qqqqq",
        "/search?sort=best",
        f"/offerings/{OFFERING}",
        f"/offerings/{REPLICA}",
        f"/providers/{PROVIDER}",
        "/categories",
        f"/categories/{CATEGORY}",
        f"/compare?pick={OFFERING}&pick=urn:none&q=storage",
        f"/favourites?pick={OFFERING}",
        "/about",
        "/docs",
        "/nowhere",
    ],
)
async def test_every_page_is_there_in_every_language(client: AsgiClient, path: str, language: str) -> None:
    joint = "&" if "?" in path else "?"
    answer = await client.get(f"{path}{joint}lang={language}", headers=HTML)
    assert answer.status in {200, 400, 404}
    assert answer.headers["content-language"] == language
