"""The pages of those who offer something: what is theirs, launching it, what comes of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from starlette.routing import Route

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.identifiers import entity_key
from hansa.store import EntityDraft
from hansa.store.tables import audit, publications
from tests.support.business import CATALOG, DID
from tests.support.offers import HTML, Offers, offered, open_offers, ordered, page_of
from tests.support.rights import ACME, OFFERINGS, party

SPECIFICATIONS = f"{CATALOG}/productSpecification"
APPLY = "/provider/catalogue/apply"


@pytest.fixture
async def offers() -> AsyncIterator[Offers]:
    made = await open_offers()
    yield made
    await made.business.store.close()


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
    assert (await offers.data("bolt", "/provider"))["public_path"] == ""
    assert page["public_path"] == f"/providers/did:elsi:{ACME}"


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
