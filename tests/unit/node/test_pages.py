"""The pages of a whole marketplace, as `hansa serve` serves them."""

from __future__ import annotations

import pytest

from tests.support.whole import Whole

HTML = {"accept": "text/html", "accept-encoding": "gzip"}


@pytest.mark.parametrize(
    "path", ["/", "/search", "/categories", "/compare", "/favourites", "/about", "/docs", "/login"]
)
async def test_strangers_get_pages_under_the_strict_policy(whole: Whole, path: str) -> None:
    answer = await whole.anonymous.get(path, headers=HTML)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "Accept-Language" in answer.headers["vary"]


async def test_an_offering_is_found_and_shown_as_soon_as_it_is_launched(whole: Whole) -> None:
    path = "/tmf-api/productCatalogManagement/v4/productOffering"
    created = await whole.client.post(path, {"name": "Amber storage", "lifecycleStatus": "Launched"})
    entity_id = created.json()["id"]
    found = await whole.anonymous.get("/search?q=amber", headers={"accept": "text/html"})
    assert f"/offerings/{entity_id}".encode() in found.body
    page = await whole.anonymous.get(f"/offerings/{entity_id}", headers={"accept": "text/html"})
    assert b"<bdi>Amber storage</bdi>" in page.body
    assert b"only this marketplace shows it" in page.body


async def test_an_error_is_a_page_for_browsers_and_json_for_programs(whole: Whole) -> None:
    page = await whole.anonymous.get("/nowhere", headers={"accept": "text/html"})
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    program = await whole.anonymous.get("/nowhere")
    assert program.json()["code"] == "not-found"


async def test_what_a_token_opens_is_stored_by_nobody(whole: Whole) -> None:
    answer = await whole.client.get("/", headers={"accept": "text/html"})
    assert answer.headers["cache-control"] == "private, no-store"
