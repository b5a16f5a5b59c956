"""Routes that only some settings bring, against odd paths, odd queries and malformed bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.malformed import MALFORMED_BODIES
from tests.support.whole import Whole, open_whole
from tests.unit.node.test_every_route import ODD_QUERIES, ODD_SEGMENTS, rest_routes

HOST = {"host": "127.0.0.1:8101"}
SETTINGS = {"HANSA_ISSUING": "true", "HANSA_WALLET": "../wallet", "HANSA_ONBOARDING_TERMS": "1"}
OPTIONAL = (
    *("/oid4vci", "/status-lists", "/wallet", "/onboarding"),
    *("/.well-known/openid-credential-issuer", "/.well-known/oauth-authorization-server/oid4vci"),
)
FORM = "application/x-www-form-urlencoded"
FORMS = {
    *("/oid4vci/token", "/wallet", "/onboarding"),
    *("/onboarding/employees", "/onboarding/employees/{id}/remove"),
}
EMPTY = {"/oid4vci/nonce"}
"""Take no body."""
ANSWERED = frozenset({200, 201, 204, 303, 307, 400, 401, 403, 404, 409, 413, 414, 415})


@pytest.fixture
async def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "market", SETTINGS) as made:
        yield made


def optional(market: Whole) -> list[tuple[str, str]]:
    """Methods and paths of these routes."""
    return [
        (method, route.path)
        for route in rest_routes(market.marketplace)
        if route.path.startswith(OPTIONAL)
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]


async def test_no_path_and_no_query_makes_one_of_them_fail(market: Whole) -> None:
    failed = []
    paths = {path for method, path in optional(market) if method == "GET"}
    assert len(paths) == 11
    for path in sorted(paths):
        for client in (market.client, market.anonymous):
            targets = [f"{path.replace('{id}', 'x')}?{query}" for query in ODD_QUERIES]
            targets += [path.replace("{id}", segment) for segment in ODD_SEGMENTS if "{id}" in path]
            for target in targets:
                answer = await client.request("GET", target, headers=HOST)
                if answer.status not in ANSWERED:
                    failed.append((target[:80], answer.status))
    assert failed == []


async def test_no_body_makes_one_of_them_fail(market: Whole) -> None:
    failed = []
    for method, path in optional(market):
        if method == "GET":
            continue
        media_type = FORM if path in FORMS else "application/json"
        for what, body in MALFORMED_BODIES.items():
            headers = {**HOST, "content-type": media_type}
            answer = await market.client.request(
                method, path.replace("{id}", "x"), body=body, headers=headers
            )
            allowed = ANSWERED if path in EMPTY else ANSWERED - {200, 201}
            if answer.status not in allowed:
                failed.append((method, path, what, answer.status))
    assert failed == []


async def test_nothing_of_them_is_cached_that_is_for_one_caller(market: Whole) -> None:
    shared = ("/.well-known", "/status-lists")
    for method, path in optional(market):
        if method == "GET" and not path.startswith(shared):
            answer = await market.client.request("GET", path.replace("{id}", "x"), headers=HOST)
            assert "no-store" in answer.headers["cache-control"], path
