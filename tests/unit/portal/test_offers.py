"""The pages of those who offer something: what is theirs, launching it, what comes of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.identifiers import entity_key
from hansa.node.parts.pages.offers.assembly import editing_links
from hansa.portal.providers.offers.entity import EditingLinks, EntityLinks, FormLinks, shown_conditions
from hansa.portal.providers.offers.launching import LaunchCondition
from hansa.store import EntityDraft
from hansa.store.tables import audit, publications
from tests.support.business import CATALOG, DID
from tests.support.offers import HTML, Offers, open_offers
from tests.support.recorded_offers import RecordedSights
from tests.support.rights import ACME, CITY, OFFERINGS, ORDERS, party

SPECIFICATIONS = f"{CATALOG}/productSpecification"
APPLY = "/provider/catalogue/apply"


@pytest.fixture
async def offers() -> AsyncIterator[Offers]:
    made = await open_offers()
    yield made
    await made.business.store.close()


async def offered(offers: Offers, name: str = "Cloud", **more: Any) -> dict[str, Any]:
    """A draft of acme."""
    return await offers.business.created(
        "acme", OFFERINGS, {"name": name, "lifecycleStatus": "Active", **more}
    )


async def ordered(offers: Offers, seller: str = ACME) -> dict[str, Any]:
    """An order of city."""
    body = {
        "relatedParty": [party(CITY, "Buyer", name="City Works"), party(seller, "Seller")],
        "productOrderItem": [
            {"id": "1", "action": "add", "quantity": 3, "productOffering": {"id": "urn:x:1", "name": "Cloud"}}
        ],
    }
    return await offers.business.created("operator", ORDERS, body)


def page_of(entity: dict[str, Any]) -> str:
    return f"/provider/entities/{entity['id']}"


# -- who may see and do what -------------------------------------------------------------------------------

ALL_MAY = {"stranger": 303, "city": 403, "bolt": 200, "acme": 200, "operator": 200, "boss": 200}
OWNER_MAY = {"stranger": 303, "city": 403, "bolt": 404, "acme": 200, "operator": 200, "boss": 404}
SELLER_MAY = {"stranger": 303, "city": 403, "bolt": 404, "acme": 200, "operator": 404, "boss": 404}
WALK = {
    "/provider": ALL_MAY,
    "/provider/catalogue": ALL_MAY,
    "/provider/catalogue/confirm?action=launch&pick={entity}": ALL_MAY,
    "/provider/catalogue/outcome?of=x": ALL_MAY,
    "/provider/entities/{entity}": OWNER_MAY,
    "/provider/entities/{entity}/seen": OWNER_MAY,
    "/provider/entities/{entity}/versions": OWNER_MAY,
    "/provider/orders": ALL_MAY,
    "/provider/orders/{order}": SELLER_MAY,
}
"""By path, the status for a stranger, a customer, another provider, the provider, the operator, and an
operator who acts for another organisation."""


async def test_everybody_gets_what_is_theirs_on_every_page(offers: Offers) -> None:
    names = {"entity": (await offered(offers))["id"], "order": (await ordered(offers))["id"]}
    result = {
        (path, name): (await offers.as_(name).get(path.format(**names), headers=HTML)).status
        for path, expected in WALK.items()
        for name in expected
    }
    assert result == {
        (path, name): status for path, expected in WALK.items() for name, status in expected.items()
    }


async def test_the_walk_has_every_page(offers: Offers) -> None:
    walked = {path.partition("?")[0].replace("{entity}", "{id}").replace("{order}", "{id}") for path in WALK}
    routes = [one for one in offers.routes if isinstance(one, Route)]
    paths = {(route.path, method) for route in routes for method in route.methods or ()}
    assert {path for path, method in paths if method == "GET"} == walked
    assert {path for path, method in paths if method == "POST"} == {APPLY, "/provider/orders/{id}"}


@pytest.mark.parametrize(
    ("name", "status", "is_launched"),
    [
        ("stranger", 401, False),
        ("city", 403, False),
        ("bolt", 303, False),
        ("acme", 303, True),
        ("operator", 303, True),
    ],
)
async def test_only_whoever_may_launches(offers: Offers, name: str, status: int, is_launched: bool) -> None:
    draft = await offered(offers)
    entity = await offers.business.store.entity(draft["id"])
    assert entity is not None
    item = ("item", f"{entity.hashlink} {entity.id}")
    response = await offers.sent(name, APPLY, ("action", "launch"), item)
    assert response.status == status
    after = await offers.business.store.entity(draft["id"])
    assert after is not None
    assert after.public is is_launched


async def test_what_is_another_organisations_does_not_exist_for_a_provider(offers: Offers) -> None:
    launched = await offered(offers, lifecycleStatus="Launched")
    page = await offers.data(
        "bolt", f"/provider/catalogue/confirm?action=retire&pick={quote(launched['id'])}"
    )
    assert page["items"] == []
    assert page["unknown"] == [launched["id"]]


async def test_a_form_of_another_session_changes_nothing(offers: Offers) -> None:
    draft = await offered(offers)
    item = ("item", f"hl:x {draft['id']}")
    response = await offers.sent("acme", APPLY, ("action", "launch"), item, csrf="of another")
    assert response.status == 403


async def test_who_has_no_power_sees_why_and_no_button(offers: Offers) -> None:
    page = await offers.data("acme-writer", page_of(await offered(offers)))
    assert page["actions"] == []
    assert "DOME/ProductOffering/Update" in page["refusal"]
    (right,) = [one for one in page["conditions"] if one["condition"]["kind"] == "right"]
    assert (right["condition"]["is_met"], right["mend"]) == (False, "/account")


# -- what there is -----------------------------------------------------------------------------------------


async def test_the_dashboard_counts_what_is_ones_own_by_stage(offers: Offers) -> None:
    await offered(offers, "Draft")
    await offered(offers, "Other draft", lifecycleStatus="In design")
    await offered(offers, "Sold", lifecycleStatus="Launched")
    await offered(offers, "Old", lifecycleStatus="Retired")
    await offers.business.created("bolt", OFFERINGS, {"name": "Not mine"})
    page = await offers.data("acme", "/provider")
    assert page["counts"][0] == {"kind": "ProductOffering", "draft": 2, "launched": 1, "retired": 1}
    assert (await offers.data("bolt", "/provider"))["counts"][0]["draft"] == 1


async def test_an_empty_dashboard_says_what_comes_first(offers: Offers) -> None:
    assert "needs a specification" in await offers.shown("bolt", "/provider")


async def test_the_operator_sees_what_the_marketplace_itself_is_the_origin_of(offers: Offers) -> None:
    await offered(offers, "Draft")
    await offers.business.created("bolt", OFFERINGS, {"name": "Sold", "lifecycleStatus": "Launched"})
    page = await offers.data("operator", "/provider")
    assert page["counts"][0] == {"kind": "ProductOffering", "draft": 1, "launched": 1, "retired": 0}
    names = [one["name"] for one in (await offers.data("operator", "/provider/catalogue"))["entities"]]
    assert sorted(names) == ["Draft", "Sold"]


@pytest.mark.parametrize("name", ["acme", "operator"])
async def test_pages_of_the_list_have_everything_once_whatever_is_added_meanwhile(
    offers: Offers, name: str
) -> None:
    first = {(await offered(offers, f"No. {number:03}"))["id"] for number in range(60)}
    seen: list[str] = []
    path = "/provider/catalogue"
    while path:
        page = await offers.data(name, path)
        seen += [one["id"] for one in page["entities"]]
        path = page["next_path"]
        await offered(offers, "A. comes first")
    assert first <= set(seen)
    assert len(seen) == len(set(seen))


FILTERED = {
    "stage=draft": ["Blue", "Grey cloud"],
    "stage=launched": ["Red cloud"],
    "text=CLOUD": ["Grey cloud", "Red cloud"],
    "text=cloud&stage=draft": ["Grey cloud"],
    "type=Category": [],
}
"""The names that a query leaves."""


async def test_the_list_is_filtered(offers: Offers) -> None:
    await offered(offers, "Blue")
    await offered(offers, "Grey cloud")
    await offered(offers, "Red cloud", lifecycleStatus="Launched")
    for name in ("acme", "operator"):
        pages = {query: await offers.data(name, f"/provider/catalogue?{query}") for query in FILTERED}
        names = {query: [one["name"] for one in page["entities"]] for query, page in pages.items()}
        assert names == FILTERED, name


UNREADABLE = (
    *("type=Order", "stage=new", "after=%00", "after=WyJhIl0", "after=WyJhIiwieCJd", "text=" + "x" * 101),
    *("colour=red", "stage=draft&stage=draft"),
)
"""Queries of no list; `after` is a name without its count, and one with a count that is none."""


async def test_what_a_list_cannot_be_asked_is_refused(offers: Offers) -> None:
    answers = [
        await offers.as_("operator").get(f"/provider/catalogue?{one}", headers=HTML) for one in UNREADABLE
    ]
    assert [one.status for one in answers] == [400] * len(UNREADABLE)


async def test_names_of_entities_are_no_markup(offers: Offers) -> None:
    draft = await offered(offers, "<script>alert(1)</script>\"'")
    for path in (
        "/provider/catalogue",
        page_of(draft),
        f"/provider/catalogue/confirm?action=launch&pick={draft['id']}",
    ):
        assert "<script>alert" not in await offers.shown("acme", path)


# -- launching ---------------------------------------------------------------------------------------------


async def conditions_of(offers: Offers, entity: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those that are not met, by their kind."""
    page = await offers.data("acme", page_of(entity))
    return {one["condition"]["kind"]: one for one in page["conditions"] if not one["condition"]["is_met"]}


async def test_a_draft_that_lacks_nothing_can_be_launched(offers: Offers) -> None:
    assert await conditions_of(offers, await offered(offers)) == {}


async def test_what_an_offering_needs_has_to_be_launched_first(offers: Offers) -> None:
    specification = await offers.business.created(
        "acme", SPECIFICATIONS, {"name": "S", "lifecycleStatus": "Active"}
    )
    draft = await offered(offers, productSpecification={"id": specification["id"]})
    need = (await conditions_of(offers, draft))["need"]
    assert need["condition"]["is_required"]
    assert need["mend"] == page_of(specification)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"visibleTo": ["here"]}, "visibility"),
        ({"validFor": {"endDateTime": "2020-01-01T00:00:00Z"}}, "period"),
        ({"validFor": {"startDateTime": "2099-01-01T00:00:00Z"}}, "period"),
    ],
)
async def test_what_keeps_some_from_seeing_it_forbids_no_launch(
    offers: Offers, more: dict[str, Any], kind: str
) -> None:
    unmet = await conditions_of(offers, await offered(offers, **more))
    assert list(unmet) == [kind]
    assert not unmet[kind]["condition"]["is_required"]


async def test_what_was_rejected_is_not_launched(offers: Offers) -> None:
    draft = await offered(offers, lifecycleStatus="Rejected")
    assert "status" in await conditions_of(offers, draft)
    (outcome,) = (await offers.changed("acme", "launch", draft))["items"]
    assert outcome["code"] == "transition-refused"


async def test_looking_at_the_conditions_writes_nothing(offers: Offers) -> None:
    draft = await offered(offers)
    before = await offers.business.store.last_change()
    await offers.data("acme", page_of(draft))
    assert await offers.business.store.last_change() == before


async def test_looking_at_the_conditions_waits_for_no_write(offers: Offers) -> None:
    draft = await offered(offers)
    async with offers.business.store.transaction():
        page = await offers.data("acme", page_of(draft))
    assert len(page["conditions"]) > 5


async def test_each_rule_that_the_content_violates_is_listed(offers: Offers) -> None:
    draft = {"id": "urn:x:1", "@type": "ProductOffering", "name": "Old", "lifecycleStatus": "Active"}
    body = canonical_json(
        {**draft, "isBundle": "perhaps", "validFor": "never", "relatedParty": [party(ACME)]}
    )
    await offers.business.put(EntityDraft("urn:x:1", "ProductOffering", body, hashlink(body), public=False))
    page = await offers.data("acme", page_of(draft))
    violated = [
        one["condition"]["detail"] for one in page["conditions"] if one["condition"]["kind"] == "content"
    ]
    assert sorted(text.partition(":")[0] for text in violated) == ["isBundle", "validFor"]
    assert "launch" in page["actions"], "the page shows no button, since it is not launchable"
    assert "action=launch" not in await offers.shown("acme", page_of(draft))


async def test_what_the_league_does_not_take_is_on_the_dashboard_of_its_provider_alone(
    offers: Offers,
) -> None:
    sold = await offered(offers, lifecycleStatus="Launched")
    entity = await offers.business.store.entity(sold["id"])
    assert entity is not None
    async with offers.business.store.transaction() as tx:
        await publications.refuse(tx, entity, entity_key(DID, entity.id), "event-too-large", "Too large.")
    (problem,) = (await offers.data("acme", "/provider"))["problems"]
    assert problem["entity"]["publication"]["code"] == "event-too-large"
    assert (await offers.data("bolt", "/provider"))["problems"] == []
    assert (await conditions_of(offers, sold))["identifier"]["condition"][
        "detail"
    ] == "Too large. (event-too-large)"


async def test_what_waits_for_something_else_says_for_what(offers: Offers) -> None:
    sold = await offered(offers, lifecycleStatus="Launched")
    async with offers.business.store.transaction() as tx:
        await publications.wait_for(
            tx, sold["id"], entity_key(DID, sold["id"]), "ProductOffering", "urn:x:other"
        )
    (problem,) = (await offers.data("acme", "/provider"))["problems"]
    assert problem["waits_for"] == "urn:x:other"


# -- changing ----------------------------------------------------------------------------------------------


async def test_of_several_changes_one_that_fails_says_why_and_the_others_are_done(offers: Offers) -> None:
    good, bad = await offered(offers, "Good"), await offered(offers, "Bad")
    requested = await offers.data(
        "acme", f"/provider/catalogue/confirm?action=launch&pick={good['id']}&pick={bad['id']}"
    )
    changed = await offers.business.as_("acme").request(
        "PATCH", f"{OFFERINGS}/{bad['id']}", {"name": "Worse"}
    )
    assert changed.status == 200
    items = [("item", f"{one['entity']['version']} {one['entity']['id']}") for one in requested["items"]]
    response = await offers.sent("acme", APPLY, ("action", "launch"), *items)
    outcome = await offers.data("acme", response.headers["location"])
    assert {one["name"]: one["code"] for one in outcome["items"]} == {
        "Good": "",
        "Worse": "precondition-failed",
    }
    assert "somebody has changed it" in await offers.shown("acme", response.headers["location"])


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [("launch", "Active", "Launched"), ("retire", "Launched", "Retired"), ("withdraw", "Launched", "Active")],
)
async def test_a_change_gives_the_state_that_it_says(
    offers: Offers, action: str, before: str, after: str
) -> None:
    entity = await offered(offers, lifecycleStatus=before)
    await offers.changed("acme", action, entity)
    assert (await offers.data("acme", page_of(entity)))["entity"]["status"] == after


async def test_what_is_deleted_is_gone(offers: Offers) -> None:
    entity = await offered(offers)
    outcome = await offers.changed("acme", "delete", entity)
    assert outcome["items"] == [{"id": entity["id"], "name": "Cloud", "code": "", "message": ""}]
    assert await offers.business.store.entity(entity["id"]) is None


async def test_loading_the_outcome_again_changes_nothing_again(offers: Offers) -> None:
    entity = await offered(offers)
    await offers.changed("acme", "launch", entity)
    before = await offers.business.store.last_change()
    await offers.data("acme", "/provider/catalogue/outcome?of=x")
    assert await offers.business.store.last_change() == before


async def test_an_outcome_is_for_whoever_caused_it(offers: Offers) -> None:
    entity = await offered(offers)
    stored = await offers.business.store.entity(entity["id"])
    assert stored is not None
    response = await offers.sent(
        "acme", APPLY, ("action", "launch"), ("item", f"{stored.hashlink} {stored.id}")
    )
    page = await offers.data("bolt", response.headers["location"])
    assert page == {"action": None, "items": []}


async def test_who_changed_what_is_in_the_audit_log_by_a_pseudonym(offers: Offers) -> None:
    entity = await offered(offers)
    await offers.changed("acme", "launch", entity)
    records = [one for one in await audit.page(offers.business.store, 0, 100) if one.kind == "acted"]
    assert [msgspec.json.decode(one.content) for one in records] == [
        {"about": entity["id"], "act": "entity-launch", "subject": "a"}
    ]


async def test_a_change_of_nothing_of_too_much_or_of_no_kind_is_refused(offers: Offers) -> None:
    much = "&".join(f"pick={number}" for number in range(101))
    for query in ("action=launch", "action=sell&pick=x", f"action=launch&{much}"):
        answer = await offers.as_("acme").get(f"/provider/catalogue/confirm?{query}", headers=HTML)
        assert answer.status == 400, query


async def test_a_form_that_names_no_version_is_refused(offers: Offers) -> None:
    for item in ("", "hl:x", " urn:x", "urn:x"):
        assert (await offers.sent("acme", APPLY, ("action", "launch"), ("item", item))).status == 400, item


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
