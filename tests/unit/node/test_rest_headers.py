"""What responses beside the TM Forum APIs tell caches and browsers."""

from __future__ import annotations

import os

import pytest

from hansa.business.http.shared_headers import SharedHeaders
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.rest_headers import RestHeaders
from hansa.node.http.server import HEADERS
from tests.support.asgi import AsgiClient
from tests.support.whole import Whole

SHOP, OTHER = "https://shop.example", "https://other.example"
OPEN = (
    "/league/v1/status",
    "/league/v1/catalogue",
    "/league/v1/entities/x",
    "/livez",
    "/readyz",
    "/league/v1/none",
)
CLOSED = ("/", "/docs", "/docs/TMF620", "/metrics", "/nowhere")


def with_origin(whole: Whole, origin: str) -> AsgiClient:
    """A page of that origin, where the operator allowed the shop's."""
    door: FrontDoor = whole.marketplace.front_door
    door._rest_headers = RestHeaders(SharedHeaders((SHOP,)), os.urandom)
    return AsgiClient(door).with_headers(origin=origin)


async def test_pages_of_any_origin_read_what_everybody_may_read(whole: Whole) -> None:
    for path in OPEN:
        for client in (with_origin(whole, OTHER), with_origin(whole, SHOP), whole.anonymous):
            answer = await client.get(path)
            assert answer.headers["access-control-allow-origin"] == "*", path
            assert "access-control-allow-credentials" not in answer.headers
            assert "Origin" in answer.headers["vary"]
    for path in CLOSED:
        answer = await with_origin(whole, OTHER).get(path)
        assert not any(name.startswith("access-control") for name in answer.headers), path


@pytest.mark.parametrize("header", ["authorization", "member-token"])
async def test_with_credentials_an_allowed_origin_alone_may_read(whole: Whole, header: str) -> None:
    for path in OPEN:
        for origin, allowed in (
            (SHOP, SHOP),
            (OTHER, None),
            ("null", None),
            ("https://shop.example.evil", None),
        ):
            client = with_origin(whole, origin).with_headers(**{header: "Bearer a.b.c"})
            answer = await client.get(path)
            assert answer.headers.get("access-control-allow-origin") == allowed, (path, origin)
            assert "no-store" in answer.headers["cache-control"]


async def test_a_browser_is_told_what_it_may_send(whole: Whole) -> None:
    for origin, method, path, methods in (
        (SHOP, "GET", "/league/v1/references", "GET, HEAD, OPTIONS"),
        (SHOP, "POST", "/league/v1/entities", "OPTIONS, POST"),
        (OTHER, "GET", "/league/v1/events", "GET, HEAD"),
        (OTHER, "POST", "/league/v1/entities", None),
        (OTHER, "GET", "/docs", None),
    ):
        headers = {"access-control-request-method": method}
        answer = await with_origin(whole, origin).request("OPTIONS", path, headers=headers)
        assert answer.status == 204, path
        assert answer.headers.get("access-control-allow-methods") == methods, path
        assert answer.headers["vary"].endswith("Origin")
        is_shop = origin == SHOP
        expected = SHOP if is_shop else None if methods is None else "*"
        assert answer.headers.get("access-control-allow-origin") == expected
        assert ("Authorization" in answer.headers.get("access-control-allow-headers", "")) == is_shop


async def test_no_header_comes_twice(whole: Whole) -> None:
    """Neither in a response itself, which the client checks, nor with those that the server adds."""
    of_server = {name.lower() for name, _ in HEADERS}
    for path in (*OPEN, *CLOSED, "/tmf-api/party/v4/individual", "/docs/errors"):
        for client in (whole.anonymous, whole.client):
            assert of_server.isdisjoint((await client.get(path)).headers), path
