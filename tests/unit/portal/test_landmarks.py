"""What every page has for those who read with a screen reader, a keyboard or a telephone."""

from __future__ import annotations

import itertools
from collections import Counter
from html.parser import HTMLParser
from typing import Final

import pytest

from hansa.node.http.application import rest_application
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.portal import Overview, PortalRoutes
from hansa.portal.html import static
from tests.support.asgi import AsgiClient
from tests.support.business import ENDPOINT, MODELS

PAGES: Final = ("/", "/docs", "/docs/errors", "/docs/league", "/docs/streams", "/docs/TMF620", "/docs/TMF688")
LANDMARKS: Final = {"header": 1, "main": 1, "footer": 1}


class Elements(HTMLParser):
    """The elements of a page in their order, with attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


async def overview() -> Overview:
    return Overview("lubeck", "did:x:0", "1", (("Category", 2, 3),), (), 7, 9)


def client() -> AsgiClient:
    routes = PortalRoutes("lubeck", MODELS, ENDPOINT, overview, LeagueDescriptions(ENDPOINT))
    return AsgiClient(rest_application(routes.routes()))


async def elements(path: str) -> list[tuple[str, dict[str, str | None]]]:
    page = await client().get(path)
    assert page.status == 200
    return Elements(page.body).elements


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
async def test_nothing_is_inline_that_the_policy_would_not_allow(path: str) -> None:
    found = await elements(path)
    assert not [one for _, one in found if "style" in one or any(name.startswith("on") for name in one)]
    counts = Counter(tag for tag, _ in found)
    assert counts["style"] == 1
    assert counts["script"] <= 1
    assert counts["img"] == 0


async def test_every_field_of_a_form_has_a_label() -> None:
    labels = 0
    for tag, attributes in await elements("/docs/TMF620"):
        labels += tag == "label"
        if tag in {"input", "select", "textarea"}:
            labels -= 1
            assert labels >= 0, attributes


@pytest.mark.parametrize("path", ["/favicon.svg", "/favicon.ico"])
async def test_there_is_an_icon_that_can_do_nothing(path: str) -> None:
    icon = await client().get(path)
    assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.headers["content-security-policy"] == "default-src 'none'"
    assert b"<script" not in icon.body


async def test_pages_link_to_an_icon_that_their_policy_allows() -> None:
    page = await client().get("/")
    assert b'<link rel="icon" href="/favicon.svg"' in page.body
    assert "img-src 'self'" in page.headers["content-security-policy"]


async def test_a_page_of_an_api_shows_what_its_attributes_mean() -> None:
    page = (await client().get("/docs/TMF620")).body.decode()
    assert "letters in ISO 4217" in page
    assert "Example: <code>EUR</code>" in page


async def test_pages_of_apis_are_made_again_rather_than_kept_without_bound() -> None:
    routes = PortalRoutes("lubeck", MODELS, ENDPOINT, overview, LeagueDescriptions(ENDPOINT))
    http = AsgiClient(rest_application(routes.routes()))
    for api in MODELS.apis[:3]:
        assert (await http.get(f"/docs/{api.id}")).body == (await http.get(f"/docs/{api.id}")).body
    assert routes.cache.hits == 3


def test_a_long_name_breaks_and_a_wide_table_scrolls_by_itself() -> None:
    style = static("page.css") + static("docs.css")
    for rule in (
        "code { overflow-wrap: anywhere; }",
        "summary strong { overflow-wrap: anywhere;",
        ".scroll { overflow-x: auto; }",
    ):
        assert rule in style


@pytest.mark.parametrize("path", PAGES)
async def test_every_table_is_in_a_part_that_scrolls_by_itself(path: str) -> None:
    found = await elements(path)
    for (tag, attributes), (below, _) in itertools.pairwise(found):
        if below == "table":
            assert (tag, attributes.get("class")) == ("div", "scroll")
