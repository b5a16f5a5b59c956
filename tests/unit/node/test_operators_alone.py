"""Every page for operators is for operators alone, whatever its path, and whatever is sent to it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.support.asgi import FORM
from tests.support.logins import ANA
from tests.support.operating import OTTO, browser_of
from tests.support.whole import Whole
from tests.unit.node.test_every_route import ODD_QUERIES, ODD_SEGMENTS, rest_routes

CUSTOMER = msgspec.structs.replace(ANA, subject="did:key:zCleo", roles=frozenset(), powers=())


def operators_routes(whole: Whole) -> Iterator[tuple[str, str]]:
    """Method and path of each."""
    for route in rest_routes(whole.marketplace):
        if route.path.startswith("/operator"):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path


async def test_whoever_is_no_operator_is_led_to_the_login_or_refused(whole: Whole) -> None:
    routes = list(operators_routes(whole))
    assert len(routes) > 10
    provider, customer = await browser_of(whole, ANA), await browser_of(whole, CUSTOMER)
    for method, template in routes:
        path = template.replace("{id}", "x")
        body = b"csrf=x" if method == "POST" else b""
        headers = {"content-type": FORM} if method == "POST" else {}
        stranger = await whole.anonymous.request(method, path, body=body, headers=headers)
        assert stranger.status == (303 if method == "GET" else 401), (method, path)
        for browser in (provider, customer):
            answer = await browser.client.request(method, path, body=body, headers=headers)
            assert answer.status == 403, (method, path)


async def test_nothing_is_done_without_the_form_of_the_session(whole: Whole) -> None:
    operator = await browser_of(whole, OTTO)
    before = await whole.marketplace.store.last_change()
    for method, template in operators_routes(whole):
        if method != "POST":
            continue
        for body in (b"", b"csrf=x", b"csrf=a&csrf=b"):
            path = template.replace("{id}", "x")
            answer = await operator.client.request(method, path, body=body, headers={"content-type": FORM})
            assert answer.status in {400, 403}, (path, body)
        json = await operator.client.request(
            method, template.replace("{id}", "x"), body=b"{}", headers={"content-type": "application/json"}
        )
        assert json.status == 415, template
    assert await whole.marketplace.store.last_change() == before


async def test_no_odd_path_or_query_makes_a_page_fail(whole: Whole) -> None:
    operator = await browser_of(whole, OTTO)
    for method, template in operators_routes(whole):
        if method != "GET" or template.endswith("/stream"):
            continue
        targets = [f"{template.replace('{id}', 'x')}?{query}" for query in ODD_QUERIES]
        if "{id}" in template:
            targets += [template.replace("{id}", segment) for segment in ODD_SEGMENTS]
        for target in targets:
            answer = await operator.client.get(target)
            assert answer.status in {200, 400, 404, 414, 503}, (target[:100], answer.status)
