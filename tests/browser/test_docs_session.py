"""Whoever is logged in sends requests from the documentation with their session."""

from __future__ import annotations

from playwright.sync_api import Page, Route

from tests.support.people import CSRF, PROVIDER, as_person


def sent_by(page: Page, form: str) -> dict[str, str]:
    """The headers of the request that a form sends."""
    seen: list[dict[str, str]] = []

    def answer(route: Route) -> None:
        seen.append(route.request.headers)
        route.fulfill(status=200, json={})

    page.route("**/tmf-api/**", answer)
    page.evaluate("id => { document.getElementById(id).open = true }", form)
    page.locator(f"#{form} .send button").click()
    page.locator(f"#{form} .answer .status").wait_for()
    return seen[0]


def test_a_change_goes_with_the_token_of_the_page_and_no_token_is_asked_for(page: Page) -> None:
    page.set_extra_http_headers(as_person(PROVIDER))
    page.goto("/docs/tmf620")
    assert "sent as Ada" in page.locator("#session").inner_text()
    assert not page.locator("#token").is_visible()
    assert sent_by(page, "createCategory")["x-csrf-token"] == CSRF


def test_strangers_send_nothing_of_a_session(page: Page) -> None:
    page.goto("/docs/tmf620")
    assert page.locator("#session").count() == 0
    page.locator("#token").fill("secret")
    headers = sent_by(page, "createCategory")
    assert (headers["authorization"], headers.get("x-csrf-token"), headers.get("cookie")) == (
        "Bearer secret",
        None,
        None,
    )
