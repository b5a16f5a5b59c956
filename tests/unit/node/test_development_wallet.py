"""The page of the development wallet: a person is chosen, and nobody else's page chooses one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from hansa.api.wallets.development import DevelopmentWalletApi
from hansa.core.limits import Limits
from hansa.node.http.application import rest_application
from hansa.portal import Branding, Frame
from hansa.portal.wallet import WalletPages
from tests.support.asgi import AsgiClient, Response
from tests.support.wallet_scene import WalletScene
from tests.support.wallets import response_code

HOST = "127.0.0.1:8101"


class Page:
    """The page, and a browser."""

    def __init__(self, folder: Path) -> None:
        self.scene = WalletScene(folder)
        pages = WalletPages(Frame(Branding("lubeck")))
        served = self.scene, f"http://{HOST}", self.scene.issuing.clock, os.urandom, Limits()
        api = DevelopmentWalletApi(folder / "wallet", pages, *served)
        self._client = AsgiClient(rest_application(api.routes()))

    async def get(self, query: str = "", **headers: str) -> Response:
        return await self._client.request("GET", f"/wallet?{query}", headers={"host": HOST, **headers})

    async def post(self, fields: dict[str, str], **headers: str) -> Response:
        sent = {"host": HOST, "sec-fetch-site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.post_form("/wallet", fields, sent)


@pytest.fixture
async def page(tmp_path: Path) -> Page:
    made = Page(tmp_path)
    await made.scene.accept()
    return made


def fields_of(response: Response, button: str) -> dict[str, str]:
    """The hidden fields of the form with a button."""
    forms = re.findall(r"<form method=\"post\".*?</form>", response.body.decode(), re.DOTALL)
    (form,) = [one for one in forms if button in one]
    return {
        name: value.replace("&amp;", "&")
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    }


async def test_a_person_is_chosen_and_logged_in(page: Page) -> None:
    begun, link = page.scene.begin()
    shown = await page.get(urlsplit(link).query)
    assert "market.example" in shown.body.decode()
    answer = await page.post(fields_of(shown, "Log in as ana"))
    assert answer.status == 303
    code = response_code(answer.headers["location"])
    completed = page.scene.scene.logins.return_from_wallet(begun.id, begun.secret, code)
    assert completed.principal.name == "Ana María Prueba"


async def test_every_page_says_that_it_is_for_development(page: Page) -> None:
    for query in ("", urlsplit(page.scene.begin()[1]).query, "client_id=x&request_uri=y"):
        assert "for development" in (await page.get(query)).body.decode()


async def test_the_form_may_lead_to_the_verifier_and_nowhere_else(page: Page) -> None:
    policy = (await page.get(urlsplit(page.scene.begin()[1]).query)).headers["content-security-policy"]
    assert "form-action 'self' https://market.example;" in policy


async def test_the_person_can_present_nothing(page: Page) -> None:
    begun, link = page.scene.begin()
    shown = await page.get(urlsplit(link).query)
    answer = await page.post(fields_of(shown, "Present nothing"))
    assert answer.status == 200
    view = page.scene.scene.logins.view(begun.id, begun.secret)
    assert view is not None
    assert view.declined == "access_denied"


async def test_a_page_shows_no_key(page: Page) -> None:
    body = (await page.get()).body.decode()
    held = page.scene.folder.credentials()
    assert "Ana María Prueba" in body
    assert not [one.key["d"] for one in held if one.key["d"] in body or one.text[:40] in body]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none", "origin": "http://evil.example"},
        {"sec_fetch_site": "none", "origin": "null"},
        {"sec_fetch_site": "none", "origin": "http://127.0.0.1:8102"},
        {"host": "evil.example:8101"},
        {"host": ""},
    ],
    ids=str,
)
async def test_a_page_of_somebody_else_has_nothing_presented(page: Page, headers: dict[str, str]) -> None:
    link = page.scene.begin()[1]
    fields = dict(parse_qsl(urlsplit(link).query)) | {"person": "ana"}
    assert (await page.post(fields, **headers)).status == 403
    assert not [one for one in page.scene.requests if "/oid4vp/response" in one.url]


async def test_a_name_that_leads_here_shows_nothing(page: Page) -> None:
    assert (await page.get(host="evil.example:8101")).status == 403


@pytest.mark.parametrize("person", ["", "bob", "..", "../ana", "ana/", ".", "\x00"])
async def test_nobody_else_is_found(page: Page, person: str) -> None:
    fields = dict(parse_qsl(urlsplit(page.scene.begin()[1]).query)) | {"person": person}
    assert (await page.post(fields)).status == 400


@pytest.mark.parametrize(
    "query",
    [
        "client_id=x",
        "request_uri=http://127.0.0.1:22/",
        "client_id=x509_hash:x&request_uri=https://elsewhere.example/r",
        "client_id=x509_hash:x&request_uri=file:///etc/passwd",
        "client_id=%3Cscript%3E&request_uri=%3Cscript%3E",
    ],
)
async def test_a_request_that_does_not_hold_is_not_answered(page: Page, query: str) -> None:
    answer = await page.get(query)
    assert answer.status in {400, 503}
    assert b"<script>" not in answer.body


async def test_a_parameter_that_does_not_exist_is_refused(page: Page) -> None:
    assert (await page.get("unheard-of=1")).status == 400


async def test_an_odd_form_is_refused(page: Page) -> None:
    for fields in ({}, {"person": "ana"}, {"person": "x" * 10_000}):
        assert (await page.post(fields)).status == 400
