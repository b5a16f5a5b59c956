"""What responses tell caches and browsers, over every route: whom they are for, and who may read them."""

from __future__ import annotations

import re

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.context import Policies
from hansa.business.http.shared_headers import EXPOSED, header_block
from tests.support.asgi import AsgiClient, Response
from tests.support.business import CATALOG, PARTY, Business
from tests.support.routes import collections, hubs
from tests.unit.business.test_resources import made

OFFERINGS = f"{CATALOG}/productOffering"
SHOP, OTHER = "https://shop.example", "https://other.example"


def caching(answer: Response) -> tuple[str, str]:
    return answer.headers["vary"], answer.headers["cache-control"]


PUBLIC = ("Accept-Encoding, Authorization, Cookie", "no-cache")
PRIVATE = ("Accept-Encoding, Authorization, Cookie", "private, no-store")


async def test_every_route_tells_caches_whom_the_response_is_for(business: Business) -> None:
    """GET of lists, of what is not there, what is refused, and writes: with a token and without."""
    paths = [*collections(business.models), *hubs(business.models)]
    paths += [f"{api.base_path}openapi.json" for api in business.models.apis]
    paths += [f"{path}/missing" for path in paths] + ["/tmf-api/party/v4", "/tmf-api/party/v4/nothing"]
    for path in paths:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE"):
            answer = await business.anonymous.request(method, path)
            assert caching(answer) == PUBLIC, (method, path)
            answer = await business.reader.request(method, path)
            assert caching(answer) == PRIVATE, (method, path)


async def test_what_a_token_opened_is_not_stored_and_304_says_so_too(business: Business) -> None:
    answer = await business.operator.post(f"{PARTY}/individual", {"givenName": "Ada", "familyName": "L"})
    address = answer.headers["location"]
    assert caching(answer) == caching(await business.reader.get(address)) == PRIVATE
    refused = await business.anonymous.get(address)
    assert (refused.status, caching(refused)) == (401, PUBLIC)
    wrong = await business.anonymous.with_headers(authorization="Bearer wrong").get(address)
    assert (wrong.status, caching(wrong)) == (401, PRIVATE)
    entity = await made(business)
    whole = await business.anonymous.get(entity["href"])
    assert caching(whole) == PUBLIC
    for client, expected in ((business.anonymous, PUBLIC), (business.reader, PRIVATE)):
        same = await client.get(entity["href"], headers={"if-none-match": whole.headers["etag"]})
        assert (same.status, caching(same)) == (304, expected)
    await business.provider.delete(entity["href"])
    gone = await business.anonymous.get(entity["href"])
    assert (gone.status, caching(gone)) == (404, PUBLIC)


async def test_pages_of_any_origin_read_what_is_public_and_nothing_else(business: Business) -> None:
    entity = await made(business)
    page = business.anonymous.with_headers(origin=OTHER)
    for address in (
        OFFERINGS,
        entity["href"],
        f"{OFFERINGS}/missing",
        f"{OFFERINGS}?limit=x",
        f"{CATALOG}/openapi.json",
    ):
        for client in (page, business.anonymous):  # also without an origin: a cache may serve it to a page
            answer = await client.get(address)
            assert answer.headers["access-control-allow-origin"] == "*", address
            assert answer.headers["access-control-expose-headers"] == ", ".join(EXPOSED)
    closed = [
        await page.get(f"{PARTY}/individual"),
        await page.post(OFFERINGS, {"name": "x"}),
        await page.with_headers(authorization="Bearer reader").get(OFFERINGS),
    ]
    assert all(not any(name.startswith("access-control") for name in answer.headers) for answer in closed)


async def test_every_public_type_is_open_to_pages_and_every_private_one_is_not(business: Business) -> None:
    public = {
        re.sub(r"\{\w+\}", "x", f"{api.base_path}{resource.path}")
        for api in business.models.apis
        for resource in api.resources
        if resource.visibility == "catalogue"
    }
    for path in collections(business.models):
        answer = await business.anonymous.with_headers(origin=OTHER).get(path)
        assert ("access-control-allow-origin" in answer.headers) == (path in public), path


async def test_an_origin_that_the_operator_allowed_may_use_tokens(business: Business) -> None:
    policies = Policies(allowed_origins=(SHOP,))
    context = msgspec.structs.replace(business.context, policies=policies)
    client = AsgiClient(BusinessApp(context)).with_headers(authorization="Bearer provider")
    answer = await client.with_headers(origin=SHOP).post(OFFERINGS, {"name": "x"})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (201, SHOP)
    assert answer.headers["vary"] == "Accept-Encoding, Authorization, Cookie, Origin"
    answer = await client.with_headers(origin=OTHER).post(OFFERINGS, {"name": "x"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding, Authorization, Cookie, Origin"


@pytest.mark.parametrize(
    ("origin", "path", "method", "methods"),
    [
        (SHOP, f"{PARTY}/individual", "POST", "GET, HEAD, POST, PATCH, OPTIONS"),
        (SHOP, OFFERINGS, "GET", "GET, HEAD, POST, PATCH, OPTIONS"),
        (OTHER, OFFERINGS, "GET", "GET, HEAD"),
        (OTHER, OFFERINGS, "POST", None),
        (OTHER, f"{PARTY}/individual", "GET", None),
    ],
)
async def test_a_browser_is_told_what_it_may_send(
    business: Business, origin: str, path: str, method: str, methods: str | None
) -> None:
    context = msgspec.structs.replace(business.context, policies=Policies(allowed_origins=(SHOP,)))
    client = AsgiClient(BusinessApp(context)).with_headers(origin=origin)
    answer = await client.request("OPTIONS", path, headers={"access-control-request-method": method})
    assert answer.status == 204
    assert answer.headers.get("access-control-allow-methods") == methods
    assert answer.headers.get("access-control-allow-origin") == (
        None if methods is None else SHOP if origin == SHOP else "*"
    )
    if origin == SHOP:
        assert "Authorization" in answer.headers["access-control-allow-headers"]
    elif methods is not None:
        assert "Authorization" not in answer.headers["access-control-allow-headers"]


def test_a_block_has_its_headers_as_lines_too() -> None:
    block = header_block((b"a", b"1"), (b"b", b"2"))
    assert block.lines == b"a: 1\r\nb: 2\r\n"
