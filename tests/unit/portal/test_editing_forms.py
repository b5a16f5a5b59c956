"""Forms of providers: written step by step, checked, and put into the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hansa.store.tables import audit
from tests.support.business import CATALOG
from tests.support.provider_site import ProviderSite, SentForm, open_provider_site
from tests.support.rights import ACME, party

PRICE = {"model": "recurring", "amount": "12,50", "currency": "eur", "period": "month", "tax": "19"}


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    opened = await open_provider_site()
    yield opened
    await opened.store.close()


async def made_price(site: ProviderSite, who: str = "acme") -> str:
    draft = await site.begun(who, "price", name="By the month")
    await site.post(who, f"{draft}/amount", {"do": "next", **PRICE})
    return await site.finished(who, draft)


async def test_a_price_is_made_in_steps(site: ProviderSite) -> None:
    entity = await site.entity(await made_price(site))
    assert entity["price"] == {"unit": "EUR", "value": 12.5}
    assert entity["priceType"] == "recurring"
    assert (entity["recurringChargePeriodType"], entity["recurringChargePeriodLength"]) == ("month", 1)
    assert entity["tax"] == [{"taxCategory": "VAT", "taxRate": 19}]
    assert entity["lifecycleStatus"] == "In design"


async def test_what_is_made_belongs_to_the_organisation_of_the_person(site: ProviderSite) -> None:
    entity = await site.entity(await made_price(site))
    parties = [(one["id"], one["role"], one["name"]) for one in entity["relatedParty"]]
    did = f"did:elsi:{ACME}"
    assert parties == [(did, "Owner", "Acme & Co"), (did, "Seller", "Acme & Co")]


async def test_a_specification_has_characteristics_with_values_of_their_kind(site: ProviderSite) -> None:
    draft = await site.begun("acme", "specification", name="Machine", number="M-1")
    rows = {
        "characteristics.0.name": "Memory",
        "characteristics.0.values": "8\r\n16",
        "characteristics.0.unit": "GiB",
        "characteristics.0.is_choice": "yes",
        "characteristics.1.name": "Location",
        "characteristics.1.values": "Lübeck",
        "characteristics.7.name": "",
    }
    await site.post("acme", f"{draft}/characteristics", {"do": "next", **rows})
    entity = await site.entity(await site.finished("acme", draft))
    memory, location = entity["productSpecCharacteristic"]
    assert [one["value"] for one in memory["productSpecCharacteristicValue"]] == [8, 16]
    assert (memory["valueType"], memory["configurable"]) == ("integer", True)
    assert (location["valueType"], location["configurable"]) == ("string", False)


async def test_an_offering_refers_to_what_was_chosen_by_name(site: ProviderSite) -> None:
    price = await made_price(site)
    draft = await site.begun("acme", "offering", name="Cloud", description="# Fast")
    chosen = {"do": "next", "prices": [price]}
    await site.post("acme", f"{draft}/contents", chosen)
    terms = {"terms.0.name": "Cancel monthly", "terms.0.amount": "1", "terms.0.unit": "month"}
    licence = {"licence.name": "Apache-2.0", "licence.url": "https://licence.example"}
    await site.post(
        "acme", f"{draft}/terms", {"do": "next", **terms, **licence, "validity.end": "2027-01-31"}
    )
    entity = await site.entity(await site.finished("acme", draft))
    assert entity["productOfferingPrice"] == [
        {"id": price, "name": "By the month", "@referredType": "ProductOfferingPrice"}
    ]
    assert entity["productOfferingTerm"][0]["duration"] == {"amount": 1, "units": "month"}
    assert entity["attachment"][0]["attachmentType"] == "licence"
    assert entity["validFor"] == {"endDateTime": "2027-01-31T23:59:59.000Z"}


# -- what is wrong ----------------------------------------------------------------------------------------------


async def test_all_faults_of_a_step_stand_beside_their_fields(site: ProviderSite) -> None:
    draft = await site.begun("acme", "price", name="By the month")
    wrong = {"model": "recurring", "amount": "much", "currency": "EUX", "period": "", "tax": "19"}
    response = await site.post("acme", f"{draft}/amount", {"do": "next", **wrong})
    assert response.headers["location"] == f"{draft}/amount?check=1"
    page = await site.get("acme", f"{draft}/amount?check=1", "application/json")
    faults = {one["field"]: one["rule"] for one in page.json()["faults"]}
    assert list(faults) == ["amount", "currency", "period"]
    assert "number" in faults["amount"]
    assert "ISO 4217" in faults["currency"]
    assert faults["period"] == ""


async def test_the_first_field_that_is_wrong_has_the_focus_and_says_why(site: ProviderSite) -> None:
    draft = await site.begun("acme", "price", name="By the month")
    await site.post(
        "acme", f"{draft}/amount", {"do": "next", "model": "usage", "amount": "1", "currency": "EUX"}
    )
    page = (await site.get("acme", f"{draft}/amount?check=1")).body
    assert SentForm(page).focused == "currency"
    assert b'aria-describedby="e-currency" aria-invalid="true"' in page
    assert b'href="#f-currency"' in page


async def test_a_fault_in_a_row_stands_beside_that_row(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    rows = {"terms.0.name": "", "terms.3.name": "Yearly", "terms.3.amount": "a year"}
    await site.post("acme", f"{draft}/terms", {"do": "next", **rows})
    page = (await site.get("acme", f"{draft}/terms?check=1", "application/json")).json()
    assert [one["field"] for one in page["faults"]] == ["terms.3.amount"]


async def test_what_is_not_whole_is_not_put_into_the_catalogue(site: ProviderSite) -> None:
    draft = await site.begun("acme", "price", name="")
    response = await site.post("acme", f"{draft}/review", {"do": "finish"})
    assert response.headers["location"] == f"{draft}/review?check=1"
    page = (await site.get("acme", f"{draft}/review?check=1")).body
    assert b'value="finish"' not in page
    assert await site.store.last_change() == 0


@pytest.mark.parametrize("end", ["2026-13-45", "tomorrow", "2025-01-01"])
async def test_a_day_that_is_none_or_before_the_beginning_is_refused(site: ProviderSite, end: str) -> None:
    draft = await site.begun("acme", "offering", name="Cloud")
    fields = {"do": "next", "validity.start": "2026-01-01", "validity.end": end}
    await site.post("acme", f"{draft}/terms", fields)
    page = (await site.get("acme", f"{draft}/terms?check=1", "application/json")).json()
    assert [one["field"] for one in page["faults"]] == ["validity.end"]


# -- one that is there --------------------------------------------------------------------------------------------


STRANGE = {
    "name": "Cloud",
    "isSellable": True,
    "x-colour": {"deep": [1, {"of": "ours"}]},
    "place": [{"id": "p", "@referredType": "Place"}],
    "productOfferingTerm": [{"name": "Monthly", "duration": {"amount": 1, "units": "month"}, "x-term": 7}],
    "attachment": [{"name": "Manual", "url": "https://manual.example", "attachmentType": "document"}],
    "productOfferingPrice": [{"name": "inline", "price": {"taxIncludedAmount": {"unit": "EUR", "value": 2}}}],
}


async def edited(site: ProviderSite, id: str, who: str = "acme", **fields: str) -> str:
    """The path of a draft of an entity, whose first step was sent as the page has it but for some fields."""
    page = (await site.get(who, f"/provider/entities/{id}/edit")).body
    response = await site.post(
        who, f"/provider/entities/{id}/edit", {**SentForm(page).fields, **fields, "do": "save"}
    )
    assert response.status == 303, response.body
    return response.headers["location"].rpartition("/")[0]


async def test_what_a_form_does_not_know_survives_an_edit(site: ProviderSite) -> None:
    await site.put("urn:x:1", STRANGE)
    before = await site.entity("urn:x:1")
    draft = await edited(site, "urn:x:1", name="Cloud two")
    for step in ("contents", "terms"):
        page = SentForm((await site.get("acme", f"{draft}/{step}")).body)
        await site.post("acme", f"{draft}/{step}", {**page.fields, "do": "next"})
    await site.finished("acme", draft)
    after = await site.entity("urn:x:1")
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {"name", "lastUpdate"}


async def test_a_term_that_is_edited_retains_what_the_form_does_not_show(site: ProviderSite) -> None:
    await site.put("urn:x:1", STRANGE)
    draft = await edited(site, "urn:x:1")
    page = SentForm((await site.get("acme", f"{draft}/terms")).body)
    await site.post("acme", f"{draft}/terms", {**page.fields, "terms.0.amount": "2", "do": "next"})
    await site.finished("acme", draft)
    (term,) = (await site.entity("urn:x:1"))["productOfferingTerm"]
    assert term == {"name": "Monthly", "duration": {"amount": 2, "units": "month"}, "x-term": 7}


async def test_rows_that_a_form_has_no_room_for_survive_an_edit(site: ProviderSite) -> None:
    terms = [{"name": f"Term {number}"} for number in range(130)]
    await site.put("urn:x:1", {"name": "Cloud", "productOfferingTerm": terms})
    draft = await edited(site, "urn:x:1", name="Cloud two")
    for _ in range(2):
        page = SentForm((await site.get("acme", f"{draft}/terms")).body)
        sent = {**page.fields, **({"terms.3.remove": "yes"} if "terms.3.name" in page.fields else {})}
        await site.post("acme", f"{draft}/terms", {**sent, "do": "save"})
    await site.finished("acme", draft)
    after = [one["name"] for one in (await site.entity("urn:x:1"))["productOfferingTerm"]]
    assert sorted(after) == sorted(one["name"] for one in terms if one["name"] != "Term 3")


async def test_an_edit_that_changes_nothing_writes_nothing(site: ProviderSite) -> None:
    await site.put("urn:x:1", STRANGE)
    before = await site.store.last_change()
    await site.finished("acme", await edited(site, "urn:x:1"))
    assert await site.store.last_change() == before


async def test_a_copy_has_what_its_original_has_but_its_state_and_owner(site: ProviderSite) -> None:
    await site.put("urn:x:1", {**STRANGE, "relatedParty": [party("VATES-22222222")]})
    page = SentForm((await site.get("acme", "/provider/new/offering?copy=urn:x:1")).body)
    assert page.fields["copy"] == "urn:x:1"
    draft = await site.begun("acme", "offering", **page.fields)
    entity = await site.entity(await site.finished("acme", draft))
    assert entity["place"] == STRANGE["place"]
    assert entity["lifecycleStatus"] == "In design"
    assert {one["id"] for one in entity["relatedParty"]} == {f"did:elsi:{ACME}"}


async def test_every_write_is_in_the_audit_log_with_the_pseudonym(site: ProviderSite) -> None:
    await made_price(site)
    records = await audit.page(site.store, 0, 10)
    assert [(one.kind, b'"subject":"a"' in one.content) for one in records] == [("acted", True)]


async def test_a_draft_is_reviewed_in_the_words_of_the_reader(site: ProviderSite) -> None:
    offering = await site.begun("acme", "offering", name="Night", status="In study")
    for language, word in (("de", "in Prüfung"), ("en", "in study")):
        page = (await site.get("acme", f"{offering}/review?lang={language}", "text/html")).body.decode()
        assert f"<dd>{word}</dd>" in page
        assert "In study" not in page


# -- two editors --------------------------------------------------------------------------------------------------


async def test_the_second_of_two_editors_sees_the_differences_and_decides(site: ProviderSite) -> None:
    await site.put("urn:x:1", {**STRANGE, "description": "old"})
    mine = await edited(site, "urn:x:1", name="Mine", description="mine too")
    theirs = await edited(site, "urn:x:1", "colleague", name="Theirs", version="2")
    await site.finished("colleague", theirs)
    response = await site.post("acme", f"{mine}/review", {"do": "finish"})
    assert response.headers["location"] == f"{mine}/conflict"
    page = (await site.get("acme", f"{mine}/conflict", "application/json")).json()
    shown = {
        one["field"]: (one["before"], one["theirs"], one["mine"], one["is_conflict"])
        for one in page["differences"]
    }
    assert shown == {
        "name": (["Cloud"], ["Theirs"], ["Mine"], True),
        "description": (["old"], ["old"], ["mine too"], False),
        "version": ([], ["2"], [], False),
    }
    choice = {"do": "merge", "seen": page["seen"], "take.name": "theirs"}
    await site.post("acme", f"{mine}/conflict", choice)
    await site.finished("acme", mine)
    entity = await site.entity("urn:x:1")
    assert (entity["name"], entity["description"], entity["version"]) == ("Theirs", "mine too", "2")
    assert entity["x-colour"] == STRANGE["x-colour"]


async def test_a_choice_between_versions_that_are_no_more_is_asked_again(site: ProviderSite) -> None:
    await site.put("urn:x:1", STRANGE)
    mine = await edited(site, "urn:x:1", name="Mine")
    await site.finished("colleague", await edited(site, "urn:x:1", "colleague", name="Theirs"))
    response = await site.post("acme", f"{mine}/conflict", {"do": "merge", "seen": "hl:of-before"})
    assert response.status == 200
    assert (
        (await site.post("acme", f"{mine}/review", {"do": "finish"})).headers["location"].endswith("conflict")
    )


async def test_whoever_takes_theirs_has_no_draft_any_more(site: ProviderSite) -> None:
    await site.put("urn:x:1", STRANGE)
    mine = await edited(site, "urn:x:1", name="Mine")
    await site.finished("colleague", await edited(site, "urn:x:1", "colleague", name="Theirs"))
    await site.post("acme", f"{mine}/conflict", {"do": "theirs"})
    assert (await site.get("acme", f"{mine}/general")).status == 404
    assert (await site.entity("urn:x:1"))["name"] == "Theirs"


async def test_a_form_that_is_sent_twice_at_once_makes_one_entity(site: ProviderSite) -> None:
    draft = await site.begun("acme", "specification", name="Machine")
    sent = [site.post("acme", f"{draft}/review", {"do": "finish"}) for _ in range(3)]
    places = {one.headers.get("location") for one in await asyncio.gather(*sent)}
    specifications = await site.rights.as_("operator").get(f"{CATALOG}/productSpecification")
    assert len(specifications.json()) == 1
    assert len(places - {None}) == 1


async def test_a_form_launches_nothing(site: ProviderSite) -> None:
    draft = await site.begun("acme", "offering", name="Cloud", status="Launched")
    assert (await site.entity(await site.finished("acme", draft)))["lifecycleStatus"] == "In design"
