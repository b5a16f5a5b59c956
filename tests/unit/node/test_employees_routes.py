"""An organisation invites its people at a whole marketplace, and removes them."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hansa.core.access import Power
from hansa.store.tables import issuing as tables
from tests.support.asgi import AsgiClient, Response
from tests.support.logins import ANA, OFFERING, cookie_of
from tests.support.whole import Whole, open_whole

ENDPOINT = "http://127.0.0.1:8101"
EMPLOYEES = "/onboarding/employees"
CHIEF = msgspec.structs.replace(ANA, powers=(Power("DOME", "Onboarding", ("Execute",)), OFFERING))
OTHER = msgspec.structs.replace(
    CHIEF, subject="did:key:zEve", organization="VATDE-1", organization_name="Evil"
)
SETTINGS = {"HANSA_ISSUING": "true", "HANSA_ONBOARDING_TERMS": "1"}
INVITED = {"name": "Bea Nueva", "email": "bea@goodair.example", "powers": "ProductOffering:Create"}


@pytest.fixture
async def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """Where two organisations are approved."""
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market", SETTINGS) as made:
        for principal in (CHIEF, OTHER):
            await post(await browser(made, principal), "/onboarding", "/onboarding", terms="1")
            path = f"/onboarding/organizations/{principal.organization}/approve"
            assert (await made.client.request("POST", path)).status == 200
        yield made


async def browser(whole: Whole, principal: Any) -> AsgiClient:
    """A browser in which somebody is logged in."""
    logged_in = await whole.marketplace.identity.sessions.begin(principal, "/", {})
    return whole.anonymous.with_headers(cookie=cookie_of(logged_in).decode(), accept="text/html")


async def post(client: AsgiClient, page: str, path: str, **fields: str) -> Response:
    """Post a form with the token of a page."""
    body = (await client.get(page)).body.decode()
    tokens = re.findall(r'name="csrf" value="([^"]+)"', body)
    sent = {"csrf": tokens[0] if tokens else "", **fields}
    return await client.post_form(path, sent, {"origin": ENDPOINT})


async def credential_of(whole: Whole) -> str:
    """Record a credential as it would be after a wallet accepted, in the name of the first organisation."""
    store = whole.marketplace.store
    async with store.transaction() as tx:
        one = await tables.add_list(tx, CHIEF.organization, "token")
        issued = tables.IssuedCredential(
            *("urn:uuid:bea", "learcredential.employee.sd.1", CHIEF.organization, "GoodAir", "ES"),
            *("Bea Nueva", "bea@goodair.example"),
            *(one.number, 7, 0, 1, 2**42),
        )
        await tables.add_credential(tx, issued)
    return issued.id


async def test_an_invitation_is_an_offer_for_the_own_organisation(market: Whole) -> None:
    answer = await post(await browser(market, CHIEF), EMPLOYEES, EMPLOYEES, **INVITED)
    assert answer.status == 200
    page = html.unescape(answer.body.decode())
    (link,) = re.findall(r"openid-credential-offer://[^<]+", page)
    address = parse_qs(urlsplit(link).query)["credential_offer_uri"][0]
    assert (await market.anonymous.get(address.removeprefix(ENDPOINT))).status == 200
    (waiting,) = (await market.client.get("/oid4vci/offers")).json()
    assert (waiting["holder"], waiting["organization"]) == ("Bea Nueva", "VATES-12345678")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"powers": "ProductOffering:Delete"}, 403),
        ({"powers": "Certification:Upload"}, 403),
        ({"powers": "OTHER/ProductOffering:Create"}, 403),
        ({"powers": ""}, 400),
        ({"powers": "nonsense"}, 400),
        ({"powers": "ProductOffering:Create\n" * 40}, 400),
        ({"email": "bea"}, 400),
        ({"name": ""}, 400),
    ],
    ids=str,
)
async def test_nobody_gives_more_than_they_have(market: Whole, fields: dict[str, str], status: int) -> None:
    answer = await post(await browser(market, CHIEF), EMPLOYEES, EMPLOYEES, **{**INVITED, **fields})
    assert answer.status == status
    assert (await market.client.get("/oid4vci/offers")).json() == []


async def test_a_removed_employee_is_out_at_once_and_revoked(market: Whole) -> None:
    id = await credential_of(market)
    bea = msgspec.structs.replace(ANA, subject="did:key:zBea", credential_id=id)
    client = await browser(market, bea)
    assert (await client.get("/onboarding")).status == 200
    answer = await post(await browser(market, CHIEF), EMPLOYEES, f"{EMPLOYEES}/{id}/remove")
    assert answer.status == 303
    assert (await client.get("/onboarding")).headers["location"].startswith("/login")
    (credential,) = (await market.client.get("/oid4vci/credentials")).json()
    assert credential["status"] == "revoked"


async def test_another_organisation_sees_and_removes_nobody(market: Whole) -> None:
    id = await credential_of(market)
    stranger = await browser(market, OTHER)
    assert b"Bea" not in (await stranger.get(EMPLOYEES)).body
    assert (await post(stranger, EMPLOYEES, f"{EMPLOYEES}/{id}/remove")).status == 404
    (credential,) = (await market.client.get("/oid4vci/credentials")).json()
    assert credential["status"] == "valid"


async def test_an_employee_without_the_power_manages_nobody(market: Whole) -> None:
    client = await browser(market, ANA)
    assert (await client.get(EMPLOYEES)).status == 403
    assert (await post(client, EMPLOYEES, EMPLOYEES, **INVITED)).status == 403


async def test_who_is_not_approved_invites_nobody(market: Whole) -> None:
    newcomer = msgspec.structs.replace(CHIEF, organization="VATFR-1")
    assert (await (await browser(market, newcomer)).get(EMPLOYEES)).status == 403


async def test_without_the_token_of_the_page_nothing_happens(market: Whole) -> None:
    client = await browser(market, CHIEF)
    assert (await post(client, EMPLOYEES, EMPLOYEES, **INVITED, csrf="x")).status == 403
    for path in (EMPLOYEES, f"{EMPLOYEES}/x/remove"):
        answer = await market.anonymous.post_form(path, {})
        assert answer.status == 401
