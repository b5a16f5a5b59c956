"""Hostile texts in a real browser: nothing of them runs or loads anything, and no page becomes wider."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Request

from tests.support.hostile_entities import HOSTILE

NAME = "urn:ngsi-ld:product-offering:hostile-"


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_offering_is_a_page_like_any_other(
    page: Page, hostile_address: str, number: int, complaints: list[str]
) -> None:
    elsewhere: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(hostile_address):
            elsewhere.append(request.url)

    page.on("request", note)
    page.on("dialog", lambda dialog: elsewhere.append(dialog.message))
    page.set_viewport_size({"width": 320, "height": 800})
    for path in (
        f"/offerings/{NAME}{number}",
        f"/compare?pick={NAME}{number}&pick={NAME}0",
        f"/providers/{NAME}{number}-party",
    ):
        page.goto(hostile_address + path)
        assert page.evaluate("window.pwned") is None
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        assert page.locator("footer.site").is_visible()
    assert elsewhere == []


def test_hostile_hits_are_hits_like_any_other(page: Page, hostile_address: str) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    for path in ("/", "/search?limit=100", "/search?q=pwned", "/categories"):
        page.goto(hostile_address + path)
        assert page.evaluate("window.pwned") is None
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
