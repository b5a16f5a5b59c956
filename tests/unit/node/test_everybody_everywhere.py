"""What is of one organisation is shown to nobody else, on any route and by any method that there is.

Routes are taken from the application, so that a new one is tried without anybody thinking of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import msgspec

from hansa.core.access import Power
from hansa.identity.principal import Principal
from tests.support.asgi import FORM, AsgiClient
from tests.support.logins import ANA, OFFERING
from tests.support.operating import OTTO, Browser, browser_of
from tests.support.whole import Whole
from tests.unit.node.test_every_route import COLLECTIONS, rest_routes

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
SECRET = "quiet-as-zephyrs"
"""In all entities that are tried, and in nothing that is asked."""
LEDGER_AWAY = 503
"""What asks the ledger is answered so here, where none runs."""
CUSTOMER: Principal = msgspec.structs.replace(
    ANA,
    subject="did:key:zCleo",
    organization="VATFR-77",
    organization_name="Acheteurs",
    roles=frozenset(),
    powers=(),
)
SELLER: Principal = msgspec.structs.replace(
    ANA, powers=(OFFERING, Power("DOME", "ProductOrder", ("Update",)))
)
RIVAL: Principal = msgspec.structs.replace(
    SELLER, subject="did:key:zRolf", organization="VATDE-88", organization_name="Rival"
)
GOOD_AIR = {"id": "did:elsi:VATES-12345678", "@referredType": "Organization"}
QUERIES = (
    "",
    "?q=breeze",
    "?name=breeze",
    "?description.regex=quiet.*",
    "?sort=description",
    "?action=launch&pick={id}",
    "?id={id}&entity={id}&pick={id}&ids={id}",
)
OF_APIS = ("/tmf-api/productCatalogManagement/", "/tmf-api/productOrderingManagement/")
LISTS = {
    *("/search", "/search/suggestions", "/feed.atom", "/compare", "/favourites", "/policies/explain"),
    *("/league/v1/catalogue", "/league/v1/references", "/league/v1/incomplete", "/league/v1/replicas"),
    *("/provider/catalogue", "/provider/catalogue/confirm", "/provider/orders", "/provider/visibility"),
}
"""Beside the APIs, where a query chooses entities."""
FOR_THEM = ("/entities/", "/offerings/", "/provider")
OF_NO_ENTITY = ("/docs", "/static", "/trusted-issuers-registry", "/league/v1/ledger", "/league/v1/snapshots")
PLACE = re.compile(r"\{(\w+)(:path)?\}")


async def written(whole: Whole) -> list[str]:
    """Identifiers of a draft of an offering and of an order, both of Good Air alone."""
    draft = {
        "name": "breeze",
        "description": SECRET,
        "lifecycleStatus": "In design",
        "relatedParty": [{**GOOD_AIR, "role": "Owner"}],
    }
    order = {
        "description": SECRET,
        "productOrderItem": [{"id": "1", "action": "add"}],
        "relatedParty": [{**GOOD_AIR, "role": "Seller"}],
    }
    ids = []
    for path, body in ((OFFERINGS, draft), (ORDERS, order)):
        answer = await whole.client.request("POST", path, body)
        assert answer.status == 201, answer.body
        ids.append(answer.json()["id"])
    return ids


def addresses(whole: Whole, ids: list[str]) -> Iterator[str]:
    """Everything that can be read, about each of these entities, and with each query where one is read."""
    paths = [
        one.path
        for one in rest_routes(whole.marketplace)
        if "GET" in (one.methods or {"GET"}) and not one.path.endswith("/stream")
        if not one.path.startswith(OF_NO_ENTITY)
    ]
    for collection in COLLECTIONS:
        if collection.startswith(OF_APIS):
            paths += [collection, f"{collection}/{{id}}"]
    for path in paths:
        for each in ids if PLACE.search(path) else ids[:1]:
            is_list = path in LISTS or path.startswith(OF_APIS)
            for query in QUERIES if is_list and not PLACE.search(path) else QUERIES[:1]:
                yield PLACE.sub(quote(each), path) + query.replace("{id}", quote(each))


async def shown(client: AsgiClient, targets: list[str]) -> tuple[list[str], list[tuple[str, int]]]:
    """Where the secret was shown; and what failed."""
    where, failed = [], []
    for target in targets:
        answer = await client.get(target)
        if SECRET.encode() in answer.body:
            where.append(target)
        if answer.status >= 500 and answer.status != LEDGER_AWAY:
            failed.append((target, answer.status))
    return where, failed


async def test_only_its_organisation_and_operators_are_shown_what_is_private(whole: Whole) -> None:
    targets = list(addresses(whole, await written(whole)))
    assert len(targets) > 200
    customer, rival = [(await browser_of(whole, one)).client for one in (CUSTOMER, RIVAL)]
    as_json = {"accept": "application/json"}
    for client in (whole.anonymous, customer, customer.with_headers(**as_json), rival):
        assert await shown(client, targets) == ([], [])
    targets = [one for one in targets if "?" not in one and one.startswith(FOR_THEM)]
    ana, otto = [(await browser_of(whole, one)).client for one in (SELLER, OTTO)]
    of_ana, failed = await shown(ana, targets)
    assert failed == []
    assert {one.partition("/")[2].partition("/")[0] for one in of_ana} >= {"provider", "entities"}, of_ana
    of_otto, failed = await shown(otto, targets)
    assert failed == []
    assert any(one.startswith("/entities/") for one in of_otto), of_otto


async def filled_in(owner: Browser, ids: list[str]) -> dict[str, dict[str, str]]:
    """By identifier, the fields with which its owner would change it by any of the forms."""
    draft, order = ids
    confirm = await owner.shows(f"/provider/catalogue/confirm?action=launch&pick={quote(draft)}")
    ordered = await owner.shows(f"/provider/orders/{quote(order)}?to=inProgress")
    item = field_in(confirm, "item")
    return {
        draft: {"action": "launch", "item": item, "audience": "here", "opened": item.split()[0]},
        order: {"state": "inProgress", "version": field_in(ordered, "version")},
    }


def field_in(page: str, name: str) -> str:
    """The value of a field that is on a page."""
    return str(re.findall(f'name="{name}" value="([^"]+)"', page)[0])


async def send_every_form(whole: Whole, client: AsgiClient, forms: dict[str, dict[str, str]]) -> None:
    """Each form, by whichever method takes it, at each route and about each entity."""
    for route in rest_routes(whole.marketplace):
        for method in sorted((route.methods or set()) - {"GET", "HEAD"}):
            for each, fields in forms.items():
                path, body = PLACE.sub(quote(each), route.path), urlencode(fields).encode()
                answer = await client.request(method, path, body=body, headers={"content-type": FORM})
                assert answer.status < 500 or answer.status == LEDGER_AWAY, (path, answer.status)


async def test_by_every_form_that_there_is_the_owner_alone_changes_something(whole: Whole) -> None:
    ids = await written(whole)
    store = whole.marketplace.store
    before = await store.entities(ids)
    public = await whole.client.request("POST", OFFERINGS, {"name": "gale", "lifecycleStatus": "Launched"})
    page = f"/offerings/{public.json()['id']}"
    ana, otto, *others = [await browser_of(whole, one) for one in (SELLER, OTTO, CUSTOMER, RIVAL)]
    forms = await filled_in(ana, ids)
    for client in (whole.anonymous, ana.client, otto.client):
        await send_every_form(whole, client, {id: {**one, "csrf": "x"} for id, one in forms.items()})
        assert await store.entities(ids) == before
    for one in others:
        csrf = field_in(await one.shows(page), "csrf")
        await send_every_form(whole, one.client, {id: {**form, "csrf": csrf} for id, form in forms.items()})
        assert await store.entities(ids) == before
    csrf = field_in(await ana.shows(page), "csrf")
    await send_every_form(whole, ana.client, {id: {**form, "csrf": csrf} for id, form in forms.items()})
    after = await store.entities(ids)
    assert [after[each] != before[each] for each in ids] == [True, True]
