"""A whole marketplace, as `hansa serve` runs it, into which somebody logs in with a wallet."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hansa.core.clock import SystemClock
from hansa.core.errors import Fatal
from hansa.node.logs import configure_logs
from hansa.node.verifier.identity import registration_certificate
from tests.support.asgi import AsgiClient
from tests.support.certificates import authority
from tests.support.credentials import HOLDER, bound, sd_claims, sd_jwt, seal
from tests.support.wallets import answer_form, request_claims, response_code
from tests.support.whole import Whole, open_whole

ENDPOINT: Final = "http://127.0.0.1:8101"
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
PAGE: Final = {"accept": "text/html"}
JSON: Final = {"accept": "application/json"}
CLOCK: Final = SystemClock()
PRIVATE: Final = "/tmf-api/customerBillManagement/v4/customerBill"


@pytest.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """A marketplace that believes whoever has a certificate of one authority."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lubeck"
    environment = {
        "HANSA_CREDENTIAL_TRUST": "anchors",
        "HANSA_WEB_WALLETS": "http://127.0.0.1:8199/wallet",
        "HANSA_WALLET_NAMES_AUTHORITIES": "true",
    }
    async with open_whole(folder, environment, before=lambda: add_anchor(folder)) as opened:
        yield opened


NOW = CLOCK.now()
ROOT = authority("Trust CA", begin=NOW.replace(year=NOW.year - 1), end=NOW.replace(year=NOW.year + 1))
SEAL = seal(ROOT, begin=NOW.replace(year=NOW.year - 1), end=NOW.replace(year=NOW.year + 1))


def add_anchor(folder: Path) -> None:
    (folder / "anchors").mkdir()
    (folder / "anchors/root.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))


def presentation(request: dict[str, Any]) -> str:
    """Of an employee's credential, now."""
    now_s = int(CLOCK.now().timestamp())
    credential = sd_jwt(sd_claims(iat=now_s - 60, exp=now_s + 3600), issuer=SEAL)
    return bound(credential, HOLDER, {"aud": request["client_id"], "nonce": request["nonce"], "iat": now_s})


async def fetched(client: AsgiClient, wallet_url: str) -> dict[str, Any]:
    (address,) = parse_qs(urlsplit(wallet_url).query)["request_uri"]
    answer = await client.get(address.removeprefix(ENDPOINT))
    assert answer.status == 200, answer.body
    return request_claims(answer.body.decode())


async def sent_back(client: AsgiClient, wallet_url: str) -> str:
    """Where a wallet sends the person that presents a good credential."""
    request = await fetched(client, wallet_url)
    body = answer_form(request, presentation(request))
    answer = await client.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)
    assert answer.status == 200, answer.body
    redirect_uri: str = answer.json()["redirect_uri"]
    assert redirect_uri.startswith(ENDPOINT)
    return redirect_uri.removeprefix(ENDPOINT)


def browser_of(whole: Whole, cookies: str) -> AsgiClient:
    pairs = "; ".join(line.partition(";")[0] for line in cookies.splitlines())
    return whole.anonymous.with_headers(**PAGE, cookie=pairs)


async def begun(whole: Whole) -> tuple[AsgiClient, str]:
    """A browser, and the page of the login that it has begun."""
    start = await whole.anonymous.get("/login?return_to=/docs", headers=PAGE)
    assert b'name="return_to" value="/docs"' in start.body
    answer = await whole.anonymous.post("/login", body=b"return_to=/docs", headers={**FORM, **PAGE})
    return browser_of(whole, answer.headers["set-cookie"]), answer.headers["location"]


def links_in(page: bytes) -> list[str]:
    return [
        text.replace("&amp;", "&") for text in re.findall(r'href="((?:openid4vp|http)[^"]+)"', page.decode())
    ]


async def test_a_person_logs_in_and_has_a_session(whole: Whole) -> None:
    browser, page = await begun(whole)
    waiting = await browser.get(page)
    native, web, _ = links_in(waiting.body)
    assert waiting.headers["refresh"] == "3"
    assert web.startswith("http://127.0.0.1:8199/wallet?client_id=x509_hash%3A")
    back = await browser.get(await sent_back(whole.anonymous, native))
    assert (back.status, back.headers["location"]) == (303, "/docs")
    session = next(line for line in back.headers["set-cookie"].splitlines() if "__Host-hansa-" in line)
    logged_in = whole.anonymous.with_headers(cookie=session.partition(";")[0])
    assert (await whole.anonymous.get(PRIVATE)).status == 401
    assert (await logged_in.get(PRIVATE)).status == 200
    assert b"<bdi>Ana Prueba</bdi>" in (await logged_in.get("/about", headers=PAGE)).body
    assert b'href="/login?return_to=/about"' in (await whole.anonymous.get("/about", headers=PAGE)).body


async def test_a_person_with_a_wallet_on_a_telephone_logs_in(whole: Whole) -> None:
    browser, page = await begun(whole)
    *_, scanned = links_in((await browser.get(page)).body)
    telephone = await whole.anonymous.get(await sent_back(whole.anonymous, scanned), headers=PAGE)
    code = re.search(rb"<code>(\d{3} \d{3})</code>", telephone.body)
    asked = await browser.get(page)
    confirmation = re.search(rb'name="confirmation" value="([^"]+)"', asked.body)
    assert code is not None
    assert confirmation is not None
    assert b"Ana Prueba" in asked.body
    assert ENDPOINT.encode() in asked.body
    wrong = {"confirmation": confirmation[1].decode(), "code": "x", "action": "confirm"}
    again = await browser.post_form(page, wrong)
    assert again.status == 400
    assert b'aria-invalid="true"' in again.body
    right = wrong | {"code": code[1].decode()}
    done = await browser.post_form(page, right)
    assert (done.status, done.headers["location"]) == (303, "/docs")


async def test_the_pages_of_a_login_are_html_that_loads_and_runs_nothing(whole: Whole) -> None:
    html = pytest.importorskip("html5lib")
    browser, page = await begun(whole)
    native, _, scanned = links_in((await browser.get(page)).body)
    pages = [await browser.get("/login"), await browser.get(page)]
    telephone = await sent_back(whole.anonymous, scanned)
    pages += [await browser.get(telephone), await browser.get(page), await browser.get("/login/unknown")]
    other, other_page = await begun(whole)
    await sent_back(whole.anonymous, links_in((await other.get(other_page)).body)[0])
    pages += [await other.get(other_page), await browser.get(other_page)]
    assert native
    for one in pages:
        html.HTMLParser(strict=True).parse(one.body.decode())
        policy = one.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert b"style=" not in one.body
        assert b"<script" not in one.body.replace(b'<script src="', b"")
        assert one.headers["cache-control"] == "no-store"


async def test_a_request_names_the_authorities_of_the_folder(whole: Whole) -> None:
    reported = (await whole.anonymous.post("/login", {}, headers=JSON)).json()
    request = await fetched(whole.anonymous, reported["wallet_url"])
    for query in request["dcql_query"]["credentials"]:
        ((authorities),) = query["trusted_authorities"]
        assert (authorities["type"], len(authorities["values"])) == ("aki", 1)


async def test_the_qr_code_is_drawn_in_the_page(whole: Whole) -> None:
    browser, page = await begun(whole)
    body = (await browser.get(page)).body
    assert b'<div role="img" aria-label="QR code with the request for your wallet"><svg ' in body


async def test_markup_in_a_credential_is_text(whole: Whole) -> None:
    browser, page = await begun(whole)
    *_, scanned = links_in((await browser.get(page)).body)
    request = await fetched(whole.anonymous, scanned)
    now_s = int(CLOCK.now().timestamp())
    claims = sd_claims(iat=now_s - 60, exp=now_s + 3600)
    claims["mandate"]["mandatee"]["firstName"] = "<script>alert(1)</script>"
    text = bound(
        sd_jwt(claims, issuer=SEAL),
        HOLDER,
        {"aud": request["client_id"], "nonce": request["nonce"], "iat": now_s},
    )
    body = answer_form(request, text)
    await whole.anonymous.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)
    asked = (await browser.get(page)).body
    assert b"&lt;script&gt;alert(1)" in asked
    assert b"<script>alert" not in asked


async def test_without_trust_in_its_issuer_a_credential_logs_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the ledger says who is trusted; where it cannot be read, nobody is."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lubeck"
    async with open_whole(folder, before=lambda: add_anchor(folder)) as whole:
        browser, page = await begun(whole)
        request = await fetched(whole.anonymous, links_in((await browser.get(page)).body)[0])
        body = answer_form(request, presentation(request))
        answer = await whole.anonymous.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)
    assert (answer.status, answer.json()["error"]) == (503, "temporarily_unavailable")


# Key and certificates.


async def test_a_marketplace_makes_a_certificate_for_development_that_is_its_owners_alone(
    whole: Whole,
) -> None:
    folder = whole.folder / "verifier"
    leaf = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    issuer = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    leaf.verify_directly_issued_by(issuer)
    assert leaf.subject != leaf.issuer
    assert [path.name for path in sorted(folder.iterdir())] == ["authority.pem", "certificate.pem", "key.pem"]
    for path in (folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_a_marketplace_that_starts_again_is_the_same_to_wallets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    identities = []
    for is_new in (True, False):
        async with open_whole(tmp_path / "lubeck", is_new=is_new) as whole:
            told = (await whole.anonymous.post("/login", {}, headers=JSON)).json()
            identities.append(parse_qs(urlsplit(told["wallet_url"]).query)["client_id"])
    assert identities[0] == identities[1]


@pytest.mark.parametrize("content", [b"", b"a.b", b"a.b.c\nd", b"x" * 70_000])
def test_a_registration_certificate_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "verifier").mkdir()
    (tmp_path / "verifier/registration.jwt").write_bytes(content)
    with pytest.raises(Fatal):
        registration_certificate(tmp_path)


# What is logged.


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """Other tests log as they are used to."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored_logs")
async def test_nothing_secret_of_a_login_is_in_any_log_at_any_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    configure_logs("debug", "json", CLOCK, os.urandom)
    folder = tmp_path / "lubeck"
    environment = {"HANSA_CREDENTIAL_TRUST": "anchors", "HANSA_ACCESS_LOG": "true"}
    async with open_whole(folder, environment, before=lambda: add_anchor(folder)) as whole:
        browser, page = await begun(whole)
        native, scanned = links_in((await browser.get(page)).body)
        request = await fetched(whole.anonymous, native)
        text = presentation(request)
        body = answer_form(request, text)
        path = urlsplit(request["response_uri"]).path
        answer = await whole.anonymous.post(path, body=body, headers=FORM)
        where = answer.json()["redirect_uri"].removeprefix(ENDPOINT)
        back = await browser.get(where)
        again = await whole.anonymous.post(path, body=body, headers=FORM)
    assert (back.status, again.status) == (303, 404)
    logged = capsys.readouterr().err
    lines = [json.loads(line) for line in logged.splitlines()]
    assert {"request_answered", "wallet_login_answered", "wallet_login_completed"} <= {
        line["event"] for line in lines
    }
    cookies = [line.partition("=")[2].partition(";")[0] for line in back.headers["set-cookie"].splitlines()]
    secrets = [request["nonce"], request["state"], response_code(where), *text.split("~"), *text.split(".")]
    secrets += [*filter(None, cookies), "Ana", "Prueba", "goodair.example", unquote(body.decode())[9:]]
    assert scanned
    for secret in filter(None, secrets):
        assert secret not in logged, secret


async def test_an_authority_that_is_taken_out_while_it_runs_logs_nobody_in_any_more(whole: Whole) -> None:
    assert "trust anchors" in whole.marketplace.tasks._runs, "the folder is watched"
    Path("lubeck/anchors/root.pem").unlink(missing_ok=True)
    Path("anchors/root.pem").unlink(missing_ok=True)
    await whole.marketplace.trust.look()
    browser, page = await begun(whole)
    request = await fetched(whole.anonymous, links_in((await browser.get(page)).body)[0])
    body = answer_form(request, presentation(request))
    answer = await whole.anonymous.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)
    assert answer.status >= 400
    assert b"trusted" in (await browser.get(page)).body
