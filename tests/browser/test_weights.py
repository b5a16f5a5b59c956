"""What pages weigh in a real browser: markup, scripts, and whether anything moves after it was shown.

No time is asserted. How soon the first content was there is a property of each test in a report
(`pytest --junitxml`).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Page

from tests.support.site import OFFERING, REPLICA

HTML_MAX_BYTES: Final = 60_000
SCRIPTS_MAX_BYTES: Final = 25_000
"""Compressed, of one page."""
PAGES: Final = {
    "home": "/",
    "search": "/search",
    "search-of-a-word": "/search?q=cloud&limit=20",
    "search-with-filters": "/search?q=cloud&status=Launched&price_from=1",
    "offering": f"/offerings/{OFFERING}",
    "replica": f"/offerings/{REPLICA}",
    "categories": "/categories",
    "comparison": f"/compare?pick={OFFERING}&pick={REPLICA}",
}
_SHIFTS: Final = """() => new Promise(resolve => {
    new PerformanceObserver(list => resolve(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
        .observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(0)));
})"""
_FIRST_PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 1440])
def test_nothing_on_a_page_moves_after_it_was_shown(
    page: Page, name: str, width: int, record_property: Callable[[str, object], None]
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(PAGES[name], wait_until="networkidle")
    assert page.evaluate(_SHIFTS) == 0
    record_property("first_contentful_paint_ms", page.evaluate(_FIRST_PAINT))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small(page: Page, name: str) -> None:
    answer = page.goto(PAGES[name])
    assert answer is not None
    assert len(answer.body()) < HTML_MAX_BYTES


@pytest.mark.parametrize("name", PAGES)
def test_the_scripts_of_a_page_are_small(page: Page, name: str) -> None:
    scripts: list[str] = []
    page.on("request", lambda one: scripts.append(one.url) if one.resource_type == "script" else None)
    page.goto(PAGES[name], wait_until="networkidle")
    bodies = [page.request.get(url).body() for url in scripts]
    assert sum(len(gzip.compress(body)) for body in bodies) < SCRIPTS_MAX_BYTES
