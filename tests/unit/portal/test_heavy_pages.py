"""What somebody writes into an entity makes no page that has everybody else wait, and none that fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Route

from hansa.core import thread_work
from hansa.core.errors import Code, Unavailable
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.node.http.application import rest_application
from hansa.portal.catalogue.categories import CATEGORIES_MAX, DEPTH_MAX, CategoryNode, tree_of
from hansa.portal.catalogue.comparison import CHARACTERISTICS_MAX, comparison_page
from hansa.portal.catalogue.fields import ITEMS_MAX
from hansa.portal.catalogue.offering.characteristics import Characteristic
from hansa.portal.catalogue.offering.page import Offering
from hansa.portal.catalogue.offering.prices import ROWS_MAX as PRICES_MAX
from hansa.portal.catalogue.offering.prices import price_plans
from hansa.portal.catalogue.search_page import PICKED_MAX
from hansa.portal.docs import DocsPage, DocsPages
from hansa.portal.frame.page_response import encoded_page, weight_of
from hansa.portal.frame.people import FIELDS_MAX, Visit
from hansa.portal.frame.texts import MARKDOWN_MAX_CHARS, MARKDOWN_MAX_LINES, markdown
from hansa.portal.providers.editing.guarding import form_for
from tests.support.asgi import AsgiClient
from tests.support.loop_turns import is_short
from tests.support.people import RecordedPeople
from tests.support.site import OFFERING, Site, open_site

ON_THE_LOOP = pytest.mark.asyncio(loop_scope="module")
HTML = {"accept": "text/html"}
JSON = {"accept": "application/json"}
SLOW = {
    "brackets": "[",
    "emphasis": "*a **b _c ",
    "pictures": "![[](",
    "links": "[a](",
    "addresses": "<http://a.b>",
    "tables": "a|b\n-|-\n|\n",
}
"""Markdown that takes long."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    opened = await open_site()
    yield opened
    await opened.business.store.close()


def launched(type_name: str, name: str, **more: Any) -> dict[str, Any]:
    return {"@type": type_name, "id": name, "name": name, "lifecycleStatus": "Launched", **more}


async def made_in_threads(site: Site, path: str) -> int:
    """How many pages a thread has made for a request."""
    before = site.frame.large_work.in_threads
    answer = await AsgiClient(site.application()).get(path, headers=HTML)
    assert answer.status == 200, answer.body[:300]
    assert int(answer.headers["content-length"]) == len(answer.body)
    return site.frame.large_work.in_threads - before


@ON_THE_LOOP
@pytest.mark.parametrize("what", SLOW)
async def test_a_description_that_is_slow_to_read_is_read_by_a_thread(site: Site, what: str) -> None:
    text = (SLOW[what] * 20_000)[:20_000]
    await site.add(launched("ProductOffering", f"urn:slow:{what}", description=text))
    for turn in range(2):  # compiling its template is another reason, once
        assert await made_in_threads(site, f"/offerings/urn:slow:{what}?{turn}") == 1


@ON_THE_LOOP
async def test_a_page_of_much_is_made_by_a_thread(site: Site) -> None:
    prices = [launched("ProductOfferingPrice", f"urn:price:{n}", description="x" * 900) for n in range(200)]
    for price in prices:
        await site.add(price)
    await site.add(
        launched("ProductOffering", "urn:dear", productOfferingPrice=[{"id": one["id"]} for one in prices])
    )
    for turn in range(2):
        assert await made_in_threads(site, f"/offerings/urn:dear?{turn}") == 1


@ON_THE_LOOP
async def test_a_usual_page_is_made_in_place_once_its_template_is_compiled(site: Site) -> None:
    await made_in_threads(site, f"/offerings/{OFFERING}?1")
    assert await made_in_threads(site, f"/offerings/{OFFERING}?2") == 0
    await made_in_threads(site, "/search?q=cloud")
    assert await made_in_threads(site, "/search?q=clouds") == 0


@ON_THE_LOOP
@pytest.mark.parametrize(
    "path", ["/favourites", "/about", "/search?limit=x", f"/offerings/{OFFERING}", "/nothing"]
)
async def test_pages_that_are_requested_together_are_rendered_one_in_an_iteration(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.frame.rendered_pages.clear()
    client = AsgiClient(site.application())
    await client.get(path, headers=HTML)
    iteration, rendered_in = 0, []
    render = site.frame.render

    def recorded(*page: Any) -> bytes:
        if threading.current_thread() is threading.main_thread():
            rendered_in.append(iteration)
        return render(*page)

    monkeypatch.setattr(site.frame, "render", recorded)
    more = "&" if "?" in path else "?"
    requests = [client.get(f"{path}{more}lang=en&turn={n}", headers=HTML) for n in range(12)]
    all_answered = asyncio.gather(*requests)
    while not all_answered.done():
        await asyncio.sleep(0)
        iteration += 1
    assert {answer.body[:15] for answer in await all_answered} == {b"<!doctype html>"}
    assert len(rendered_in) == len(set(rendered_in)), "no two in one iteration"
    assert rendered_in


@ON_THE_LOOP
async def test_what_is_said_of_an_api_is_written_once_for_all_who_wait_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, api = [], DocsPages.api

    def recorded(pages: DocsPages, *document: Any) -> DocsPage:
        written.append(document)
        return api(pages, *document)

    monkeypatch.setattr(DocsPages, "api", recorded)
    client = AsgiClient(site.application())
    answers = await asyncio.gather(*(client.get("/docs/TMF653", headers=HTML) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len(written) == 1


@ON_THE_LOOP
async def test_where_too_many_heavy_pages_are_made_whoever_requests_one_reads_why(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.add(launched("ProductOffering", "urn:slow", description="[" * 20_000))
    monkeypatch.setattr(thread_work, "WAITING_MAX", 0)
    monkeypatch.setattr(site.frame, "_rendered", set())
    answer = await AsgiClient(site.application()).get("/offerings/urn:slow", headers=HTML)
    assert answer.status == Unavailable(Code.OVERLOADED, "").http_status
    assert int(answer.headers["retry-after"]) > 0
    assert "<html" in answer.body.decode()


@ON_THE_LOOP
async def test_a_long_form_whose_session_is_over_is_shown_again_by_a_thread(site: Site) -> None:
    async def refuse(_: Visit, __: bool = False) -> Response:
        raise AssertionError("nobody is logged in")

    people = RecordedPeople({})
    routes = [Route("/form", form_for(people, site.frame, refuse, refuse), methods=["POST"])]
    before = site.frame.large_work.in_threads
    typed = [(f"field.{number}", "<" * 50) for number in range(FIELDS_MAX)]
    answer = await AsgiClient(rest_application(routes)).post_form("/form", typed)
    assert (answer.status, answer.body.count(b'type="hidden"')) == (401, FIELDS_MAX + 1)
    assert site.frame.large_work.in_threads == before + 1


class Shown(msgspec.Struct, frozen=True):
    text: str


@given(text=st.text(st.sampled_from('a"\\\n\u202e'), max_size=50).map(lambda one: one * 60))
def test_no_character_makes_a_long_text_light(text: str) -> None:
    is_long = len(text) > SMALL_MAX_BYTES // 16
    assert not is_long or weight_of(encoded_page(Shown(text))) > SMALL_MAX_BYTES


@given(text=st.text(st.sampled_from("a|\n-"), max_size=200).map(lambda one: one * 100))
def test_a_description_has_so_many_lines_and_characters(text: str) -> None:
    shown = str(markdown(text))
    assert shown.count("<tr>") <= MARKDOWN_MAX_LINES
    assert (len(text) <= MARKDOWN_MAX_CHARS and text.count("\n") < MARKDOWN_MAX_LINES) or "…" in shown


# -- categories ------------------------------------------------------------------------------------------------


@ON_THE_LOOP
async def test_categories_that_are_all_below_each_other_are_shown(site: Site) -> None:
    count = CATEGORIES_MAX + 100
    for n in range(count):
        above = {"parentId": f"urn:deep:{n - 1:04}"} if n else {}
        child = {"subCategory": [{"id": f"urn:deep:{n + 1:04}", "name": "below"}]}
        await site.add(launched("Category", f"urn:deep:{n:04}", **above, **child))
    client = AsgiClient(site.application())
    assert (await client.get("/categories", headers=HTML)).status == 200
    assert (await client.get("/categories", headers={"accept": "application/json"})).status == 200
    last = await client.get(f"/categories/urn:deep:{count - 1:04}", headers=HTML)
    assert last.status == 200, "a category that is not among the first has a page too"
    assert f"urn:deep:{count:04}" in last.body.decode()
    assert (await client.get("/categories/urn:deep:none", headers=HTML)).status == 404


@given(parents=st.lists(st.integers(0, 39), max_size=40))
def test_every_category_is_in_the_tree_once_and_no_tree_is_deep(parents: list[int]) -> None:
    categories = [{"id": f"c{n}", "name": f"c{n}", "parentId": f"c{up}"} for n, up in enumerate(parents)]
    tree = tree_of(categories, len(categories))
    shown = [one for root in tree.roots for one in below(root, 1)]
    assert sorted(one.id for one, _ in shown) == sorted(one["id"] for one in categories)
    assert all(level <= DEPTH_MAX for _, level in shown)


def below(node: CategoryNode, level: int) -> Iterator[tuple[CategoryNode, int]]:
    yield node, level
    for child in node.below:
        yield from below(child, level + 1)


# -- much of everything ------------------------------------------------------------------------------------------


def test_an_offering_that_refers_to_one_bundle_again_and_again_has_few_prices() -> None:
    parts = [{"id": f"urn:part:{n}", "price": {"unit": "EUR", "value": n}} for n in range(ITEMS_MAX)]
    bundle = {"id": "urn:bundle", "bundledPopRelationship": parts}
    offering = {"productOfferingPrice": [{"id": "urn:bundle"}] * ITEMS_MAX}
    began_s = time.thread_time()
    plans = price_plans(offering, {"urn:bundle": bundle}, {})
    assert is_short(time.thread_time() - began_s)
    assert sum(len(plan.rows) for plan in plans) == PRICES_MAX


@ON_THE_LOOP
async def test_offerings_of_which_each_has_other_characteristics_are_compared_in_a_short_time(
    site: Site,
) -> None:
    await site.add(launched("ProductOffering", "urn:plain"))
    answer = await AsgiClient(site.application()).get("/offerings/urn:plain", headers=JSON)
    plain = msgspec.convert(answer.json()["offering"], Offering, strict=False)
    columns = []
    for number in range(PICKED_MAX):
        many = tuple(Characteristic(f"{number} {one}", ("yes",), is_choice=False) for one in range(1000))
        columns.append((msgspec.structs.replace(plain, id=f"urn:{number}", characteristics=many), "riga"))
    began_s = time.thread_time()
    page = comparison_page(columns, tuple(one.id for one, _ in columns), "/favourites", "/compare")
    assert is_short(time.thread_time() - began_s, 0.2)
    assert sum(row.kind == "characteristic" for row in page.rows) == CHARACTERISTICS_MAX
