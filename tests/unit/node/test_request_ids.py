"""Every request has an identifier: in the log, and in answers that report an error."""

from __future__ import annotations

import os

import pytest
from structlog.testing import capture_logs

from hansa.core.request_id import current_request, request_id
from hansa.node.http.front_door import FrontDoor
from hansa.node.logs import RequestNamer
from tests.support.business import CATALOG, PARTY
from tests.support.whole import Whole

PATHS = (
    "/league/v1/entities/none",
    "/nowhere",
    f"{CATALOG}/productOffering/none",
    f"{PARTY}/individual",
    "/metrics",
)


async def test_an_error_names_its_request_and_no_two_are_the_same(whole: Whole) -> None:
    seen = [(await whole.anonymous.get(path)).headers["x-request-id"] for path in PATHS for _ in range(2)]
    assert len(set(seen)) == len(seen)
    assert all(len(one) == 24 for one in seen)


@pytest.mark.parametrize(
    "chosen", ["0af7651916cd43dd8448eb211c80319c", "trace-1.span_2", "12345678", "a" * 64]
)
async def test_a_client_may_choose_it(whole: Whole, chosen: str) -> None:
    client = whole.anonymous.with_headers(x_request_id=chosen)
    for path in (*PATHS, "/livez", f"{CATALOG}/productOffering"):
        assert (await client.get(path)).headers["x-request-id"] == chosen


@pytest.mark.parametrize(
    "chosen",
    [
        "",
        "short",
        "a" * 65,
        "a b c d e f",
        "abcdefgh\x1b[31m",
        'abcdefgh"',
        "../../etc/x",
        "äbcdefgh",
        "-abcdefgh",
    ],
)
async def test_another_form_is_replaced(whole: Whole, chosen: str) -> None:
    client = whole.anonymous.with_headers(x_request_id=chosen)
    for path in PATHS:
        assert (await client.get(path)).headers["x-request-id"] != chosen


def test_a_line_of_the_log_names_the_request_that_caused_it() -> None:
    scope = {"headers": [(b"x-request-id", b"chosen-by-client")]}
    current_request.set(scope)
    name = RequestNamer(os.urandom)
    assert name(None, "info", {"event": "x"})["request_id"] == "chosen-by-client"
    assert request_id(scope, os.urandom) == "chosen-by-client"
    current_request.set(None)
    assert "request_id" not in name(None, "info", {"event": "x"})


async def test_the_access_log_has_no_query_no_token_and_no_body(whole: Whole) -> None:
    door: FrontDoor = whole.marketplace.front_door
    door._has_access_log = True
    with capture_logs() as logs:
        await whole.client.get(f"{PARTY}/individual?familyName=Secretname")
        await whole.client.post(f"{PARTY}/individual", {"givenName": "Secretname", "familyName": "L"})
        await whole.anonymous.get("/league/v1/events?after=Secretname%0Ainjected")
        await whole.anonymous.get("/nowhere/" + "x" * 9000 + "%0Ainjected")
    lines = [one for one in logs if one["event"] == "request_answered"]
    assert [(one["method"], one["status"], one["surface"]) for one in lines] == [
        ("GET", 200, "business"),
        ("POST", 201, "business"),
        ("GET", 400, "league"),
        ("GET", 404, "other"),
    ]
    for line in lines:
        assert line.keys() == {
            "event", "log_level", "request_id", "method", "path", "status", "surface", "duration_ms", "client",
        }  # fmt: skip
        assert "Secretname" not in str(line)
        assert "?" not in line["path"]
        assert line["path"].isprintable()
        assert len(line["path"]) <= 256


async def test_it_is_off_until_an_operator_switches_it_on(whole: Whole) -> None:
    with capture_logs() as logs:
        await whole.anonymous.get("/livez")
    assert not logs


async def test_durations_are_in_buckets(whole: Whole) -> None:
    for _ in range(3):
        await whole.client.get(f"{CATALOG}/productOffering")
    await whole.client.post(f"{CATALOG}/productOffering", {"name": "x"})
    text = (await whole.client.get("/metrics")).body.decode()
    name = "hansa_http_request_duration_seconds"
    assert f'{name}_bucket{{access="read",le="+Inf",surface="business"}} 3.0' in text
    assert f'{name}_count{{access="write",surface="business"}} 1.0' in text
    assert "hansa_store_commit_duration_seconds_sum" in text
