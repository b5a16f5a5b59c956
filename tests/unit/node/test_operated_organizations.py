"""The operators' pages about organisations at a whole marketplace: what they show, change and record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hansa.core.access import Power
from hansa.store.tables import audit, issuing
from tests.support.logins import ANA
from tests.support.operating import OTTO, Browser, browser_of
from tests.support.whole import Whole, open_whole

CHIEF = msgspec.structs.replace(ANA, powers=(Power("DOME", "Onboarding", ("Execute",)),))
ORGANIZATIONS = "/operator/organizations"
ONE = f"{ORGANIZATIONS}/VATES-12345678"
CREDENTIALS = f"{ORGANIZATIONS}/credentials"
ORDER = {
    "kind": "employee",
    "organization": "VATES-12345678",
    "organization_name": "GoodAir",
    "country": "es",
    "name": "Bea Prueba",
    "email": "bea@goodair.example",
    "powers": "ProductOffering:Create",
}


@pytest.fixture
async def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    environment = {"HANSA_ONBOARDING_TERMS": "2026-11", "HANSA_ISSUING": "true"}
    async with open_whole(tmp_path / "market", environment) as made:
        yield made


async def acts(market: Whole) -> list[tuple[str, str, str]]:
    """What the audit log tells of buttons: act, about what, by whom."""
    page = await audit.page(market.marketplace.store, 0, 1000)
    contents = [msgspec.json.decode(one.content) for one in page if one.kind == "acted"]
    return [(one["act"], one["about"], one["subject"]) for one in contents]


async def registered(market: Whole) -> Browser:
    """The browser of somebody who has registered an organisation."""
    chief = await browser_of(market, CHIEF)
    await chief.sends("/onboarding", {"terms": "2026-11"}, page="/onboarding")
    return chief


async def test_an_organisation_is_approved_and_removed_with_a_record_of_who_did_it(market: Whole) -> None:
    chief, operator = await registered(market), await browser_of(market, OTTO)
    assert "GoodAir" in await operator.shows(f"{ORGANIZATIONS}?state=waiting")
    page = await operator.shows(ONE)
    assert "Ana Prueba" in page
    assert "2026-11" in page
    assert "its people can log in" in await operator.shows(f"{ONE}/approve")
    answer = await operator.sends(f"{ONE}/approve", {}, page=f"{ONE}/approve")
    assert (answer.status, answer.headers["location"]) == (303, ONE)
    assert "GoodAir" in await operator.shows(f"{ORGANIZATIONS}?state=approved")
    assert (await chief.client.get("/onboarding")).status == 200
    await operator.sends(f"{ONE}/remove", {}, page=f"{ONE}/remove")
    assert (await chief.client.get("/onboarding")).headers["location"].startswith("/login")
    assert await acts(market) == [
        ("organization-approve", "VATES-12345678", OTTO.subject),
        ("organization-remove", "VATES-12345678", OTTO.subject),
    ]


async def test_somebody_is_kept_out_and_let_in_again(market: Whole) -> None:
    ana, operator = await browser_of(market, ANA), await browser_of(market, OTTO)
    fields = {"kind": "subject", "name": ANA.subject}
    question = f"{ORGANIZATIONS}/excluded/add?kind=subject&name={ANA.subject}"
    assert ANA.subject in await operator.shows(question)
    await operator.sends(f"{ORGANIZATIONS}/excluded/add", fields, page=question)
    assert ANA.subject in await operator.shows(f"{ORGANIZATIONS}/excluded")
    assert (await ana.client.get("/account")).status == 303
    await operator.sends(f"{ORGANIZATIONS}/excluded/end", fields, page=question)
    assert "Nobody is kept out." in await operator.shows(f"{ORGANIZATIONS}/excluded")
    again = await operator.sends(f"{ORGANIZATIONS}/excluded/end", fields, page=question)
    assert again.status == 404


async def test_nobody_is_locked_out_by_their_own_hand(market: Whole) -> None:
    operator = await browser_of(market, OTTO)
    for kind, name in (("subject", OTTO.subject), ("organization", OTTO.organization)):
        question = f"{ORGANIZATIONS}/excluded/add?kind={kind}&name={name}"
        fields = {"kind": kind, "name": name}
        assert (await operator.sends(f"{ORGANIZATIONS}/excluded/add", fields, page=question)).status == 409
    assert "Nobody is kept out." in await operator.shows(f"{ORGANIZATIONS}/excluded")


async def test_a_credential_is_offered_once_and_its_secrets_are_in_no_record(market: Whole) -> None:
    operator = await browser_of(market, OTTO)
    assert "for development" in await operator.shows(CREDENTIALS)
    answer = await operator.sends(CREDENTIALS, ORDER, page=CREDENTIALS)
    page = answer.body.decode()
    (reference,) = re.findall(r"oid4vci%2Foffers%2F([A-Za-z0-9_-]{43})", page)
    (code,) = re.findall(r"<code>(\d{6})</code>", page)
    shown = await operator.shows(CREDENTIALS)
    assert "Bea Prueba" in shown
    assert reference not in shown
    assert f"<code>{code}</code>" not in shown
    records = b"".join(one.content for one in await audit.page(market.marketplace.store, 0, 1000))
    assert reference.encode() not in records
    (offer,) = await issuing.offers(market.marketplace.store, 10)
    withdraw = f"{CREDENTIALS}/offers/{offer.id}/withdraw"
    assert (await operator.sends(withdraw, {}, page=withdraw)).status == 303
    assert await issuing.offers(market.marketplace.store, 10) == ()
    assert [act for act, _, _ in await acts(market)] == ["credential-offer", "offer-withdraw"]


@pytest.mark.parametrize(
    "fault",
    [
        {"powers": "nothing"},
        {"powers": "A:B\n" * 40},
        {"organization": "x"},
        {"country": "spain"},
        {"email": ""},
        {"name": ""},
    ],
    ids=str,
)
async def test_an_order_that_cannot_be_issued_is_refused(market: Whole, fault: dict[str, str]) -> None:
    operator = await browser_of(market, OTTO)
    assert (await operator.sends(CREDENTIALS, ORDER | fault, page=CREDENTIALS)).status == 400
    assert await issuing.offers(market.marketplace.store, 10) == ()


async def test_what_strangers_wrote_into_a_registration_is_no_markup(market: Whole) -> None:
    hostile = "<script>x</script>\u202e"
    named = msgspec.structs.replace(CHIEF, organization_name=hostile, name=hostile, email=hostile)
    chief = await browser_of(market, named)
    await chief.sends("/onboarding", {"terms": "2026-11"}, page="/onboarding")
    operator = await browser_of(market, OTTO)
    for path in (ORGANIZATIONS, ONE):
        assert "<script>x" not in await operator.shows(path)


async def test_odd_queries_and_names_are_refused(market: Whole) -> None:
    operator = await browser_of(market, OTTO)
    for query, status in (
        ("?state=odd", 400),
        ("?offset=-1", 400),
        ("?offset=" + "9" * 5000, 400),
        ("?offset=%D9%A1", 400),
        ("/excluded/add", 400),
        ("/excluded/add?kind=odd&name=x", 400),
        ("/excluded/add?kind=subject&name=%00", 400),
        ("/VATES-0", 404),
    ):
        assert (await operator.client.get(f"{ORGANIZATIONS}{query}")).status == status, query
