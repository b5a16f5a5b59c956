"""What providers do with orders, where their offers are seen, and where the pages lead to forms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.node.parts.pages.offers.assembly import editing_links
from hansa.portal.providers.offers.entity import EditingLinks, EntityLinks, FormLinks, shown_conditions
from hansa.portal.providers.offers.launching import LaunchCondition
from tests.support.offers import HTML, Offers, offered, open_offers, ordered, page_of
from tests.support.recorded_offers import RecordedSights
from tests.support.rights import CITY


@pytest.fixture
async def offers() -> AsyncIterator[Offers]:
    made = await open_offers()
    yield made
    await made.business.store.close()


# -- orders ------------------------------------------------------------------------------------------------


async def test_orders_that_wait_are_those_of_the_seller(offers: Offers) -> None:
    await ordered(offers)
    assert (await offers.data("acme", "/provider"))["orders"] == [{"state": "acknowledged", "count": 1}]
    assert (await offers.data("bolt", "/provider"))["orders"] == []


async def test_an_order_shows_what_is_ordered_by_whom(offers: Offers) -> None:
    order = await ordered(offers)
    page = await offers.data("acme", f"/provider/orders/{order['id']}")
    assert page["order"]["buyer"] == "City Works"
    assert [(one["offering_name"], one["quantity"]) for one in page["order"]["items"]] == [("Cloud", 3)]


async def test_the_seller_gives_an_order_its_next_state_after_a_confirmation(offers: Offers) -> None:
    path = f"/provider/orders/{(await ordered(offers))['id']}"
    page = await offers.data("acme", f"{path}?to=inProgress")
    assert page["intended"] == "inProgress"
    response = await offers.sent("acme", path, ("state", "inProgress"), ("version", page["order"]["version"]))
    assert response.status == 303
    assert (await offers.data("acme", path))["order"]["state"] == "inProgress"


async def test_a_seller_that_saw_an_older_order_is_refused(offers: Offers) -> None:
    path = f"/provider/orders/{(await ordered(offers))['id']}"
    assert (await offers.sent("acme", path, ("state", "inProgress"), ("version", "hl:older"))).status == 412


async def test_a_state_that_cannot_follow_is_refused(offers: Offers) -> None:
    path = f"/provider/orders/{(await ordered(offers))['id']}"
    version = (await offers.data("acme", path))["order"]["version"]
    for state in ("acknowledged", "cancelled", "sold", ""):
        assert (await offers.sent("acme", path, ("state", state), ("version", version))).status == 409, state


async def test_an_order_at_which_an_organisation_only_buys_is_not_its_sale(offers: Offers) -> None:
    order = await ordered(offers, seller=CITY)
    assert (await offers.as_("acme").get(f"/provider/orders/{order['id']}", headers=HTML)).status == 404


async def test_orders_are_listed_by_state_the_newest_first(offers: Offers) -> None:
    order = await ordered(offers)
    assert [one["id"] for one in (await offers.data("acme", "/provider/orders"))["orders"]] == [order["id"]]
    assert (await offers.data("acme", "/provider/orders?state=completed"))["orders"] == []
    assert (await offers.as_("acme").get("/provider/orders?state=sold", headers=HTML)).status == 400


# -- elsewhere ---------------------------------------------------------------------------------------------


async def test_where_an_offer_is_seen_says_who_has_it_who_has_not_and_why(offers: Offers) -> None:
    sold = await offered(offers, lifecycleStatus="Launched")
    shown = await offers.shown("acme", f"{page_of(sold)}/seen")
    for text in (
        "1 of 3",
        "has the newest version",
        "by rules of its own",
        "condition-unmet",
        "does not answer",
    ):
        assert text in shown, text


async def test_nobody_asks_the_league_about_what_is_not_theirs(offers: Offers) -> None:
    sold = await offered(offers, lifecycleStatus="Launched")
    assert (await offers.as_("bolt").get(f"{page_of(sold)}/seen", headers=HTML)).status == 404
    assert isinstance(offers.sights, RecordedSights)
    assert offers.sights.requested == []


async def test_versions_are_compared_attribute_by_attribute(offers: Offers) -> None:
    sold = await offered(offers, "Cloud", lifecycleStatus="Launched", version="1.0")
    page = await offers.data("acme", f"{page_of(sold)}/versions")
    assert (page["before"], page["after"], page["comparable"]) == (3, 0, [3])
    changed = {one["path"]: (one["kind"], one["before"], one["after"]) for one in page["differences"]}
    assert changed["name"] == ("changed", "Object storage", "Cloud")
    assert "version" not in changed
    assert changed["lifecycleStatus"] == ("added", "", "Launched")


async def test_a_version_that_is_none_or_not_here_is_not_compared(offers: Offers) -> None:
    sold = await offered(offers, lifecycleStatus="Launched")
    expected = {"from=x": 400, "from=-1": 400, "from=" + "9" * 5000: 400, "from=1": 404, "to=2": 200}
    for query, status in expected.items():
        answer = await offers.as_("acme").get(f"{page_of(sold)}/versions?{query}", headers=HTML)
        assert answer.status == status, query[:20]


# -- where something is written ----------------------------------------------------------------------------


async def nothing(request: Request) -> Response:
    raise AssertionError(request)


def links_with(*paths: str) -> EditingLinks:
    return editing_links([Route(path, nothing) for path in paths])


def test_the_pages_lead_to_forms_that_there_are() -> None:
    links = links_with("/provider/new/{kind}", "/provider/entities/{id}/edit")
    assert links.of is not None
    assert links.of("ProductOffering", "urn:x:1") == EntityLinks(
        "/provider/entities/urn:x:1/edit", "", "/provider/new/offering?copy=urn%3Ax%3A1"
    )
    assert links.of("Category", "urn:x:1") == EntityLinks()
    assert links.forms == FormLinks(
        *(f"/provider/new/{one}" for one in ("offering", "price", "specification"))
    )


def test_what_has_no_form_leads_to_no_page_that_would_not_be_there() -> None:
    links = links_with("/provider/entities/{id}/edit", "/provider/entities/{id}/visibility")
    assert links.of is not None
    assert links.of("Category", "urn:x:1") == EntityLinks()


def test_the_pages_lead_nowhere_where_nothing_is_written() -> None:
    links = links_with()
    assert links.of is not None
    assert links.of("ProductOffering", "urn:x:1") == EntityLinks()
    assert links.forms == FormLinks()


@pytest.mark.parametrize(
    ("condition", "mend"),
    [
        (LaunchCondition("content", False), "edit"),
        (LaunchCondition("visibility", False, False), "see"),
        (LaunchCondition("identifier", False, False), "copy"),
        (LaunchCondition("rule", False, False), ""),
        (LaunchCondition("need", False, True, "urn:x:2"), "/provider/entities/urn:x:2"),
        (LaunchCondition("need", False, False, "urn:x:2"), ""),
        (LaunchCondition("content", True), ""),
    ],
)
def test_a_condition_leads_to_where_it_is_mended(condition: LaunchCondition, mend: str) -> None:
    (shown,) = shown_conditions((condition,), EntityLinks("edit", "see", "copy"))
    assert shown.mend == mend
