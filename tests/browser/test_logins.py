"""Logging in with a wallet in a real browser, without scripts; and its pages, which everybody can use."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from gettext import NullTranslations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hansa.api.wallets import ExchangeApi, LoginsApi, routes
from hansa.core.limits import Limits
from hansa.identity.principal import Principal
from hansa.identity.sessions import LoggedIn
from hansa.node.http.application import rest_application
from hansa.portal.frame import Branding, Frame
from hansa.portal.frame.languages import catalogues
from hansa.portal.logins import WalletLoginPages
from tests.browser.conftest import PSEUDO, PseudoTranslations
from tests.browser.test_screens import overflows, violations
from tests.support.people import NOBODY
from tests.support.wallets import Scene, answer_form, presented, request_claims


async def on_login(principal: Principal, return_to: str, _: Mapping[bytes, bytes]) -> LoggedIn:
    return LoggedIn(return_to, (f"who={principal.organization}; Path=/; HttpOnly; SameSite=Lax",))


async def landed(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"logged in for {request.cookies.get('who', 'nobody')}")


class LoginSite:
    """A marketplace that serves logins at an address."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self._application(), log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _application(self) -> Any:
        languages = {"en": NullTranslations, **catalogues(), PSEUDO: PseudoTranslations}
        frame = Frame(Branding("lubeck"), languages, people=NOBODY)
        logins = Scene(endpoint=self.address, web_wallets=("https://wallet.example/open",)).logins
        pages = WalletLoginPages(frame, "lubeck", self.address)
        api = LoginsApi(logins, pages, on_login, self.address, lambda _: "", Limits())
        files = Route("/static/{name}", frame.assets.serve)
        return rest_application(
            [*routes(api, ExchangeApi(logins)), files, Route("/landed", landed), Route("/", landed)]
        )

    def _serve(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="module")
def site() -> Iterator[LoginSite]:
    served = LoginSite()
    served.start()
    yield served
    served.stop()


@pytest.fixture
def context(browser: Browser, site: LoginSite) -> Iterator[BrowserContext]:
    """A browser that runs no script."""
    opened = browser.new_context(base_url=site.address, locale="en-GB", java_script_enabled=False)
    yield opened
    opened.close()


def sent_back(browser: Browser, link: str) -> str:
    """Where a wallet sends the person after it has presented a credential."""
    (address,) = parse_qs(urlsplit(link).query)["request_uri"]
    with browser.new_context() as wallet:
        request = request_claims(wallet.request.get(address).text())
        body = answer_form(request, presented(request))
        answered = wallet.request.post(
            request["response_uri"],
            data=body,
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        redirect_uri: str = answered.json()["redirect_uri"]
    return redirect_uri


def begun(context: BrowserContext, language: str = "en") -> Page:
    """The page with the links to wallets."""
    page = context.new_page()
    page.goto(f"/login?return_to=/landed&lang={language}")
    page.locator("main form button").click()
    page.wait_for_url("**/login/*")
    return page


def link_of(page: Page, *, is_other_device: bool) -> str:
    selector = "details a" if is_other_device else "a.button[href^='openid4vp:']"
    link = page.locator(selector).first.get_attribute("href")
    assert link is not None
    return link


def test_a_person_logs_in_on_this_device_without_scripts(context: BrowserContext, browser: Browser) -> None:
    page = begun(context)
    page.goto(sent_back(browser, link_of(page, is_other_device=False)))
    assert page.url.endswith("/landed")
    assert page.inner_text("body") == "logged in for VATES-12345678"


def test_a_person_logs_in_with_a_telephone_without_scripts(context: BrowserContext, browser: Browser) -> None:
    page = begun(context)
    with browser.new_context() as telephone:
        shown = telephone.new_page()
        shown.goto(sent_back(browser, link_of(page, is_other_device=True)))
        number = shown.locator("p.lead code").inner_text()
    page.wait_for_selector("#code", timeout=15_000)  # the page loads again by itself
    page.locator("#code").fill(number)
    page.keyboard.press("Enter")
    page.wait_for_url("**/landed")
    assert page.inner_text("body") == "logged in for VATES-12345678"


def test_another_browser_is_not_logged_in_by_the_way_back(context: BrowserContext, browser: Browser) -> None:
    page = begun(context)
    back = sent_back(browser, link_of(page, is_other_device=False))
    with browser.new_context() as other:
        victim = other.new_page()
        response = victim.goto(back)
        assert response is not None
        assert response.status == 403
        assert other.cookies() == []


def test_the_pages_of_a_login_are_accessible_narrow_and_in_long_languages(
    browser: Browser, site: LoginSite
) -> None:
    screens: list[Page] = []
    with browser.new_context(base_url=site.address, reduced_motion="reduce") as context:
        page = begun(context, PSEUDO)
        back = sent_back(browser, link_of(page, is_other_device=True))
        paths = ["/login", "/login/unknown", back, page.url]
        same = begun(context)
        sent_back(browser, link_of(same, is_other_device=False))
        paths.append(same.url)
        for path in paths:
            screen = context.new_page()
            joint = "&" if "?" in path else "?"
            screen.goto(f"{path}{joint}lang={PSEUDO}")
            screen.set_viewport_size({"width": 320, "height": 800})
            assert violations(screen) == [], path
            assert not overflows(screen), path
            screens.append(screen)
        waiting = begun(context)
        waiting.set_viewport_size({"width": 320, "height": 800})
        assert violations(waiting) == []
        assert not overflows(waiting)
    assert len(screens) == 5
