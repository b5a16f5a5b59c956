"""The providers' pages of a whole marketplace: from a draft to an offer; and odd requests."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from hansa.identity.principal import Principal
from tests.support.asgi import FORM
from tests.support.logins import ANA
from tests.support.operating import OTTO, Browser, browser_of
from tests.support.whole import Whole
from tests.unit.node.test_every_route import ODD_QUERIES, ODD_SEGMENTS, rest_routes

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
OWNER = {"id": "did:elsi:VATES-12345678", "role": "Owner", "@referredType": "Organization"}
CUSTOMER: Principal = msgspec.structs.replace(ANA, subject="did:key:zCleo", roles=frozenset(), powers=())
PAGES = ("/provider", "/provider/catalogue", "/provider/orders", "/provider/entities/{id}")
"""Where the paths of these pages begin; those of the forms are tried where the forms are."""
OF_FORMS = ("/edit", "/visibility")


def routes_of_pages(whole: Whole) -> list[tuple[str, str]]:
    """Method and path of each."""
    return [
        (method, route.path)
        for route in rest_routes(whole.marketplace)
        if route.path in PAGES or route.path.startswith(tuple(f"{one}/" for one in PAGES[1:]))
        if not route.path.endswith(OF_FORMS)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


async def launched(browser: Browser, entity_id: str) -> str:
    """What is said after an entity was launched by its page."""
    confirming = f"/provider/catalogue/confirm?action=launch&pick={quote(entity_id)}"
    (item,) = re.findall(r'name="item" value="([^"]+)"', await browser.shows(confirming))
    answer = await browser.sends(
        "/provider/catalogue/apply", {"action": "launch", "item": item}, page=confirming
    )
    assert answer.status == 303, answer.body
    return await browser.shows(answer.headers["location"])


async def test_a_draft_becomes_an_offer_by_the_pages(whole: Whole) -> None:
    ana = await browser_of(whole, ANA)
    body = {"name": "Clean air", "lifecycleStatus": "In design", "relatedParty": [OWNER]}
    created = await whole.client.request("POST", OFFERINGS, body)
    assert created.status == 201, created.body
    draft = created.json()["id"]
    assert "Clean air" in await ana.shows("/provider/catalogue?stage=draft")
    assert "Nothing is missing." in await ana.shows(f"/provider/entities/{draft}")
    assert "1 of 1 done" in await launched(ana, draft)
    assert "Clean air" in await ana.shows("/provider/catalogue?stage=launched")
    assert (await whole.anonymous.get(f"{OFFERINGS}/{draft}")).status == 200
    assert "not on the ledger" in await ana.shows(f"/provider/entities/{draft}/seen")
    assert "No version was announced yet." in await ana.shows(f"/provider/entities/{draft}/versions")
    assert "Nothing of yours" not in await ana.shows("/provider")
    otto = await browser_of(whole, OTTO)
    assert (await otto.client.get(f"/provider/entities/{draft}")).status == 404, "it is of another company"


async def test_whoever_offers_nothing_is_led_to_the_login_or_refused(whole: Whole) -> None:
    routes = routes_of_pages(whole)
    assert len(routes) > 10
    customer = await browser_of(whole, CUSTOMER)
    for method, template in routes:
        path, body = template.replace("{id}", "x"), b"csrf=x" if method == "POST" else b""
        headers = {"content-type": FORM} if method == "POST" else {}
        stranger = await whole.anonymous.request(method, path, body=body, headers=headers)
        assert stranger.status == (303 if method == "GET" else 401), (method, path)
        assert (await customer.client.request(method, path, body=body, headers=headers)).status == 403


async def test_no_odd_path_query_or_form_makes_a_page_fail(whole: Whole) -> None:
    ana = await browser_of(whole, ANA)
    before = await whole.marketplace.store.last_change()
    for method, template in routes_of_pages(whole):
        targets = [f"{template.replace('{id}', 'x')}?{query}" for query in ODD_QUERIES]
        if "{id}" in template:
            targets += [template.replace("{id}", segment) for segment in ODD_SEGMENTS]
        for target in targets if method == "GET" else ():
            answer = await ana.client.get(target)
            assert answer.status in {200, 400, 404, 414}, (target[:100], answer.status)
        for body in (b"", b"csrf=x", b"csrf=a&csrf=b") if method == "POST" else ():
            path, headers = template.replace("{id}", "x"), {"content-type": FORM}
            answer = await ana.client.request("POST", path, body=body, headers=headers)
            assert answer.status in {400, 403}, (path, body)
    assert await whole.marketplace.store.last_change() == before
