"""Drafts of providers' forms: they survive, are bounded, and are nobody else's; and who may do what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from tests.support.business import open_business
from tests.support.hostile_entities import HOSTILE
from tests.support.provider_site import ProviderSite, SentForm, open_provider_site
from tests.support.rights import ACME, BOLT

JSON = "application/json"


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    opened = await open_provider_site()
    yield opened
    await opened.store.close()


async def test_looking_at_a_new_form_writes_nothing(site: ProviderSite) -> None:
    assert (await site.get("acme", "/provider/new/offering")).status == 200
    assert (await site.get("acme", "/provider/drafts", JSON)).json()["drafts"] == []


async def test_a_draft_is_listed_until_it_is_discarded_after_one_question(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    (entry,) = (await site.get("acme", "/provider/drafts", JSON)).json()["drafts"]
    assert (entry["name"], entry["kind"]) == ("Cloud", "offering")
    question = await site.get("acme", f"{draft}/discard")
    assert b'<form method="post"' in question.body
    assert (await site.post("acme", f"{draft}/discard", {})).headers["location"] == "/provider/drafts"
    assert (await site.get("acme", f"{draft}/general")).status == 404


async def test_a_script_saves_while_somebody_types(site: ProviderSite) -> None:
    begun = (await site.post("acme", "/provider/new/price", {"do": "save", "name": "P"}, JSON)).json()
    assert begun["path"] == f"/provider/drafts/{begun['draft']}/general"
    await site.post("acme", begun["path"], {"do": "save", "name": "Price"}, JSON)
    page = (await site.get("acme", begun["path"], JSON)).json()
    assert page["texts"]["name"] == ["Price"]


async def test_a_draft_survives_a_restart() -> None:
    business = await open_business()
    first = ProviderSite(business)
    draft = await first.begun("acme", "offering", name="Cloud", description="a\nb")
    again = ProviderSite(business)
    page = SentForm((await again.get("acme", f"{draft}/general")).body)
    assert (page.fields["name"], page.fields["description"].strip()) == ("Cloud", "a\nb")
    await business.store.close()


async def test_boxes_that_are_not_ticked_any_more_are_not_ticked(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    await site.post("acme", f"{draft}/contents", {"do": "save", "category": ["a", "b"]})
    await site.post("acme", f"{draft}/contents", {"do": "save"})
    assert "category" not in (await site.get("acme", f"{draft}/contents", JSON)).json()["texts"]


@pytest.mark.parametrize("who", ["colleague", "bolt", "boss"])
async def test_a_draft_is_nobody_elses(site: ProviderSite, who: str) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    for path in ("general", "review", "preview", "discard", "conflict"):
        assert (await site.get(who, f"{draft}/{path}")).status == 404, path
    assert (await site.post(who, f"{draft}/general", {"name": "stolen"})).status == 404
    assert (await site.post(who, f"{draft}/discard", {})).status == 404
    assert (await site.get("acme", f"{draft}/general")).status == 200


async def test_drafts_are_bounded_in_number_and_bytes_and_age() -> None:
    clock = ManualClock()
    limits = Limits(form_drafts_per_person_max=2, form_draft_max_bytes=2000, form_draft_lifetime_s=100.0)
    business = await open_business(clock=clock, limits=limits)
    site = ProviderSite(business)
    first = await site.begun("acme", "offering", name="1")
    await site.begun("acme", "offering", name="2")
    full = await site.post("acme", "/provider/new/offering", {"do": "save", "name": "3"})
    assert (full.status, full.headers["retry-after"]) == (429, "60")
    large = await site.post("acme", f"{first}/general", {"do": "save", "name": "x" * 3000})
    assert large.status == 413
    assert await site.begun("bolt", "offering", name="of another")
    await clock.advance(200)
    assert (await site.get("acme", f"{first}/general")).status == 404
    assert await site.begun("acme", "offering", name="4")
    await business.store.close()


# -- sessions -----------------------------------------------------------------------------------------------------


async def test_what_was_typed_survives_the_end_of_a_session(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    typed = {"do": "next", "name": 'Clouds "&" more', "description": "new"}
    over = await site.post(None, f"{draft}/general", typed)
    assert over.status == 401
    sent = SentForm(over.body).fields
    assert (sent["name"], sent["description"]) == ('Clouds "&" more', "new")
    assert "csrf" not in sent
    again = await site.post("acme", f"{draft}/general", {**sent, "csrf": ""})
    assert again.status == 403
    assert SentForm(again.body).fields["name"] == 'Clouds "&" more'
    assert (await site.get("acme", f"{draft}/general", JSON)).json()["texts"]["name"] == ["Cloud"]
    await site.post("acme", f"{draft}/general", {**SentForm(again.body).fields, "do": "save"})
    assert (await site.get("acme", f"{draft}/general", JSON)).json()["texts"]["name"] == ['Clouds "&" more']


async def test_a_new_form_survives_the_end_of_a_session(site: ProviderSite) -> None:
    over = await site.post(None, "/provider/new/price", {"do": "next", "name": "Price"})
    again = await site.post("acme", "/provider/new/price", {**SentForm(over.body).fields, "csrf": "old"})
    assert (again.status, SentForm(again.body).fields["name"]) == (403, "Price")
    assert (await site.get("acme", "/provider/drafts", JSON)).json()["drafts"] == []


@pytest.mark.parametrize(("who", "csrf", "status"), [(None, "of-this-session", 401), ("acme", "other", 403)])
async def test_a_script_of_another_session_saves_nothing(
    site: ProviderSite, who: str | None, csrf: str, status: int
) -> None:
    response = await site.post(who, "/provider/new/price", {"name": "x", "csrf": csrf}, JSON)
    assert response.status == status
    assert (await site.get("acme", "/provider/drafts", JSON)).json()["drafts"] == []


@pytest.mark.parametrize("path", ["discard", "conflict"])
async def test_a_form_that_removes_something_has_to_be_of_this_session(site: ProviderSite, path: str) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    assert (await site.post("acme", f"{draft}/{path}", {"csrf": "other", "do": "theirs"})).status == 403
    assert (await site.get("acme", f"{draft}/general")).status == 200


# -- rights -------------------------------------------------------------------------------------------------------

PAGES = (
    *("/provider/new/specification", "/provider/new/price", "/provider/new/offering", "/provider/drafts"),
    *("/provider/entities/urn:x:acme/edit", "/provider/drafts/x/general", "/provider/drafts/x/preview"),
    *("/provider/drafts/x/discard", "/provider/drafts/x/conflict"),
)


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_is_led_to_the_login_and_a_customer_is_refused(
    site: ProviderSite, path: str
) -> None:
    await site.put("urn:x:acme", {"name": "Cloud"})
    assert (await site.get(None, path)).headers["location"].startswith("/login?return_to=%2Fprovider")
    assert (await site.get("city", path)).status == 403


@pytest.mark.parametrize("path", [one for one in PAGES if not one.endswith(("drafts", "preview"))])
async def test_a_customer_can_send_nothing(site: ProviderSite, path: str) -> None:
    await site.put("urn:x:acme", {"name": "Cloud"})
    before = await site.store.last_change()
    assert (await site.post("city", path, {"name": "x"})).status == 403
    assert (await site.post(None, path, {"name": "x"})).status == 401
    assert await site.store.last_change() == before


@pytest.mark.parametrize("path", PAGES[:3])
async def test_whoever_has_no_power_to_create_sees_no_form(site: ProviderSite, path: str) -> None:
    assert (await site.get("updater", path)).status == 403
    assert (await site.post("updater", path, {"name": "x"})).status == 403


@pytest.mark.parametrize("who", ["bolt", "updater"])
async def test_an_entity_of_another_organisation_or_without_the_power_is_not_edited(
    site: ProviderSite, who: str
) -> None:
    await site.put("urn:x:acme", {"name": "Cloud"})
    assert (await site.get(who, "/provider/entities/urn:x:acme/edit")).status == 403
    assert (await site.post(who, "/provider/entities/urn:x:acme/edit", {"name": "x"})).status == 403


async def test_rights_that_end_while_a_draft_is_open_end_for_the_draft(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    person, caller = site.people.known["acme"]
    site.people.known["acme"] = person, msgspec.structs.replace(caller, powers=())
    assert (await site.post("acme", f"{draft}/review", {"do": "finish"})).status == 403
    assert await site.store.last_change() == 0


async def test_a_replica_is_edited_at_its_origin(site: ProviderSite) -> None:
    await site.put("urn:x:acme", {"name": "Cloud"}, origin="did:web:riga.example")
    response = await site.get("acme", "/provider/entities/urn:x:acme/edit")
    assert response.status == 409
    assert b"riga" in response.body


async def test_a_draft_cannot_give_what_it_makes_to_somebody_else(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud", relatedParty=BOLT, id="urn:x:1")
    entity = await site.entity(await site.finished("acme", draft))
    assert {one["id"] for one in entity["relatedParty"]} == {f"did:elsi:{ACME}"}
    assert entity["id"] != "urn:x:1"


@pytest.mark.parametrize(
    "path", ["/provider/new/catalog", "/provider/drafts/x/nothing", "/provider/entities/x/edit"]
)
async def test_what_is_not_there_is_not_found(site: ProviderSite, path: str) -> None:
    assert (await site.get("acme", path)).status == 404


# -- hostile input --------------------------------------------------------------------------------------------------


async def test_hostile_texts_come_back_as_they_were_typed_and_are_no_markup(site: ProviderSite) -> None:
    for text in HOSTILE:
        draft = await site.begun("acme", "offering", name=text[:300], description=text[:20_000])
        for path in ("general", "review", "preview"):
            page = (await site.get("acme", f"{draft}/{path}")).body
            assert b"<script>" not in page
            assert b"onerror=" not in page.replace(b"&#34;", b"").split(b"<img")[0] or b"<img" not in page
        await site.post("acme", f"{draft}/discard", {})


async def test_control_characters_are_not_taken_in(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="a\x00b\x1b[2Jc", description="one\r\ntwo\x7f")
    entity = await site.entity(await site.finished("acme", draft))
    assert (entity["name"], entity["description"]) == ("ab[2Jc", "one\ntwo")


@pytest.mark.parametrize(
    "fields", [{"terms.999999999999.name": "x"}, {"terms.-1.name": "x"}, {"terms.٣.name": "x"}]
)
async def test_rows_with_odd_numbers_are_no_rows(site: ProviderSite, fields: dict[str, str]) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    await site.post("acme", f"{draft}/terms", {"do": "save", **fields})
    assert (await site.get("acme", f"{draft}/terms")).status == 200
    assert "productOfferingTerm" not in await site.entity(await site.finished("acme", draft))


async def test_a_row_that_says_an_odd_place_is_a_new_one(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    await site.post("acme", f"{draft}/terms", {"do": "save", "terms.0.name": "x", "terms.0.at": "9" * 5000})
    (term,) = (await site.entity(await site.finished("acme", draft)))["productOfferingTerm"]
    assert term["name"] == "x"


async def test_a_huge_field_is_a_fault_and_not_an_error(site: ProviderSite) -> None:
    draft = await site.begun("acme", "price", name="Price")
    await site.post(
        "acme", f"{draft}/amount", {"do": "next", "model": "oneTime", "amount": "9" * 4000, "currency": "EUR"}
    )
    page = (await site.get("acme", f"{draft}/amount?check=1", JSON)).json()
    assert [one["field"] for one in page["faults"]] == ["amount"]


# -- preview ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["offering", "price", "specification"])
async def test_a_preview_shows_what_customers_will_see(site: ProviderSite, kind: str) -> None:
    draft = await site.begun("acme", kind, name="Cloud & more")
    page = (await site.get("acme", f"{draft}/preview")).body
    assert b"<h1><bdi>Cloud &amp; more</bdi></h1>" in page
    assert b'content="noindex"' in page


async def test_a_preview_of_a_price_shows_the_amount_and_counts(site: ProviderSite) -> None:
    draft = await site.begun("acme", "price", name="Traffic")
    amount = {"model": "usage", "amount": "2", "currency": "EUR", "unit": "GB", "tax": "19"}
    await site.post("acme", f"{draft}/amount", {"do": "save", **amount})
    page = (await site.get("acme", f"{draft}/preview?quantity.Traffic=3")).body.decode()
    assert "€2.00" in page
    assert "€6.00" in page
