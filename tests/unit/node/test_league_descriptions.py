"""The descriptions of `/league/v1`, health, figures and streams: complete, valid, and true."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema_rs import Draft7Validator, Draft202012Validator
from openapi_spec_validator import validate

from hansa.api.descriptions.document import league_document
from hansa.api.descriptions.operations import OPERATIONS
from hansa.api.descriptions.streams import streams_document
from hansa.node.http.described.operations import OWN_OPERATIONS
from tests.support.league import League
from tests.support.whole import Whole
from tests.unit.node.test_every_route import rest_routes

PAGES: Final = re.compile(
    r"/(docs.*|favicon[.].*|about|preferences|static/.*|offerings/.*|providers/.*|categories.*|compare|favourites.*"
    r"|account|provider(/.*)?|operator(/.*)?|specifications/.*|catalogues/.*|prices/.*|entities/.*"
    r"|feed[.]atom|robots[.]txt|sitemap.*|login.*|oid4vp/.*|oidc/.*|[.]well-known/openid-conf.*)?"
)
"""Paths for people, and those of protocols that OpenID describes."""
WORDS_MIN: Final = 3
ASYNCAPI: Final = Path(__file__).parents[2] / "support" / "asyncapi-3.0.0.json.xz"
"""The schema of AsyncAPI 3.0 documents, as the AsyncAPI Initiative publishes it (Apache-2.0)."""


ENDPOINT: Final = "http://market.example:8101"


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    document = league_document((*OPERATIONS, *OWN_OPERATIONS), ENDPOINT, "1")
    decoded: dict[str, Any] = json.loads(json.dumps(document))
    return decoded


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(streams_document(ENDPOINT, "1")))
    return document


def texts(part: Any, place: str = "") -> Iterator[tuple[str, object]]:
    """Place and description of every property within a part of a document."""
    if isinstance(part, dict):
        for name, one in part["properties"].items() if isinstance(part.get("properties"), dict) else ():
            yield f"{place}.{name}", one.get("description")
        for key, one in part.items():
            yield from texts(one, f"{place}/{key}")
    elif isinstance(part, list):
        for index, one in enumerate(part):
            yield from texts(one, f"{place}[{index}]")


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Operations by path and method."""
    return {(path, method): one for path, item in document["paths"].items() for method, one in item.items()}


async def test_every_route_has_an_operation_and_every_operation_a_route(
    whole: Whole, openapi: dict[str, Any]
) -> None:
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in rest_routes(whole.marketplace)
        for method in (route.methods or {"GET"}) - {"HEAD"}
        if not PAGES.fullmatch(route.path)
    }
    assert served == operations(openapi).keys()


async def test_the_openapi_document_is_valid_and_says_what_everything_means(openapi: dict[str, Any]) -> None:
    validate(openapi)
    assert not [place for place, text in texts(openapi) if len(str(text or "").split()) < WORDS_MIN]
    for operation in operations(openapi).values():
        assert operation["summary"]
        assert len(operation["description"].split()) >= WORDS_MIN


def test_links_lead_to_parameters_of_operations(openapi: dict[str, Any]) -> None:
    by_id = {one["operationId"]: one for one in operations(openapi).values()}
    links = [
        (name, parameter)
        for one in by_id.values()
        for response in one["responses"].values()
        for name, link in response.get("links", {}).items()
        for parameter in link["parameters"]
    ]
    assert links
    for name, parameter in links:
        references = [one["$ref"].rpartition("/")[2] for one in by_id[name]["parameters"]]
        names = {openapi["components"]["parameters"][one]["name"] for one in references}
        assert parameter in names


async def test_the_asyncapi_document_is_valid_and_says_what_everything_means(
    asyncapi: dict[str, Any],
) -> None:
    schema = json.loads(lzma.decompress(ASYNCAPI.read_bytes()))
    errors = [error.message for error in Draft7Validator(schema).iter_errors(asyncapi)]
    assert not errors
    for channel in asyncapi["channels"].values():
        assert channel["description"]
    assert not [place for place, text in texts(asyncapi) if len(str(text or "").split()) < WORDS_MIN]


def complaint(document: dict[str, Any], path: str, method: str, answer: Any) -> str | None:
    """What of an answer its description does not know."""
    operation = operations(document)[path, method]
    response = operation["responses"].get(str(answer.status))
    if response is None:
        return f"{method} {path}: {answer.status} is not described"
    if "$ref" in response:
        response = document["components"]["responses"][str(answer.status)]
    media_type = answer.headers["content-type"].partition(";")[0]
    content = response["content"].get(media_type)
    if content is None:
        return f"{method} {path}: {media_type} is not described"
    if not media_type.endswith("json") or not content["schema"]:
        return None
    schema = {**content["schema"], "components": document["components"]}
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(answer.json())]
    return f"{method} {path}: {errors[0][:300]}" if errors else None


async def test_answers_of_a_marketplace_without_a_ledger_fit(whole: Whole, openapi: dict[str, Any]) -> None:
    complaints = []
    for path, method in operations(openapi):
        if method != "get" or path == "/league/v1/events/stream":
            continue
        target = re.sub(r"{\w+}", "1", path)
        queries = ("", "?state=unresolved", "?unknown=1")
        complaints += [
            complaint(openapi, path, method, await http.get(target + query))
            for http in (whole.client, whole.anonymous, whole.with_role("reader"))
            for query in queries
        ]
    assert not [one for one in complaints if one]


async def test_answers_of_a_league_fit(openapi: dict[str, Any]) -> None:
    async with League(["lubeck", "bergen", "riga"]) as league:
        league.start()
        lubeck = league.marketplaces[0]
        await lubeck.put("one", name="one")
        await league.settle()
        entity = await lubeck.store.entity(lubeck.id("one"))
        assert entity is not None
        page = await lubeck.client.get("/league/v1/events")
        event = page.json()["events"][-1]["event"]
        key, position = event["entity"]["key"], page.json()["last_position"]
        calls = {
            "/league/v1/events": "/league/v1/events",
            "/league/v1/members": "/league/v1/members",
            "/league/v1/ledger": "/league/v1/ledger",
            "/league/v1/catalogue": "/league/v1/catalogue",
            "/league/v1/entities/{id}": f"/league/v1/entities/{key}",
            "/league/v1/ledger/inclusion/{position}": f"/league/v1/ledger/inclusion/{position}",
            "/league/v1/ledger/consistency/{size}": f"/league/v1/ledger/consistency/{position}",
            "/league/v1/ledger/claims/{key}": f"/league/v1/ledger/claims/{key}",
        }
        answers = {path: await lubeck.client.get(target) for path, target in calls.items()}
        complaints = [complaint(openapi, path, "get", answer) for path, answer in answers.items()]
        for path, answer in answers.items():
            for link in openapi["paths"][path]["get"]["responses"]["200"].get("links", {}).values():
                for expression in link["parameters"].values():
                    assert is_present(answer, expression), (path, expression)
        cloud = lubeck.client.with_headers(accept="application/cloudevents+json")
        complaints.append(
            complaint(openapi, "/league/v1/events", "get", await cloud.get("/league/v1/events"))
        )
        assert not [one for one in complaints if one]


def is_present(answer: Any, expression: str) -> bool:
    """Whether a response has what a runtime expression of OpenAPI points at."""
    if expression.startswith("$response.header."):
        return expression.removeprefix("$response.header.") in answer.headers
    value = answer.json()
    for name in expression.removeprefix("$response.body#/").split("/"):
        value = value[int(name)] if isinstance(value, list) else value.get(name, KeyError)
    return value is not KeyError


async def test_an_event_of_the_stream_fits_its_message(asyncapi: dict[str, Any]) -> None:
    async with League(["lubeck", "bergen", "riga"]) as league:
        league.start()
        lubeck = league.marketplaces[0]
        await lubeck.put("one", name="one")
        await league.settle()
        document = (await lubeck.client.get("/league/v1/events")).json()["events"][-1]
    payload = asyncapi["components"]["messages"]["event"]["payload"]
    schema = {**payload, "components": asyncapi["components"]}
    assert not [error.message for error in Draft202012Validator(schema).iter_errors(document)]
