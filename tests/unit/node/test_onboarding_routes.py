"""Onboarding at a whole marketplace: the page, the operator's list, and the entities that come of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.access import Power
from tests.support.logins import ANA, OFFERING, cookie_of
from tests.support.whole import Whole, open_whole
from tests.unit.node.test_every_route import rest_routes

CHIEF = msgspec.structs.replace(ANA, powers=(Power("DOME", "Onboarding", ("Execute",)), OFFERING))
ENDPOINT = "http://127.0.0.1:8101"
ORGANIZATIONS = "/onboarding/organizations"
PATHS = [
    ("GET", ORGANIZATIONS),
    ("POST", f"{ORGANIZATIONS}/VATES-12345678/approve"),
    ("POST", f"{ORGANIZATIONS}/VATES-12345678/remove"),
]


@pytest.fixture
async def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market", {"HANSA_ONBOARDING_TERMS": "2026-11"}) as made:
        yield made


async def browser(whole: Whole, principal: Any = CHIEF) -> Any:
    """A browser in which somebody is logged in."""
    logged_in = await whole.marketplace.identity.sessions.begin(principal, "/", {})
    return whole.anonymous.with_headers(cookie=cookie_of(logged_in).decode(), accept="text/html")


async def registered(whole: Whole) -> Any:
    """The answer to a registration, by the form of the page."""
    client = await browser(whole)
    page = (await client.get("/onboarding")).body.decode()
    fields = dict(re.findall(r'name="(csrf|terms)" value="([^"]+)"', page))
    return await client.post_form("/onboarding", fields, {"origin": ENDPOINT})


async def test_an_organisation_becomes_an_entity_with_its_roles(market: Whole) -> None:
    assert (await registered(market)).status == 303
    (waiting,) = (await market.client.get(f"{ORGANIZATIONS}?state=waiting")).json()
    assert (waiting["name"], waiting["terms"]) == ("GoodAir", "2026-11")
    approved = await market.client.request("POST", f"{ORGANIZATIONS}/VATES-12345678/approve")
    assert approved.json()["state"] == "approved"
    path = f"/tmf-api/party/v4/organization/{approved.json()['organization_id']}"
    organization = (await market.client.get(path)).json()
    assert organization["tradingName"] == "GoodAir"
    assert organization["organizationIdentification"][0]["identificationId"] == "did:elsi:VATES-12345678"
    roles = (await market.client.get("/tmf-api/partyRoleManagement/v4/partyRole")).json()
    assert sorted(role["name"] for role in roles) == ["Buyer", "Seller"]
    assert {role["engagedParty"]["id"] for role in roles} == {organization["id"]}


async def test_a_removed_organisation_is_out_at_once(market: Whole) -> None:
    await registered(market)
    client = await browser(market)
    assert (await client.get("/onboarding")).status == 200
    await market.client.request("POST", f"{ORGANIZATIONS}/VATES-12345678/remove")
    answer = await client.get("/onboarding")
    assert (answer.status, answer.headers["location"]) == (303, "/login?return_to=/onboarding")


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_deciding_is_for_operators_alone(market: Whole, method: str, path: str) -> None:
    assert (await market.anonymous.request(method, path)).status == 401
    assert (await market.with_role("provider").request(method, path)).status == 403
    in_browser = await browser(market)
    assert (await in_browser.request(method, path)).status == 403


@pytest.mark.parametrize(
    ("fields", "origin", "status"),
    [
        ({"terms": "2026-11"}, ENDPOINT, 403),
        ({"terms": "2026-11", "csrf": "x"}, ENDPOINT, 403),
        ({"terms": "2026-11", "csrf": "own"}, "https://evil.example", 403),
        ({"csrf": "own"}, ENDPOINT, 409),
    ],
    ids=str,
)
async def test_a_form_of_somebody_else_registers_nobody(
    market: Whole, fields: dict[str, str], origin: str, status: int
) -> None:
    client = await browser(market)
    page = (await client.get("/onboarding")).body.decode()
    own = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
    fields = {name: own if value == "own" else value for name, value in fields.items()}
    answer = await client.post_form("/onboarding", fields, {"origin": origin})
    assert answer.status == status
    assert (await market.client.get(ORGANIZATIONS)).json() == []


async def test_without_a_login_nobody_registers(market: Whole) -> None:
    answer = await market.anonymous.post_form("/onboarding", {"terms": "2026-11"})
    assert answer.status == 401


async def test_what_somebody_wrote_into_a_credential_is_no_markup(market: Whole) -> None:
    client = await browser(market, msgspec.structs.replace(CHIEF, organization_name="<script>x</script>"))
    assert b"<script>x" not in (await client.get("/onboarding")).body


async def test_an_odd_state_is_refused(market: Whole) -> None:
    for query in ("state=odd", "state=", "limit=-1", "unheard-of=1"):
        assert (await market.client.get(f"{ORGANIZATIONS}?{query}")).status == 400


async def test_nothing_of_it_is_there_without_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market") as plain:
        assert not [one for one in rest_routes(plain.marketplace) if "onboarding" in one.path]
