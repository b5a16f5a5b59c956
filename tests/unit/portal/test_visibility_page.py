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


MANY = "/provider/visibility"


async def test_several_are_set_at_once_with_what_they_need_after_one_confirmation(site: ProviderSite) -> None:
    await site.put("urn:x:4", {"name": "Rain"})
    asked = f"{MANY}?pick=urn:x:1&pick=urn:x:4&pick=urn:x:none&audience=chosen&member={RIGA}&needed=yes"
    page = (await site.get("acme", asked, JSON)).json()
    assert [one["name"] for one in page["entities"]] == ["Cloud", "Rain"]
    assert (page["unknown"], page["needed"]) == (["urn:x:none"], 1)
    assert "visibleTo" not in await site.entity("urn:x:1")
    form = {"audience": "chosen", "member": RIGA, "needed": "yes"}
    items = [f"{one['version']} {one['id']}" for one in page["entities"]]
    response = await site.post("acme", MANY, {**form, "item": items})
    outcome = (await site.get("acme", response.headers["location"], JSON)).json()
    assert [one["code"] for one in outcome["items"]] == ["", "", ""]
    for id in ("urn:x:1", "urn:x:2", "urn:x:4"):
        assert (await site.entity(id))["visibleTo"] == [RIGA]
    assert "visibleTo" not in await site.entity("urn:x:3")
    assert (await site.get("bolt", response.headers["location"], JSON)).json()["items"] == []


async def test_of_several_the_one_that_changed_meanwhile_stays_and_the_others_do_not(
    site: ProviderSite,
) -> None:
    page = (await site.get("acme", f"{MANY}?pick=urn:x:1&pick=urn:x:2", JSON)).json()
    items = [f"hl:of-before {page['entities'][0]['id']}", f"{page['entities'][1]['version']} urn:x:2"]
    response = await site.post("acme", MANY, {"audience": "here", "item": items})
    outcome = (await site.get("acme", response.headers["location"], JSON)).json()
    assert [one["code"] for one in outcome["items"]] == ["precondition-failed", ""]
    assert "visibleTo" not in await site.entity("urn:x:1")
    assert (await site.entity("urn:x:2"))["visibleTo"] == ["here"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"audience": "chosen", "item": ["v urn:x:1"]}, 400),
        ({"audience": "here"}, 400),
        ({"audience": "here", "item": ["v urn:x:1"] * 2}, 303),
        ({"audience": "here", "item": [f"v urn:x:{n}" for n in range(101)]}, 400),
        ({"audience": "here", "item": ["v urn:x:1"], "csrf": "of another"}, 403),
    ],
)
async def test_a_form_for_several_that_does_not_hold_changes_nothing(
    site: ProviderSite, fields: dict[str, str | list[str]], status: int
) -> None:
    assert (await site.post("acme", MANY, fields)).status == status
    assert "visibleTo" not in await site.entity("urn:x:1")


async def test_what_is_somebody_elses_is_not_set_among_several(site: ProviderSite) -> None:
    page = (await site.get("bolt", f"{MANY}?pick=urn:x:1&pick=urn:x:3&audience=here", JSON)).json()
    assert page["unknown"] == ["urn:x:1"]
    response = await site.post("bolt", MANY, {"audience": "here", "item": ["v urn:x:1"]})
    outcome = (await site.get("bolt", response.headers["location"], JSON)).json()
    assert outcome["items"][0]["code"] in {"not-found", "forbidden"}
    assert "visibleTo" not in await site.entity("urn:x:1")
