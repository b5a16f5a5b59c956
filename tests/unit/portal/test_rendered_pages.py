"""Markup is rendered once for all strangers to whom a page says the same, and for nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from hansa.portal.frame.page_response import encoded_page, page_key
from hansa.portal.frame.reader import PageReader
from tests.support.asgi import AsgiClient
from tests.support.people import PEOPLE, PERSON_HEADER, PROVIDER
from tests.support.site import Site, open_site

ON_THE_LOOP = pytest.mark.asyncio(loop_scope="module")
HTML = {"accept": "text/html"}
ID = "urn:rendered"
PATH = f"/offerings/{ID}"
PLAIN = PageReader("en", "en", None, "/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site(people=PEOPLE, with_sample=False)
    await offer(opened, "Clouds of Bergen")
    await shown(opened)  # compiles the template
    yield opened
    await opened.business.store.close()


async def offer(site: Site, name: str, *, id: str = ID) -> None:
    await site.add({"@type": "ProductOffering", "id": id, "name": name, "lifecycleStatus": "Launched"})


async def change_something_else(site: Site) -> None:
    """Have no page of before be good any more as a whole."""
    await offer(site, "Another", id="urn:another")


async def shown(site: Site, path: str = PATH, **headers: str) -> str:
    answer = await AsgiClient(site.application()).get(path, headers={**HTML, **headers})
    assert answer.status == 200
    return answer.body.decode()


@ON_THE_LOOP
async def test_after_a_change_of_something_else_the_markup_is_there(site: Site) -> None:
    before, hits = await shown(site), site.frame.rendered_pages.hits
    await change_something_else(site)
    assert (await shown(site), site.frame.rendered_pages.hits) == (before, hits + 1)


@ON_THE_LOOP
async def test_a_change_of_what_a_page_shows_is_shown_at_once(site: Site) -> None:
    await shown(site)
    await offer(site, "Clouds of Riga")
    assert "Clouds of Riga" in await shown(site)
    await offer(site, "Clouds of Bergen")
    assert "Clouds of Riga" not in await shown(site)


@ON_THE_LOOP
async def test_a_page_for_somebody_who_is_logged_in_is_made_for_them(site: Site) -> None:
    await shown(site)
    before = site.frame.rendered_pages.figures
    page = await shown(site, **{PERSON_HEADER: PROVIDER})
    assert "Ada" in page
    assert site.frame.rendered_pages.figures == before
    await change_something_else(site)
    assert "Ada" not in await shown(site)


@ON_THE_LOOP
async def test_each_language_and_theme_has_its_own(site: Site) -> None:
    pages = set()
    for headers in ({}, {"accept-language": "de"}, {"cookie": "theme=dark"}):
        await change_something_else(site)
        pages.add(await shown(site, **headers))
    assert len(pages) == 3


class Context(msgspec.Struct, frozen=True):
    name: str
    note: str | None


contexts = st.builds(Context, st.text(max_size=5), st.none() | st.text(max_size=5))
readers = st.builds(
    PageReader,
    st.sampled_from(["en", "de"]),
    st.sampled_from(["de", "de_AT"]),
    st.sampled_from([None, "dark"]),
    st.sampled_from(["/", "/\n", "/a"]),
    has_login=st.booleans(),
)
keyed = st.tuples(st.sampled_from(["a", "ab"]), contexts, readers)


@given(one=keyed, other=keyed)
def test_whatever_differs_has_another_key(
    one: tuple[str, Context, PageReader], other: tuple[str, Context, PageReader]
) -> None:
    first, second = (page_key(name, encoded_page(page), reader) for name, page, reader in (one, other))
    assert (first == second) == (one == other)


def test_nobody_who_is_logged_in_has_a_key() -> None:
    person = PEOPLE.known[PROVIDER][0]
    with pytest.raises(AssertionError):
        page_key("a", b"{}", msgspec.structs.replace(PLAIN, account=person))
