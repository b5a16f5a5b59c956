"""What holds on every route: methods, media types, malformed and oversized bodies, overload."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.business import BusinessApp
from hansa.business.http.routing import PARENT_MARK
from hansa.business.jobs.files import JobFiles
from hansa.business.models import load
from hansa.core.access import Caller
from hansa.core.bounded_json import is_deeper_than
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, PARTY, Business, open_business
from tests.support.conditions import until
from tests.support.routes import share_of, writes
from tests.unit.business.test_resources import check_refused, made

OFFERINGS = f"{CATALOG}/productOffering"

WRITES = writes(load())

MALFORMED = {
    "nothing": b"",
    "no JSON": b"name=x",
    "half an object": b'{"name":',
    "two values": b"{}{}",
    "a comment": b'{"name":"x"} // y',
    "single quotes": b"{'name':'x'}",
    "a trailing comma": b'{"name":"x",}',
    "not a number": b'{"name":NaN}',
    "a number beyond all bounds": b'{"name":1e999}',
    "a raw control character": b'{"name":"a\x00b"}',
    "half a surrogate pair": b'{"name":"\\ud800"}',
    "no UTF-8": b'{"name":"\xff\xfe"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "endless arrays": b"[" * 100_000,
    "endless objects": b'{"a":' * 100_000,
    "deep but whole": b'{"name":"x","description":' + b"[" * 65 + b"]" * 65 + b"}",
    "a name twice": b'{"name":"x","name":"y"}',
    "a name twice within": b'{"name":"x","place":[{"id":"1","i\\u0064":"2"}]}',
    "very deep but whole": b'{"name":"x","description":' + b"[" * 5000 + b"]" * 5000 + b"}",
}
NO_OBJECT = {"an array": b"[]", "a string": b'"x"', "a number": b"7", "null": b"null", "true": b"true"}


async def test_a_body_that_is_no_json_object_is_refused_on_every_route(business: Business) -> None:
    for method, target, _, body in share_of(MALFORMED, WRITES):
        check_refused(await business.operator.request(method, target, body=body), 400, "malformed")
    for method, target, _, body in share_of(NO_OBJECT, WRITES):
        check_refused(await business.operator.request(method, target, body=body), 400, "invalid")
    assert await business.store.last_change() == 0


@pytest.mark.parametrize("number", ["9007199254740993", "1" * 400, "-" + "9" * 60])
async def test_a_number_that_others_would_read_differently_is_refused(
    business: Business, number: str
) -> None:
    body = b'{"name":"x","@type":"Sized","size":%b}' % number.encode()
    message = check_refused(await business.operator.post(OFFERINGS, body=body), 400, "invalid")
    assert "number" in message


async def test_a_body_as_deep_as_allowed_is_taken(business: Business) -> None:
    deep: Any = "x"
    for _ in range(business.limits.body_depth_max - 1):
        deep = [deep]
    assert (
        await business.operator.post(OFFERINGS, {"name": "x", "@type": "Deep", "deep": deep})
    ).status == 201
    depth_max = business.limits.body_depth_max
    assert is_deeper_than({"deep": deep}, depth_max - 1)
    assert not is_deeper_than({"deep": deep}, depth_max)


async def test_a_body_too_large_is_refused_before_all_of_it_was_read() -> None:
    business = await open_business(limits=Limits(body_size_max_bytes=1000))
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 300

    check_refused(await business.operator.post(OFFERINGS, body=b" " * 1001), 413, "too-large")
    check_refused(
        await business.operator.post(OFFERINGS, body=b"{}", headers={"content-length": "1001"}),
        413,
        "too-large",
    )
    check_refused(await business.operator.post(OFFERINGS, chunks=chunks()), 413, "too-large")
    check_refused(await business.operator.post(OFFERINGS, chunks=[b" " * 1001]), 413, "too-large")
    fits = b'{"name":"%b"}' % (b"x" * 980)
    assert (await business.operator.post(OFFERINGS, chunks=[fits[:300], b"", fits[300:]])).status == 201
    await business.store.close()


async def test_a_client_that_goes_away_leaves_nothing_behind(business: Business) -> None:
    sent: list[Any] = []
    inbox = [{"type": "http.request", "body": b'{"name":', "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer operator")]
    scope = {"type": "http", "method": "POST", "path": OFFERINGS, "query_string": b"", "headers": headers}
    app = BusinessApp(msgspec.structs.replace(business.context, limits=Limits(requests_in_flight_max=1)))
    await app(scope, receive, send)
    assert sent == []
    assert (await AsgiClient(app).get(OFFERINGS)).status == 200, "its place is free again"
    assert await business.store.last_change() == 0


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 201),
        ("application/json;charset=utf-8", 201),
        ('APPLICATION/JSON; Charset="UTF-8"', 201),
        ("application/json;charset=iso-8859-1", 415),
        ("application/merge-patch+json", 415),
        ("text/html", 415),
        ("", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_bodies_are_json_in_utf8(business: Business, media_type: str, status: int) -> None:
    answer = await business.operator.post(OFFERINGS, {"name": "x"}, headers={"content-type": media_type})
    assert answer.status == status


async def test_the_root_of_every_api_leads_to_what_it_serves(business: Business) -> None:
    for api in business.models.apis:
        answer = await business.anonymous.get(api.base_path)
        assert answer.status == 200
        assert (await business.anonymous.get(api.base_path.rstrip("/"))).body == answer.body
        links = answer.json()["_links"]
        assert links.keys() == {"self", "describedby", "hub", *(one.name for one in api.resources)}
        for name, link in links.items():
            if "templated" not in link:
                reached = await business.operator.get(link["href"])
                assert reached.status in {200, 405}, (api.id, name)
        assert (await business.anonymous.get(f"{api.base_path}nothing")).status == 404
        assert (await business.operator.post(api.base_path, {})).status == 405
    tag = (await business.anonymous.get(f"{CATALOG}/")).headers["etag"]
    again = await business.anonymous.get(f"{CATALOG}/", headers={"if-none-match": tag})
    assert (again.status, again.body) == (304, b"")


async def test_no_method_of_any_route_ignores_a_parameter(business: Business, tmp_path: Path) -> None:
    """Least of all DELETE, where a client that asks for one version would lose all of them."""
    files = JobFiles(tmp_path, business.models, business.clock, business.limits)
    app = BusinessApp(business.context, files)
    operator = AsgiClient(app).with_headers(authorization="Bearer operator")
    for api in business.models.apis:
        assert (await operator.get(api.base_path)).status == 200
    routes = {**app._routing._routes, **app._routing._sub_routes}
    assert not app._routing._pending
    for path, route in routes.items():
        address = path.replace(PARENT_MARK, "x")
        of_items = {} if path.endswith(".json") else route.item
        for target, methods in ((address, route.collection), (f"{address}/x", of_items)):
            for method in methods:
                answer = await operator.request(
                    method, f"{target}?version=9.9&foo=1", {"callback": "http://x.example"}
                )
                allowed = {400, 404} if PARENT_MARK in path else {400}
                assert answer.status in allowed, (method, target, answer.status)


async def test_a_parameter_of_a_deletion_is_refused_and_nothing_is_deleted(business: Business) -> None:
    entity = await made(business)
    answer = await business.provider.delete(f"{entity['href']}?version=9.9&foo=1")
    assert "'version', 'foo' are no parameters" in check_refused(answer, 400, "invalid")
    assert (await business.anonymous.get(entity["href"])).status == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html,*/*;q=0.8", 200),
        ("application/json;charset=utf-8", 200),
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
        ("application/xml;q=x", 406),
        ("", 406),
    ],
)
async def test_answers_are_json(business: Business, accept: str, status: int) -> None:
    entity = await made(business)
    for target in (OFFERINGS, entity["href"]):
        assert (await business.anonymous.get(target, headers={"accept": accept})).status == status


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (OFFERINGS, "GET, HEAD, POST, PATCH, OPTIONS"),
        (f"{OFFERINGS}/x", "GET, HEAD, PATCH, PUT, DELETE, OPTIONS"),
        (f"{CATALOG}/hub", "GET, HEAD, POST, OPTIONS"),
        (f"{PARTY}/hub/x", "GET, HEAD, DELETE, OPTIONS"),
    ],
)
async def test_other_methods_are_told_what_is_allowed(business: Business, target: str, allowed: str) -> None:
    for method in {"PUT", "PROPFIND", "POST", "PATCH"} - set(allowed.split(", ")):
        answer = await business.operator.request(method, target, {})
        check_refused(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
    answer = await business.anonymous.request("OPTIONS", target)
    assert (answer.status, answer.headers["allow"]) == (204, allowed)


@pytest.mark.parametrize(
    "path",
    [
        f"{CATALOG}//",
        f"{CATALOG}/nothing",
        f"{OFFERINGS}/a/b",
        f"{OFFERINGS}//",
        f"{CATALOG}/productoffering",
    ],
)
async def test_a_path_that_no_api_serves_is_not_found(business: Business, path: str) -> None:
    assert business.app.handles(path)
    check_refused(await business.operator.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "handled"),
    [
        (OFFERINGS, True),
        (f"{PARTY}/individual/x", True),
        (PARTY, True),
        ("/", False),
        ("", False),
        ("/tmf-api", False),
        ("/tmf-api/party", False),
        ("/tmf-api/party/v5/individual", False),
        ("/tmf-api/other/v4/x", False),
        ("/league/v1/events", False),
    ],
)
async def test_only_paths_of_apis_are_handled(business: Business, path: str, handled: bool) -> None:
    assert business.app.handles(path) is handled


class GatedRequests:
    """Requests whose bodies, or whose stores, wait for a gate."""

    def __init__(self, app: BusinessApp) -> None:
        self.app = app
        self.gate = asyncio.Event()
        self.waiting = 0
        self.statuses: list[int] = []

    async def upload(self, body: bytes = b'{"name":"x"}') -> None:
        """A request whose body arrives when the gate opens."""

        async def receive() -> Any:
            self.waiting += 1
            await self.gate.wait()
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"authorization", b"Bearer operator")]
        await self._send("POST", headers, receive)

    async def read(self, *headers: tuple[bytes, bytes]) -> None:
        """A request that has arrived."""

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._send("GET", list(headers), receive)

    async def _send(self, method: str, headers: list[tuple[bytes, bytes]], receive: Any) -> None:
        async def send(message: Any) -> None:
            if "status" in message:
                self.statuses.append(message["status"])

        scope = {"type": "http", "method": method, "path": OFFERINGS, "query_string": b"", "headers": headers}
        await self.app(scope, receive, send)


async def test_requests_are_in_work_only_when_their_bodies_are_there() -> None:
    business = await open_business(limits=Limits(requests_in_flight_max=2))
    requests = GatedRequests(business.app)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(600):
            tasks.create_task(requests.upload())
        await until(lambda: requests.waiting == 600)
        assert (await business.anonymous.get(OFFERINGS)).status == 200
        requests.gate.set()
    assert set(requests.statuses) == {201}
    assert (await business.anonymous.get(OFFERINGS)).status == 200
    await business.store.close()


async def test_requests_beyond_the_limit_are_turned_away_at_once_and_strangers_before_others() -> None:
    business = await open_business()
    held = asyncio.Event()

    async def wait_and_list(*_: Any, **__: Any) -> Any:
        await held.wait()
        raise Refused(Code.NOT_FOUND, "Nothing.")

    limits = Limits(requests_in_flight_max=4)
    app = BusinessApp(msgspec.structs.replace(business.context, limits=limits))
    business.store.list = wait_and_list  # type: ignore[method-assign]
    requests = GatedRequests(app)
    token = (b"authorization", b"Bearer operator")
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(requests.read())
        await asyncio.sleep(0)
        answer = await AsgiClient(app).get(OFFERINGS)
        check_refused(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        tasks.create_task(requests.read(token))
        await asyncio.sleep(0)
        assert requests.statuses == [], "whoever has a token has a place left"
        await requests.read(token)
        assert requests.statuses == [429]
        held.set()
    await business.store.close()


@pytest.mark.parametrize(
    ("problem", "status", "retry_after"),
    [
        (Unavailable(Code.DISK_FULL, "The disk is full.", retry_after_s=30), 503, "30"),
        (Unavailable(Code.UNAVAILABLE, "Later."), 503, "1"),
        (Unavailable(Code.OVERLOADED, "Too much."), 429, "1"),
        (ValueError("a fault of ours, with secrets"), 500, None),
    ],
)
async def test_trouble_of_ours_is_answered_without_details(
    business: Business, problem: Exception, status: int, retry_after: str | None
) -> None:
    def troubled(headers: Mapping[bytes, bytes]) -> Caller:
        raise problem

    limits = Limits(requests_in_flight_max=1)
    app = BusinessApp(msgspec.structs.replace(business.context, authenticate=troubled, limits=limits))
    await AsgiClient(app).get(OFFERINGS)
    answer = await AsgiClient(app).get(OFFERINGS)
    assert answer.status == status
    assert answer.headers.get("retry-after") == retry_after
    assert b"secrets" not in answer.body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "HEAD"]),
    tail=st.text(max_size=12),
    query=st.text(max_size=20),
    body=st.binary(max_size=30) | st.sampled_from([b'{"name":"x"}', b'{"name":1}', b'{"id":"a"}']),
)
async def test_no_request_makes_the_application_fail(
    business: Business, method: str, tail: str, query: str, body: bytes
) -> None:
    sent: list[Any] = []
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    for path in (f"{OFFERINGS}/{tail}", f"{PARTY}/{tail}", f"{CATALOG}/hub"):
        sent.clear()
        inbox[:] = [{"type": "http.request", "body": body, "more_body": False}]
        headers = [(b"authorization", b"Bearer operator")]
        raw_query = query.encode("utf-8", "surrogatepass")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": raw_query,
            "headers": headers,
        }
        await business.app(scope, receive, send)
        assert sent[0]["status"] < 500
