"""Nothing that comes from an entity becomes markup, script, or a link to anywhere but the web."""

from __future__ import annotations

from collections.abc import AsyncIterator
from gettext import NullTranslations
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import html5lib
import nh3
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from hansa.portal.catalogue.search_page import FacetChoice
from hansa.portal.frame.frame import environment_of
from hansa.portal.frame.texts import ELEMENTS, markdown, shown
from tests.support.asgi import AsgiClient
from tests.support.hostile_entities import HOSTILE, hostile_offering
from tests.support.portal import Elements
from tests.support.site import Site, open_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
HTML = {"accept": "text/html"}
OWN_SCRIPTS = ("/static/",)
UNSEEN = "\u202e\u202c\u2066\u2067\u2069\u200b\ufeff\u2060\x00\x08\x1b\x7f\x9f"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site(with_sample=False)
    for number, text in enumerate(HOSTILE):
        for entity in hostile_offering(number, text):
            await opened.add(entity, "riga" if number % 2 else None)
    yield opened
    await opened.business.store.close()


def paths(number: int) -> list[str]:
    name = f"urn:ngsi-ld:product-offering:hostile-{number}"
    return [
        f"/offerings/{name}",
        f"/providers/{name}-party",
        f"/categories/{name}-category",
        f"/compare?pick={name}&pick=urn:ngsi-ld:product-offering:hostile-0",
        f"/favourites?pick={name}",
    ]


def check(markup: bytes) -> None:
    """A page has its own scripts, no handler of an event, and leads to the web or to this place alone."""
    parser = html5lib.HTMLParser()
    parser.parse(markup)
    page = Elements(markup)
    assert not [one for one in parser.errors if one[1] != "invalid-codepoint"], parser.errors[:3]
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc"}]
        assert tag not in {"iframe", "object", "embed", "base", "svg", "style"}
        if tag == "script":
            is_own = str(attributes.get("src", "")).startswith(OWN_SCRIPTS)
            assert is_own or attributes == {"type": "application/ld+json"}
        if tag == "img":
            assert str(attributes["src"]).startswith("/static/")
        if tag == "a" and urlsplit(attributes["href"] or "").scheme:
            assert urlsplit(attributes["href"] or "").scheme in {"http", "https"}
            assert {"noopener", "nofollow", "ugc"} <= set((attributes.get("rel") or "").split()), attributes
    assert not set(UNSEEN) & set(markup.decode())


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_hostile_texts_are_texts_on_every_page(site: Site, number: int) -> None:
    client = AsgiClient(site.application())
    for path in paths(number):
        answer = await client.get(path, headers=HTML)
        assert answer.status == 200, path
        check(answer.body)


async def test_hostile_texts_are_texts_among_the_hits(site: Site) -> None:
    client = AsgiClient(site.application())
    for path in ("/", "/search", "/search?type=ProductOffering&limit=100", "/categories", "/search?q=pwned"):
        check((await client.get(path, headers=HTML)).body)
    for path in ("/feed.atom", "/sitemap.xml"):
        assert b"<script" not in (await client.get(path)).body


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_hostile_words_that_are_searched_for_are_shown_as_text(site: Site, number: int) -> None:
    client = AsgiClient(site.application())
    text = quote(HOSTILE[number][:400].encode("utf-8", "replace"))
    for path in (
        f"/search?q={text}",
        f"/search?origin={text}&price_from={text}",
        f"/compare?q={text}&pick={text}",
        f"/{text}",
    ):
        answer = await client.get(path, headers=HTML)
        assert answer.status in {200, 400, 404, 414}, path
        check(answer.body)


@given(
    st.text(),
    st.text(),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["q", "pick", "lang", "sort", "type", "offset", "limit", "price_from", "typing", "x"]
            ),
            st.text(),
        ),
        max_size=6,
    ),
)
async def test_no_query_string_makes_a_page_fail(
    site: Site, name: str, value: str, pairs: list[tuple[str, str]]
) -> None:
    client = AsgiClient(site.application())
    query = "&".join(
        f"{quote(key)}={quote(text.encode('utf-8', 'replace'))}"
        for key, text in [*pairs, (name.encode("utf-8", "replace").decode(), value)]
    )
    for path in (
        "/",
        "/search",
        "/compare",
        "/favourites",
        "/categories",
        "/about",
        "/offerings/urn:ngsi-ld:product-offering:hostile-3",
    ):
        answer = await client.get(f"{path}?{query}", headers=HTML)
        assert answer.status in {200, 400}, answer.body


@given(st.text())
async def test_markdown_becomes_the_allowed_elements_alone(text: str) -> None:
    made = markdown(text)
    assert str(made) == nh3.clean(
        str(made), tags=ELEMENTS, attributes={"a": {"href"}}, link_rel="noopener nofollow ugc"
    )
    assert "<h1" not in made
    assert "<img" not in made


@given(st.text())
async def test_cleaning_a_text_twice_changes_nothing_more(text: str) -> None:
    assert shown(shown(text)) == shown(text)


async def test_no_text_that_is_printable_has_a_character_that_deceives() -> None:
    printable = "".join(filter(str.isprintable, map(chr, range(0x110000))))
    cleaned = [shown(f"{each}\x00") for each in (printable[:1000], printable)]  # with one that is cleaned
    assert cleaned == [printable[:1000], printable]


async def test_values_of_facets_are_text_and_their_links_stay_in_their_attribute() -> None:
    hostile = FacetChoice('<b>"\u202e&', 1, True, '/search?q=a&b="><script>', 2)
    template = environment_of(NullTranslations()).from_string("{{ choices|choice_links('<chosen>') }}")
    shown_choice = template.render(choices=[hostile], reader=SimpleNamespace(locale="en"))
    link = html5lib.parseFragment(shown_choice, namespaceHTMLElements=False).find("li/a")
    assert link.attrib == {"href": hostile.target, "aria-current": "true"}
    assert "".join(link.itertext()) == '✓ <b>"& 1 <chosen>'
    assert [each.tag for each in link.iter()] == ["a", "span", "span", "bdi", "span", "span"]
