"""A whole marketplace into which somebody logs in for nobody but themselves, by an identity document."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.support.asgi import AsgiClient
from tests.support.identity_documents import PID_TYPE, asked_claims, pid
from tests.support.wallets import answer_form
from tests.support.whole import Whole, open_whole
from tests.unit.node.test_wallet_login import (
    CLOCK,
    ENDPOINT,
    FORM,
    PAGE,
    SEAL,
    add_anchor,
    begun,
    fetched,
    links_in,
)

CATALOGUE: Final = "/tmf-api/productCatalogManagement/v4"
PRIVATE: Final = "/tmf-api/customerBillManagement/v4/customerBill"


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """A marketplace that asks for a PID alone."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lubeck"
    environment = {
        "HANSA_CREDENTIAL_TRUST": "anchors",
        "HANSA_WALLET_CREDENTIALS": "",
        "HANSA_LOGIN_IDENTITY_TYPES": PID_TYPE,
    }
    async with open_whole(folder, environment, before=lambda: add_anchor(folder)) as opened:
        yield opened


async def jean(whole: Whole) -> AsgiClient:
    """The browser of somebody who has logged in."""
    browser, page = await begun(whole)
    request = await fetched(whole.anonymous, links_in((await browser.get(page)).body)[0])
    now_s = int(CLOCK.now().timestamp())
    query, _ = asked_claims(request)
    text = pid(request, issuer=SEAL, bindings={"iat": now_s}, iat=now_s - 60, exp=now_s + 3600)
    body = answer_form(request, {query: [text]})
    answer = await whole.anonymous.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)
    assert answer.status == 200, answer.body
    back = await browser.get(answer.json()["redirect_uri"].removeprefix(ENDPOINT))
    session = next(line for line in back.headers["set-cookie"].splitlines() if "__Host-hansa-" in line)
    return whole.anonymous.with_headers(**PAGE, cookie=session.partition(";")[0])


async def test_the_login_page_says_what_is_asked_and_what_is_kept(whole: Whole) -> None:
    start = (await whole.anonymous.get("/login", headers=PAGE)).body
    assert b"date of birth" in start
    assert b"credential of your organisation" not in start


async def test_a_person_reads_on_the_account_page_what_is_possible_and_what_is_not(whole: Whole) -> None:
    page = (await (await jean(whole)).get("/account")).body
    assert b"<h1><bdi>Jean Dupont</bdi></h1>" in page
    assert b"You are logged in for yourself." in page
    assert not re.search(rb'href="/(provider|operator)"', page)
    assert b"names your organisation" not in page


@pytest.mark.parametrize("path", ["/provider", "/operator", "/provider/import"])
async def test_pages_for_others_are_refused_to_a_person(whole: Whole, path: str) -> None:
    assert (await (await jean(whole)).get(path)).status == 403


async def test_a_person_keeps_favourites(whole: Whole) -> None:
    page = await (await jean(whole)).get("/favourites")
    assert (page.status, b"You have no favourites yet" in page.body) == (200, True)


async def test_a_person_reads_what_is_public_and_nothing_private_and_writes_nothing(whole: Whole) -> None:
    person = (await jean(whole)).with_headers(accept="application/json")
    assert (await person.get(f"{CATALOGUE}/productOffering")).status == 200
    assert (await person.get(PRIVATE)).status == 403
    assert (await person.post(f"{CATALOGUE}/productOffering", {"name": "Bread"})).status == 403
