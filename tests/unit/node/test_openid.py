"""The OpenID Provider of a whole marketplace, and its access tokens at the TM Forum APIs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from hansa.core.clock import epoch_s
from hansa.identity.provider.clients.records import ClientRecord
from hansa.identity.provider.clients.registry import write_clients
from tests.support.logins import ANA, cookie_of
from tests.support.provider import (
    BACK,
    EVERY_SCOPE,
    PROOF_KEY,
    VERIFIER,
    asked,
    dpop_proof,
    payload_of,
    query_of,
)
from tests.support.whole import CLOCK, Whole, open_whole

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
OFFERING = {"name": "Storage", "lifecycleStatus": "Launched"}
ISSUER = "http://127.0.0.1:8101"
OPERATOR = msgspec.structs.replace(ANA, roles=frozenset({"operator", "provider"}))


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lubeck"
    async with open_whole(folder) as opened:
        write_clients(
            folder / "clients.json", [ClientRecord("portal", redirect_uris=(BACK,), scopes=EVERY_SCOPE)]
        )
        os.utime(folder / "clients.json", (1, 1))
        opened.marketplace.identity._clients._looked_at_s = -10.0  # it is looked at once a second
        yield opened


async def tokens_of(whole: Whole, scope: str = "openid write", **headers: str) -> dict[str, Any]:
    cookie = cookie_of(await whole.marketplace.identity.sessions.begin(OPERATOR, "/", {})).decode()
    target = f"/oidc/authorize?{urlencode(asked(scope=scope))}"
    code = query_of(await whole.anonymous.get(target, headers={"cookie": cookie}))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "client_id": "portal",
        "code_verifier": VERIFIER,
    }
    answer = await whole.anonymous.post_form("/oidc/token", form, headers)
    assert answer.status == 200, answer.body
    tokens: dict[str, Any] = answer.json()
    return tokens


def proof(method: str, path: str, token: str | None = None, **claims: str) -> str:
    """A proof for a request, by the clock of the machine."""
    return dpop_proof(PROOF_KEY, method, f"{ISSUER}{path}", epoch_s(CLOCK), {"jti": "1", **claims}, token)


async def test_what_a_client_reads_first_is_what_is_served(whole: Whole) -> None:
    metadata = (await whole.anonymous.get("/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == ISSUER
    keys = await whole.anonymous.get("/oidc/jwks", headers={"origin": "https://spa.example"})
    assert keys.headers["access-control-allow-origin"] == "*"
    for name, address in metadata.items():
        if name.endswith(("_endpoint", "_uri")):
            answer = await whole.anonymous.request("OPTIONS", address.removeprefix(ISSUER))
            assert answer.status == 204, name


async def test_a_browser_that_is_not_logged_in_is_led_to_the_login(whole: Whole) -> None:
    target = f"/oidc/authorize?{urlencode(asked())}"
    answer = await whole.anonymous.get(target)
    assert answer.status == 303
    login = await whole.anonymous.get(answer.headers["location"])
    assert login.status == 200
    assert b"/oidc/authorize?" in login.body


async def test_an_access_token_writes_what_the_credential_allows(whole: Whole) -> None:
    token = (await tokens_of(whole, "openid write operate"))["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    created = await whole.anonymous.post(OFFERINGS, OFFERING, headers=bearer)
    assert created.status == 201, created.body
    reading = (await tokens_of(whole, "openid"))["access_token"]
    refused = await whole.anonymous.post(OFFERINGS, OFFERING, headers={"authorization": f"Bearer {reading}"})
    assert refused.status == 403


async def test_a_bound_token_writes_with_a_proof_for_each_request(whole: Whole) -> None:
    nonce = whole.marketplace.identity.proofs.nonce()
    tokens = await tokens_of(whole, "write operate", dpop=proof("POST", "/oidc/token", nonce=nonce))
    token = tokens["access_token"]
    assert payload_of(token)["cnf"]
    scheme = {"authorization": f"DPoP {token}"}
    shown = scheme | {"dpop": proof("POST", OFFERINGS, token, jti="2")}
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=shown)).status == 201
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=shown)).status == 401
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=scheme)).status == 401
    bearer = {"authorization": f"Bearer {token}"}
    assert (await whole.anonymous.post(OFFERINGS, OFFERING, headers=bearer)).status == 401


async def test_a_page_says_why_a_request_cannot_be_answered_and_repeats_nothing_of_it(whole: Whole) -> None:
    evil = "<script>alert(1)</script>"
    answer = await whole.anonymous.get(f"/oidc/authorize?{urlencode({'client_id': evil})}")
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert b"alert(1)" not in answer.body
    assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_a_page_asks_before_it_logs_out(whole: Whole) -> None:
    sessions = whole.marketplace.identity.sessions
    headers = {"cookie": cookie_of(await sessions.begin(ANA, "/", {})).decode()}
    page = await whole.anonymous.get("/oidc/logout", headers=headers)
    assert b'name="csrf"' in page.body
    assert page.headers["cache-control"] == "no-store"
