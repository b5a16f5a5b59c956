"""Logging in with a wallet in a real browser, without scripts; and its pages, which everybody can use."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import NullTranslations
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from hansa.portal.frame.languages import catalogues
from tests.browser.conftest import PSEUDO, PseudoTranslations
from tests.browser.test_screens import overflows, violations
from tests.support.login_site import LoginSite
from tests.support.wallets import answer_form, presented, request_claims


@pytest.fixture(scope="module")
def site() -> Iterator[LoginSite]:
    with LoginSite({"en": NullTranslations, **catalogues(), PSEUDO: PseudoTranslations}) as served:
        yield served


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
