"""A provider writes a specification, a price and an offering by keyboard; a draft is saved meanwhile."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.test_screens import violations
from tests.support.people import PROVIDER, as_person


@pytest.fixture(autouse=True)
def as_provider(page: Page) -> None:
    page.set_extra_http_headers(as_person(PROVIDER))


def typed(page: Page, name: str, text: str) -> None:
    """Write into a field as somebody at a keyboard does."""
    page.locator(f"[name='{name}']").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def pressed(page: Page, button: str, path: str) -> None:
    """Press a button by keyboard, and come to a page."""
    page.get_by_role("button", name=button, exact=True).focus()
    with page.expect_navigation(url=path):
        page.keyboard.press("Enter")


def test_an_offering_comes_into_the_catalogue_by_keyboard(page: Page) -> None:
    page.goto("/provider/new/specification")
    typed(page, "name", "Harbour crane")
    pressed(page, "Continue", "**/characteristics")
    typed(page, "characteristics.0.name", "Load")
    typed(page, "characteristics.0.values", "40")
    pressed(page, "Continue", "**/review")
    pressed(page, "Save in the catalogue", "**/edit?done=1")
    specification = page.url.split("/")[-2]

    page.goto("/provider/new/price")
    typed(page, "name", "By the lift")
    pressed(page, "Continue", "**/amount")
    page.locator("[name=model]").focus()
    page.keyboard.type("by usage")
    typed(page, "amount", "many")
    typed(page, "currency", "EUR")
    pressed(page, "Continue", "**/amount?check=1")
    assert page.evaluate("document.activeElement.name") == "amount"
    assert page.locator("#e-amount").inner_text() == "This has to be a number."
    assert page.locator("#faults li").count() == 2
    assert violations(page) == []
    typed(page, "amount", "12.50")
    typed(page, "unit", "lift")
    pressed(page, "Continue", "**/review")
    pressed(page, "Save in the catalogue", "**/edit?done=1")

    page.goto(f"/provider/new/offering?specification={specification}")
    typed(page, "name", "Crane by the lift")
    typed(page, "description", "# Fast\n\nFor *all* ships.")
    pressed(page, "Continue", "**/contents")
    assert page.locator("[name=specification]").input_value() == specification.replace("%3A", ":")
    page.get_by_label("By the lift").focus()
    page.keyboard.press("Space")
    pressed(page, "Continue", "**/terms")
    page.locator("#live h3", has_text="Prices").wait_for()
    assert "€12.50" in page.locator("#live").inner_text()
    pressed(page, "Continue", "**/review")
    pressed(page, "Save in the catalogue", "**/edit?done=1")
    launch = page.get_by_role("link", name="Launch it").get_attribute("href") or ""
    assert launch.replace("%3A", ":") == page.url.split("/edit")[0][page.url.index("/provider") :]


def test_a_draft_is_saved_while_somebody_types_and_said_to_be(page: Page) -> None:
    page.goto("/provider/new/price")
    typed(page, "name", "Pilotage")
    page.locator("#status", has_text="Draft saved").wait_for()
    assert "/provider/drafts/" in page.url
    assert page.evaluate("document.activeElement.name") == "name"
    page.locator("#live h2", has_text="Pilotage").wait_for()
    page.goto("/provider/drafts")
    assert page.get_by_role("link", name="Pilotage", exact=True).count() == 1


def test_a_session_that_ends_while_somebody_types_is_said_and_nothing_is_lost(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/provider/new/price")
    page.set_extra_http_headers({})
    typed(page, "name", "Towage")
    page.locator("#status", has_text="Your session is over").wait_for()
    pressed(page, "Continue", "**/provider/new/price")
    assert page.locator("h1").inner_text() == "Your session is over"
    page.set_extra_http_headers(as_person(PROVIDER))
    pressed(page, "Show what I typed", "**/provider/new/price")
    assert page.locator("[name=name]").input_value() == "Towage"
    complaints[:] = [one for one in complaints if "the server responded with a status of" not in one]


def test_the_forms_work_without_script(browser: Browser, address: str) -> None:
    context = browser.new_context(
        base_url=address, java_script_enabled=False, locale="en-GB", extra_http_headers=as_person(PROVIDER)
    )
    page = context.new_page()
    page.goto("/provider/new/offering")
    page.locator("[name=name]").fill("Berth")
    page.get_by_role("button", name="Preview", exact=True).click()
    assert page.locator("#shown h1").inner_text() == "Berth"
    page.get_by_role("link", name="Back to the form").click()
    page.get_by_role("button", name="Save in the catalogue").click()
    assert page.get_by_text("It is in the catalogue.").is_visible()
    context.close()


def test_a_file_is_mapped_checked_and_written(page: Page) -> None:
    page.goto("/provider/import")
    page.locator("#f-kind").select_option("price")
    content = b"Title;amount;currency;model\nSmall berth;1,5;EUR;oneTime\nLarge berth;much;EUR;oneTime\n"
    page.locator("#f-file").set_input_files({"name": "p.csv", "mimeType": "text/csv", "buffer": content})
    pressed(page, "Check the file", "**/provider/import")
    page.locator("[name='column.0']").select_option("name")
    pressed(page, "Check the rows", "**/provider/import")
    assert page.locator(".report tbody tr").all_inner_texts() == [
        '3\tLarge berth\trefused: price.value: must be a number, not "much".',
        "2\tSmall berth\twill be created",
    ]
    assert violations(page) == []
    pressed(page, "Write these rows", "**/provider/import")
    assert page.locator("[role=status] strong").inner_text() == "One row is refused."
    assert page.locator(".report a").inner_text() == "created"
