"""Every screen in a real browser: accessible, at all widths, in both themes, long texts, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import PSEUDO, context_options, listened_to
from tests.support.editing_pages import EDITING_SCREENS
from tests.support.league_pages import PROPOSAL, RIGA
from tests.support.people import CUSTOMER, OPERATOR, PROVIDER, as_person
from tests.support.recorded_offers import DRAFT, ORDER, READY, SOLD
from tests.support.site import CATALOGUE, CATEGORY, OFFERING, PRICE, REPLICA, SPECIFICATION
from tests.support.site import PROVIDER as PROVIDER_ID

OPERATING = {
    "organizations": "/operator/organizations",
    "organization": "/operator/organizations/VATES-12345678",
    "organization-question": "/operator/organizations/VATES-12345678/remove",
    "excluded": "/operator/organizations/excluded",
    "credentials": "/operator/organizations/credentials",
    "policies": "/operator/policies",
    "why": "/operator/policies/why?id=x",
    "decisions": "/operator/policies/decisions",
    "audit": "/operator/audit",
    "entities": "/operator/entities?type=Category",
    "entity": "/operator/entities/x",
    "subscriptions": "/operator/subscriptions",
    "subscription": "/operator/subscriptions/1",
    "jobs": "/operator/jobs",
    "storage": "/operator/storage",
    "health": "/operator/health",
    "settings": "/operator/settings",
}
JOINING = {
    "wallet": "/wallet",
    "wallet-request": "/wallet?client_id=x",
    "wallet-empty": "/wallet?empty",
    "registration": "/onboarding",
    "registration-waiting": "/onboarding?state=waiting",
    "registration-of-colleagues": "/onboarding?colleague",
    "employees": "/onboarding/employees?made",
    "employees-empty": "/onboarding/employees?empty",
}
SCREENS = {
    "home": "/",
    "search": "/search?q=machine",
    "nothing": "/search?q=qqqqqqqq",
    "refused": "/search?q=machine&sort=best",
    "offering": f"/offerings/{OFFERING}",
    "replica": f"/offerings/{REPLICA}",
    "provider": f"/providers/{PROVIDER_ID}",
    "specification": f"/specifications/{SPECIFICATION}",
    "catalogue": f"/catalogues/{CATALOGUE}",
    "price": f"/prices/{PRICE}",
    "rare": "/entities/urn:ngsi-ld:service-candidate:night",
    "categories": "/categories",
    "category": f"/categories/{CATEGORY}",
    "comparison": f"/compare?pick={OFFERING}&pick={REPLICA}&q=storage",
    "empty-comparison": "/compare",
    "favourites": f"/favourites?pick={OFFERING}&pick={REPLICA}",
    "about": "/about",
    "absent": "/nowhere",
    "apis": "/docs",
    "errors": "/docs/errors",
    "operator": "/operator",
    "my-offers": "/provider",
    "my-catalogue": "/provider/catalogue",
    "my-empty-catalogue": "/provider/catalogue?type=Category",
    "my-draft": f"/provider/entities/{DRAFT}",
    "my-offer-elsewhere": f"/provider/entities/{SOLD}/seen",
    "my-versions": f"/provider/entities/{SOLD}/versions",
    "my-confirmation": f"/provider/catalogue/confirm?action=launch&pick={READY}&pick={SOLD}&pick=urn:x:absent",
    "my-outcome": "/provider/catalogue/outcome?of=x",
    "my-orders": "/provider/orders",
    "my-order": f"/provider/orders/{ORDER}",
    "my-order-next": f"/provider/orders/{ORDER}?to=completed",
    "members": "/operator/members",
    "member": f"/operator/members/{quote(RIGA)}",
    "replication": "/operator/replication",
    **OPERATING,
    "proposals": "/operator/proposals",
    "proposals-of-upgrades": "/operator/proposals?kind=upgrade",
    "proposals-of-policies": "/operator/proposals?kind=policy",
    "events": "/operator/events",
    "event": "/operator/events/1234",
    "validators": "/operator/validators",
    "proposal": f"/operator/proposals/{PROPOSAL.hash}",
    **EDITING_SCREENS,
    **JOINING,
}
PEOPLE_SCREENS = {
    "account": ("/account", CUSTOMER),
    "account-of-provider": ("/account", PROVIDER),
    "account-of-operator": ("/account", OPERATOR),
    "search-of-somebody": ("/search?q=machine", CUSTOMER),
    "favourites-of-somebody": ("/favourites", CUSTOMER),
}
"""What somebody who is logged in sees otherwise, or alone."""
SCREENS |= {name: path for name, (path, _) in PEOPLE_SCREENS.items()}
FAILING = {"refused": 400, "absent": 404}
WIDTHS = (320, 768, 1440)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]


@pytest.fixture(scope="module")
def used_page(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """A page on which one screen after the other is shown, as quickly as people go on; and its errors."""
    errors: list[str] = []
    context = browser.new_context(**context_options(address))
    yield listened_to(context.new_page(), errors), errors
    context.close()


@pytest.fixture
def complaints(used_page: tuple[Page, list[str]]) -> list[str]:
    """See `tests.browser.conftest.complaints`."""
    return used_page[1]


@pytest.fixture
def page(used_page: tuple[Page, list[str]]) -> Iterator[Page]:
    """The page, as at first; its errors must be empty at the end."""
    page, errors = used_page
    page.goto("about:blank")
    page.context.clear_cookies()
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    errors.clear()
    yield page
    assert errors == []


def opened(page: Page, name: str, complaints: list[str], more: str = "") -> None:
    """Show a screen; that the browser reports the status of a failure is no complaint."""
    path = SCREENS[name]
    page.set_extra_http_headers(headers_for(name))
    joint = "&" if "?" in path else "?"
    response = page.goto(f"{path}{joint}{more}" if more else path)
    assert response is not None
    assert response.status == FAILING.get(name, 200)
    complaints[:] = [one for one in complaints if "the server responded with a status of" not in one]


def headers_for(name: str) -> dict[str, str]:
    """Who looks at a screen: somebody for whom it is."""
    of_kind = {"operator": OPERATOR, "provider": PROVIDER}.get(SCREENS[name].split("/")[1])
    _, who = PEOPLE_SCREENS.get(name, ("", of_kind))
    return {} if who is None else as_person(who)


def violations(page: Page) -> list[str]:
    """What axe finds wrong."""
    return _violations(
        page, {"runOnly": {"type": "tag", "values": RULES}, "rules": {"target-size": {"enabled": True}}}
    )


def faint_texts(page: Page) -> list[str]:
    """What axe finds hard to read: all of its rules that depend on colours."""
    return _violations(page, {"runOnly": {"type": "rule", "values": COLOUR_RULES}})


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    options |= {"resultTypes": ["violations"], "selectors": False}  # what is right is not sent: half the time
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def overflows(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_accessible_in_both_themes(page: Page, name: str, complaints: list[str]) -> None:
    opened(page, name, complaints)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert faint_texts(page) == []


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_fits_every_width_and_zoom_and_a_long_language(
    page: Page, name: str, complaints: list[str]
) -> None:
    opened(page, name, complaints, f"lang={PSEUDO}")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert not overflows(page), width
    page.set_viewport_size({"width": 640, "height": 400})  # 1280 by 800 at 200 %
    assert not overflows(page)
    page.set_viewport_size({"width": 320, "height": 800})
    assert violations(page) == []


@pytest.mark.parametrize("name", [name for name in SCREENS if name not in {"apis", "errors"}])
def test_no_text_of_a_screen_is_left_untranslated(page: Page, name: str, complaints: list[str]) -> None:
    opened(page, name, complaints, f"lang={PSEUDO}")
    plain = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, label, button, nav a, th")]
        .filter(one => !one.closest("bdi, [lang=en], .crumbs") && !one.querySelector("bdi, [lang=en]"))
        .map(one => one.textContent.trim()).filter(text => /[a-z]{3}/.test(text) && !text.includes("["))"""
    )
    assert set(plain) <= {"Lübeck Market", "lubeck", "bergen", "riga", "bruges"}


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_well_formed(page: Page, name: str, complaints: list[str]) -> None:
    path = SCREENS[name]
    markup = page.request.get(path, headers={"accept": "text/html", **headers_for(name)}).text()
    parser = html5lib.HTMLParser()
    parser.parse(markup)
    assert parser.errors == []


@pytest.mark.parametrize("name", SCREENS)
def test_everything_on_a_screen_can_be_reached_and_seen_by_keyboard(
    page: Page, name: str, complaints: list[str]
) -> None:
    opened(page, name, complaints)
    count = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")]
        .filter(one => one.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})).length"""
    )
    assert count > 5
    reached = []
    for _ in range(min(count, 60)):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => { const one = document.activeElement; const place = one.getBoundingClientRect();
            const style = getComputedStyle(one);
            return {tag: one.tagName, text: (one.textContent || one.name || "").trim().slice(0, 40),
              shown: place.width > 0 && place.bottom > 0 && place.top < innerHeight,
              outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2}; }"""
        )
        reached.append(focused)
    assert reached[0]["text"] == "Skip to the content"
    assert [one for one in reached if one["tag"] != "BODY" and not (one["shown"] and one["outlined"])] == []
    assert len({(one["tag"], one["text"]) for one in reached}) > 5


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
