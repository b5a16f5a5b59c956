"""The page on which a provider says who sees an entity."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.provider_site import ProviderSite, SentForm, open_provider_site
from tests.support.rights import BOLT, party

RIGA, BERGEN = "did:web:riga.example", "did:web:bergen.example"
PATH = "/provider/entities/urn:x:1/visibility"
JSON = "application/json"


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    opened = await open_provider_site()
    prices = [{"id": "urn:x:2"}, {"id": "urn:x:3"}]
    price = {"@type": "ProductOfferingPrice", "name": "By the month"}
    await opened.put("urn:x:1", {"name": "Cloud", "productOfferingPrice": prices})
    await opened.put("urn:x:2", price)
    await opened.put("urn:x:3", {**price, "relatedParty": [party(BOLT)]})
    yield opened
    await opened.store.close()


async def seen(site: ProviderSite, query: str) -> dict[str, tuple[bool, str]]:
    page = (await site.get("acme", f"{PATH}?{query}", JSON)).json()
    return {one["name"]: (one["sees"], one["why"]) for one in page["seen"]}


async def test_the_page_says_who_will_see_it_before_anything_is_set(site: ProviderSite) -> None:
    assert await seen(site, "") == {"riga": (True, "everyone"), "bergen": (True, "everyone")}
    assert await seen(site, "audience=here") == {
        "riga": (False, "not-chosen"),
        "bergen": (False, "not-chosen"),
    }
    assert await seen(site, f"audience=chosen&member={RIGA}&member={BERGEN}") == {
        "riga": (True, "chosen"),
        "bergen": (False, "no-key"),
    }
    assert (await seen(site, "audience=chosen&country=lv+fr"))["riga"] == (True, "country")
    assert "visibleTo" not in await site.entity("urn:x:1")


async def test_what_is_confirmed_is_set_with_what_it_needs_of_the_same_provider(site: ProviderSite) -> None:
    page = await site.get("acme", f"{PATH}?audience=chosen&member={RIGA}&country=FR&needed=yes")
    confirmed = SentForm(page.body).fields
    response = await site.post("acme", PATH, {**confirmed, "member": [RIGA], "country": ["FR"]})
    assert response.headers["location"] == f"{PATH}?set=1"
    assert (await site.entity("urn:x:1"))["visibleTo"] == [RIGA, "country:FR"]
    assert (await site.entity("urn:x:2"))["visibleTo"] == [RIGA, "country:FR"]
    assert "visibleTo" not in await site.entity("urn:x:3")


async def test_an_entity_that_changed_meanwhile_is_not_made_visible_to_others(site: ProviderSite) -> None:
    fields = {"audience": "here", "opened": "hl:of-before"}
    assert (await site.post("acme", PATH, fields)).status == 412
    assert "visibleTo" not in await site.entity("urn:x:1")


@pytest.mark.parametrize(
    "query",
    ["audience=chosen", "audience=chosen&member=nobody", "audience=chosen&country=Germany", "audience=all"],
)
async def test_a_choice_that_is_none_is_refused(site: ProviderSite, query: str) -> None:
    assert (await site.get("acme", f"{PATH}?{query}", JSON)).json()["is_empty"]
    fields = dict(one.split("=") for one in query.split("&"))
    assert (await site.post("acme", PATH, fields)).status == 400


@pytest.mark.parametrize(("who", "status"), [("bolt", 403), ("city", 403), ("updater", 403), (None, 401)])
async def test_nobody_else_decides_who_sees_it(site: ProviderSite, who: str | None, status: int) -> None:
    assert (await site.post(who, PATH, {"audience": "here"})).status == status
    assert (await site.get(who, PATH)).status == (303 if who is None else status)
