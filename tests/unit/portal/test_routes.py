from __future__ import annotations

from hansa.core.errors import HTTP_STATUS
from hansa.portal import Overview
from tests.support.asgi import AsgiClient
from tests.support.business import MODELS
from tests.support.portal import portal_client


def client() -> AsgiClient:
    return portal_client(Overview("lubeck", "did:x:0", "1", (("Category", 2, 3),), (), None, None))


async def test_a_page_shows_the_state_that_the_node_reports() -> None:
    page = await client().get("/about")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"{len(MODELS.apis)} TM Forum Open APIs" in page.body.decode()
    assert '<th scope="row" lang="en">Category</th>' in page.body.decode()


async def test_every_api_has_a_page_whatever_the_case_of_its_name() -> None:
    http = client()
    index = (await http.get("/docs")).body.decode()
    for api in MODELS.apis[:3]:
        assert f"/docs/{api.id}" in index
        for name in (api.id, api.id.lower()):
            page = await http.get(f"/docs/{name}")
            assert page.status == 200
            assert page.headers["content-type"].startswith("text/html")
            assert api.base_path.rstrip("/") in page.body.decode()


async def test_an_api_that_is_not_served_has_none() -> None:
    answer = await client().get("/docs/TMF000")
    assert answer.status == 404
    assert answer.json()["code"] == "not-found"


async def test_every_code_that_an_answer_can_have_is_explained() -> None:
    page = (await client().get("/docs/errors")).body.decode()
    for code in HTTP_STATUS:
        assert f'id="{code}"' in page
