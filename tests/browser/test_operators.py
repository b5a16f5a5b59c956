"""What operators' pages do with script and with forms."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.test_screens import violations
from tests.support.people import OPERATOR, as_person


def test_new_events_come_on_top_and_a_button_asks_once(page: Page) -> None:
    page.set_extra_http_headers(as_person(OPERATOR))
    page.goto("/operator/events")
    first = page.locator("#events tr").first
    expect(first).to_contain_text("categoryDeleteEvent")
    expect(first).to_contain_text("riga")
    expect(page.locator("#live")).to_contain_text("New events")
    assert first.locator("a").get_attribute("href") == "/operator/events/1235"

    page.goto("/operator/members")
    page.get_by_role("link", name="riga").click()
    button = page.get_by_role("button", name="Pause")
    expect(button).to_be_hidden()
    page.locator("summary", has_text="Pause").click()
    expect(button).to_be_visible()
    button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("riga")

    page.goto("/operator/proposals")
    page.get_by_role("button", name="Show what it would change").click()
    expect(page.get_by_role("heading", name="Propose this?")).to_be_visible()
    assert violations(page) == []
