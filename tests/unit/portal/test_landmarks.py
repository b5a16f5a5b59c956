"""What every page has for those who read with a screen reader, a keyboard or a telephone."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache
from typing import Final

import pytest

from hansa.node.http.application import rest_application
from hansa.portal import Overview
from tests.support.asgi import AsgiClient
from tests.support.business import MODELS
from tests.support.portal import Elements, portal_client, portal_routes

PAGES: Final = (
    "/about",
    "/docs",
    "/docs/errors",
    "/docs/league",
    "/docs/streams",
    "/docs/TMF620",
    "/docs/TMF688",
)
LANDMARKS: Final = {"header": 1, "main": 1, "footer": 1}


OVERVIEW: Final = Overview("lubeck", "did:x:0", "1", (("Category", 2, 3),), (), 7, 9)


@cache
def client() -> AsgiClient:
    """A client of one portal, which makes each page once."""
    return portal_client(OVERVIEW)


async def elements(path: str) -> list[tuple[str, dict[str, str | None]]]:
    page = await client().get(path)
    assert page.status == 200
    return elements_of(page.body)


@cache
def elements_of(page: bytes) -> list[tuple[str, dict[str, str | None]]]:
    """What a page has; the large ones are read once for all tests."""
    return Elements(page).elements


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_landmarks_and_a_way_past_them(path: str) -> None:
    found = await elements(path)
    counts = Counter(tag for tag, _ in found)
    assert {tag: counts[tag] for tag in LANDMARKS} == LANDMARKS
    assert all(attributes.get("aria-label") for tag, attributes in found if tag == "nav")
    (main,) = (attributes for tag, attributes in found if tag == "main")
    first_link = next(attributes for tag, attributes in found if tag == "a")
    assert first_link["href"] == f"#{main['id']}"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says_its_language_and_fits_narrow_screens(path: str) -> None:
    found = await elements(path)
    assert ("html", {"lang": "en"}) in found
    names = {attributes.get("name"): attributes.get("content") for tag, attributes in found if tag == "meta"}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert names["color-scheme"] == "light dark"


@pytest.mark.parametrize("path", PAGES)
async def test_headings_begin_at_the_top_and_leave_no_level_out(path: str) -> None:
    levels = [int(tag[1]) for tag, _ in await elements(path) if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))


@pytest.mark.parametrize("path", PAGES)
async def test_identifiers_are_unique_and_every_link_within_the_page_leads_somewhere(path: str) -> None:
    found = await elements(path)
    ids = Counter(attributes["id"] for _, attributes in found if attributes.get("id"))
    assert not [name for name, count in ids.items() if count > 1]
    targets = {
        str(attributes["href"])[1:] for _, attributes in found if str(attributes.get("href"))[:1] == "#"
    }
    assert targets <= ids.keys()


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_is_inline_since_the_policy_allows_nothing_inline(path: str) -> None:
    answer = await client().get(path)
    found = elements_of(answer.body)
    assert not [one for _, one in found if "style" in one or any(name.startswith("on") for name in one)]
    assert "style" not in {tag for tag, _ in found}
    assert all(str(one.get("src")).startswith("/static/") for tag, one in found if tag == "script")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PAGES)
async def test_everything_that_a_page_loads_is_there_and_stays_as_it_is(path: str) -> None:
    http = client()
    found = elements_of((await http.get(path)).body)
    loaded = [str(one["href"]) for tag, one in found if tag == "link"]
    loaded += [str(one["src"]) for tag, one in found if tag in {"script", "img"}]
    for address in loaded:
        answer = await http.get(address)
        assert (answer.status, answer.headers["cache-control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )


async def test_every_field_of_a_form_has_a_label() -> None:
    labels = 0
    for tag, attributes in await elements("/docs/TMF620"):
        labels += tag == "label"
        if tag in {"input", "select", "textarea"} and attributes.get("type") != "hidden":
            labels -= 1
            assert labels >= 0, attributes


@pytest.mark.parametrize("path", ["/favicon.svg", "/favicon.ico"])
async def test_there_is_an_icon_that_can_do_nothing(path: str) -> None:
    icon = await client().get(path)
    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"<script" not in icon.body


async def test_a_page_of_an_api_shows_what_its_attributes_mean() -> None:
    page = (await client().get("/docs/TMF620")).body.decode()
    assert "letters in ISO 4217" in page
    assert "Example: <code>EUR</code>" in page


async def test_pages_of_apis_are_made_again_rather_than_kept_without_bound() -> None:
    routes = portal_routes(OVERVIEW)
    http = AsgiClient(rest_application(routes.routes()))
    for api in MODELS.apis[:3]:
        assert (await http.get(f"/docs/{api.id}")).body == (await http.get(f"/docs/{api.id}")).body
    assert routes.cache.hits == 3


@pytest.mark.parametrize("path", PAGES)
async def test_every_table_is_in_a_part_that_scrolls_by_itself(path: str) -> None:
    found = await elements(path)
    for (tag, attributes), (below, _) in itertools.pairwise(found):
        if below == "table":
            assert (tag, attributes.get("class")) == ("div", "scroll"), attributes
